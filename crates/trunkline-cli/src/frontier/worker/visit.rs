//! One attempt at one page, and what the frontier and the output are to know of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use trunkline::{Response, Session};
use trunkline_scrape::{Error, Scraper, Visit};
use url::Url;

use crate::bodies::Bodies;
use crate::failure;
use crate::frontier::login::{Entry, SharedLogin};
use crate::frontier::store::{Claimed, Outcome, Settlement};
use crate::input;
use crate::page::{Asked, Fate, Kept, Page};

/// What every page needs.
pub(super) struct Visitor {
    pub(super) scraper: Scraper,
    pub(super) bodies: Option<Arc<Bodies>>,
    pub(super) login: Option<SharedLogin>,
    pub(super) obeys_robots: bool,
}

/// What came of an attempt.
pub(super) struct Visited {
    /// If it was the last.
    pub(super) page: Option<Page>,
    pub(super) settlement: Settlement,
}

/// What was made of an answer.
enum Read {
    Kept(Kept),
    /// It says that nobody is logged in.
    Outside(StatusCode),
}

/// How an attempt ended.
enum Attempt {
    Ended(Result<Kept, Error>),
    /// Not even asking was of use.
    Refused(String),
    Again {
        told: String,
        outcome: Outcome,
    },
}

impl Visitor {
    pub(super) fn session(&self) -> &Session {
        self.scraper.session()
    }

    /// # Cancel safety
    ///
    /// Dropped, it leaves no part of a file behind.
    pub(super) async fn visit(&self, claimed: Claimed) -> Visited {
        let begun = Instant::now();
        let Claimed { id, url: text, attempt } = claimed;
        let parsed = self.scraper.url(&text);
        let asked = Asked::new(input::Url { ordinal: id.unsigned_abs(), text, place: None });
        let (attempt, host_delay) = match &parsed {
            Ok(url) => (self.attempt(url, attempt, &asked).await, self.host_delay(url).await),
            // Somebody has put it there by hand.
            Err(error) => (Attempt::Refused(failure::words(error)), None),
        };
        let elapsed = begun.elapsed();
        let page = match (attempt, &parsed) {
            (Attempt::Ended(result), Ok(url)) => Page::ended(asked, url, elapsed, result),
            (Attempt::Again { told, outcome }, _) => {
                let settlement =
                    Settlement { id, outcome, status: None, bytes: 0, error: Some(told), elapsed, host_delay };
                return Visited { page: None, settlement };
            }
            (Attempt::Refused(told), _) => Page::refused(asked, elapsed, told),
            (Attempt::Ended(_), Err(error)) => Page::refused(asked, elapsed, failure::words(error)),
        };
        let outcome = match page.fate {
            Fate::Fetched => Outcome::Done,
            Fate::Refused | Fate::Failed => Outcome::Failed,
            Fate::GivenUp => Outcome::Back,
        };
        let (status, bytes, error) = (page.status, page.bytes, page.error.clone());
        Visited { page: Some(page), settlement: Settlement { id, outcome, status, bytes, error, elapsed, host_delay } }
    }

    /// What robots.txt wants to lie between two requests, which is known once one page was asked for.
    async fn host_delay(&self, url: &Url) -> Option<Duration> {
        if self.obeys_robots { Some(self.scraper.pause_of(url).await) } else { None }
    }

    /// Asks, and asks again for as long as it finds itself outside, and can log in.
    async fn attempt(&self, url: &Url, number: u32, asked: &Asked) -> Attempt {
        let mut entry = self.login.as_ref().map(SharedLogin::entry);
        loop {
            let entered = entry.as_ref();
            asked.begin();
            let visit = self.scraper.visit(url, number, |response| self.read(asked, response, entered)).await;
            let status = match visit {
                Visit::Done(Read::Kept(kept)) => {
                    if let Some(entry) = &entry {
                        entry.let_in();
                    }
                    return Attempt::Ended(Ok(kept));
                }
                Visit::Done(Read::Outside(status)) => status,
                Visit::Again { cause, pause, host, .. } => {
                    let told = failure::of_page(&cause, url);
                    return Attempt::Again { told, outcome: Outcome::Later { pause, of_host: host } };
                }
                Visit::Failed(error) => return Attempt::Ended(Err(error)),
                _ => return Attempt::Refused("it came to something that is not known here".into()),
            };
            if let Some(entry) = &mut entry
                && let Err(outside) = entry.renew(status).await
            {
                let told = failure::words(outside.cause.as_ref());
                return match outside.passing {
                    Some(pause) => Attempt::Again { told, outcome: Outcome::Later { pause, of_host: false } },
                    None => Attempt::Refused(told),
                };
            }
        }
    }

    async fn read(&self, asked: &Asked, response: Response, entry: Option<&Entry<'_>>) -> trunkline::Result<Read> {
        if entry.is_some_and(|entry| entry.is_outside(&response)) {
            return Ok(Read::Outside(response.status()));
        }
        asked.reader(self.bodies.clone()).read(response).await.map(Read::Kept)
    }
}
