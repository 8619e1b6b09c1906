//! robots.txt (RFC 9309): fetched once for all callers and cached for a day.

mod rules_cache;

use std::fmt;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use http::StatusCode;
use texting_robots::Robot;
use tokio::sync::Mutex;
use trunkline::{Response, Session};
use url::{Position, Url};

use self::rules_cache::RulesCache;
use crate::retries;

/// RFC 9309 section 2.5: at least 500 kibibytes are read.
const MOST_BYTES: usize = 500 << 10;
/// RFC 9309 section 2.3.1.2: at least five redirects are followed.
const MOST_REDIRECTS: usize = 5;
/// RFC 9309 section 2.4: not to be used for longer.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A host whose rules could not be had, attempt after attempt, is not asked for them again before.
const GIVEN_UP: Duration = Duration::from_secs(300);
/// Patterns with an end, `$`, are compiled, at an unknown cost for each.
const MOST_ENDS: usize = 1_000;
/// The approximate size of a compiled pattern.
const END_BYTES: usize = 8 << 10;
/// No host is left alone for longer between two requests, whatever its `Crawl-delay`.
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// The rules of all hosts, for one name.
pub(crate) struct Robots {
    agent: String,
    cache: StdMutex<RulesCache<Mutex<RulesState>>>,
}

#[derive(Default)]
enum RulesState {
    #[default]
    Unknown,
    Known {
        rules: Arc<Rules>,
        at: Instant,
    },
    /// So often; it is not asked again until then.
    Unreadable {
        failures: u32,
        until: Instant,
        why: String,
    },
}

/// The result of the request for a host's robots.txt.
pub(crate) enum RulesResult {
    Rules(Arc<Rules>),
    /// It is not known, so nothing is allowed. It may be known after that time, if there is one.
    Unreadable {
        why: String,
        pause: Option<Duration>,
    },
    /// The session was closed before it was there.
    Closed(trunkline::Error),
}

/// The rules of a host.
#[derive(Default)]
pub(crate) struct Rules {
    robot: Option<Robot>,
    /// Nothing is allowed, and why.
    refused: Option<&'static str>,
    /// The approximate size of the rules.
    bytes: usize,
}

impl Robots {
    /// `agent` may have more to it than the name: `name/1.0 (https://…)`.
    pub(crate) fn new(agent: &str) -> Self {
        let name = agent.split(|letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_'))).next();
        Self { agent: name.unwrap_or_default().to_owned(), cache: StdMutex::default() }
    }

    pub(crate) fn agent(&self) -> &str {
        &self.agent
    }

    /// The rules of this origin. Who asks first fetches them, after so many failed attempts no
    /// more; the others wait.
    pub(crate) async fn of(&self, origin: &str, session: &Session, attempts: u32) -> RulesResult {
        let state = self.cache().of(origin);
        let mut state = state.lock().await;
        let now = Instant::now();
        let failures = match &*state {
            RulesState::Known { rules, at } if now < *at + DAY => return RulesResult::Rules(rules.clone()),
            RulesState::Unreadable { failures, until, why } if now < *until => {
                let pause = (*failures < attempts).then(|| *until - now);
                return RulesResult::Unreadable { why: why.clone(), pause };
            }
            RulesState::Unreadable { failures, .. } if *failures < attempts => *failures,
            _ => 0,
        };
        match fetch(origin, &self.agent, session).await {
            Ok(rules) => {
                self.cache().set_size(origin, rules.bytes);
                let rules = Arc::new(rules);
                *state = RulesState::Known { rules: rules.clone(), at: Instant::now() };
                RulesResult::Rules(rules)
            }
            // That tells nothing of the host.
            Err(Unread::Closed(error)) => RulesResult::Closed(error),
            Err(Unread::Failed { why, asked }) => {
                // A pause longer than the limit is not waited for.
                let too_long = asked.is_some_and(|asked| asked > retries::LONGEST_RETRY_AFTER);
                let failures = if too_long { attempts } else { failures + 1 };
                let pause = asked.unwrap_or_else(|| retries::backoff(failures));
                let last = failures >= attempts;
                let until = Instant::now() + if last { GIVEN_UP } else { pause };
                *state = RulesState::Unreadable { failures, until, why: why.clone() };
                RulesResult::Unreadable { why, pause: (!last).then_some(pause) }
            }
        }
    }

    fn cache(&self) -> MutexGuard<'_, RulesCache<Mutex<RulesState>>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reason why the rules could not be read.
enum Unread {
    Failed {
        why: String,
        /// After what time to ask again.
        asked: Option<Duration>,
    },
    Closed(trunkline::Error),
}

async fn fetch(origin: &str, agent: &str, session: &Session) -> Result<Rules, Unread> {
    let request = session.get(format!("{origin}/robots.txt")).error_for_status(false).max_redirects(MOST_REDIRECTS);
    let response = match request.send().await {
        Ok(response) => response,
        // Section 2.3.1.2: more redirects than are followed are as good as no file.
        Err(error) if error.is_redirect() => return Ok(Rules::default()),
        Err(error) => return Err(Unread::because(error)),
    };
    let status = response.status();
    // Section 2.3.1.4, and what asks to come again.
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        let asked = retries::asked(response.headers(), SystemTime::now());
        return Err(Unread::Failed { why: format!("its robots.txt answers with the status {status}"), asked });
    }
    // Section 2.3.1.3: there is none.
    if !status.is_success() {
        return Ok(Rules::default());
    }
    match read(response).await {
        Ok(text) => Ok(Rules::read(agent, &text)),
        Err(error) => Err(Unread::because(error)),
    }
}

impl Unread {
    fn because(error: trunkline::Error) -> Self {
        if error.is_closed() {
            return Self::Closed(error);
        }
        // A lasting failure, such as a bad certificate, is not waited for.
        let asked = (!retries::is_transient_failure(&error)).then_some(Duration::MAX);
        Self::Failed { why: format!("its robots.txt could not be read: {error}"), asked }
    }
}

/// Its beginning, up to the last whole line.
async fn read(mut response: Response) -> trunkline::Result<Vec<u8>> {
    let mut text = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        text.extend_from_slice(&chunk);
        if text.len() > MOST_BYTES {
            text.truncate(MOST_BYTES);
            let whole = text.iter().rposition(|byte| matches!(byte, b'\n' | b'\r'));
            text.truncate(whole.unwrap_or_default());
            break;
        }
    }
    Ok(text)
}

impl Rules {
    fn read(agent: &str, text: &[u8]) -> Self {
        let ends = text.iter().filter(|byte| **byte == b'$').count();
        if ends > MOST_ENDS {
            let why = "its robots.txt has more patterns with `$` than are read";
            return Self { refused: Some(why), ..Self::default() };
        }
        match Robot::new(agent, text) {
            Ok(robot) => Self { robot: Some(robot), refused: None, bytes: text.len() + ends * END_BYTES },
            Err(_) => Self { refused: Some("its robots.txt has patterns that cannot be read"), ..Self::default() },
        }
    }

    /// The reason why the page must not be fetched. None if it may be.
    pub(crate) fn refusal(&self, url: &Url, agent: &str) -> Option<String> {
        if let Some(why) = self.refused {
            return Some(why.to_owned());
        }
        let refused = self.robot.as_ref().is_some_and(|robot| !robot.allowed(&url[..Position::AfterQuery]));
        refused.then(|| format!("its robots.txt does not allow it to {agent:?}"))
    }

    /// The pause between two requests to the host.
    pub(crate) fn delay(&self) -> Duration {
        let seconds = self.robot.as_ref().and_then(|robot| robot.delay).unwrap_or_default();
        // More seconds than a duration has are too many as well.
        Duration::try_from_secs_f32(seconds).map_or(LONGEST_DELAY, |delay| delay.min(LONGEST_DELAY))
    }
}

impl fmt::Debug for Robots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Robots").field("agent", &self.agent).finish_non_exhaustive()
    }
}
