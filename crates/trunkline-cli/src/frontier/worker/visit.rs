//! One attempt at one page, and what the frontier and the output are to know of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use trunkline::Session;
use trunkline_scrape::{Error, Scraper, Visit};
use url::Url;

use crate::bodies::Bodies;
use crate::failure;
use crate::frontier::store::{Claimed, Outcome, Settlement};
use crate::input;
use crate::page::{Asked, Fate, Kept, Page};

/// Before a host is asked again that nobody could be logged in to: all its other pages would find
/// that as well.
const PAUSE: Duration = Duration::from_secs(1);

/// What every page needs.
pub(super) struct Visitor {
    pub(super) scraper: Scraper,
    pub(super) bodies: Option<Arc<Bodies>>,
    pub(super) obeys_robots: bool,
}

/// What came of an attempt.
pub(super) struct Visited {
    /// If it was the last.
    pub(super) page: Option<Page>,
    pub(super) settlement: Settlement,
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

    /// # Errors
    ///
    /// [Nobody is let in any more](Error::is_shut_out), to this page or another.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves no part of a file behind.
    pub(super) async fn visit(&self, claimed: Claimed) -> Result<Visited, Error> {
        let begun = Instant::now();
        let Claimed { id, url: text, attempt } = claimed;
        let parsed = self.scraper.url(&text);
        let asked = Asked::new(input::Url { ordinal: id.unsigned_abs(), text, place: None });
        let (attempt, host_delay) = match &parsed {
            Ok(url) => (self.attempt(url, attempt, &asked).await?, self.host_delay(url).await),
            // Somebody has put it there by hand.
            Err(error) => (Attempt::Refused(failure::words(error)), None),
        };
        let elapsed = begun.elapsed();
        let page = match (attempt, &parsed) {
            (Attempt::Ended(result), Ok(url)) => Page::ended(asked, url, elapsed, result),
            (Attempt::Again { told, outcome }, _) => {
                let settlement =
                    Settlement { id, outcome, status: None, bytes: 0, error: Some(told), elapsed, host_delay };
                return Ok(Visited { page: None, settlement });
            }
            (Attempt::Refused(told), _) => Page::refused(asked, elapsed, told),
            (Attempt::Ended(_), Err(error)) => Page::refused(asked, elapsed, failure::words(error)),
        };
        let outcome = match page.fate {
            Fate::Fetched => Outcome::Done,
            Fate::Refused | Fate::Failed => Outcome::Failed,
            Fate::GivenUp => Outcome::Back { pause: None },
        };
        let (status, bytes, error) = (page.status, page.bytes, page.error.clone());
        let settlement = Settlement { id, outcome, status, bytes, error, elapsed, host_delay };
        Ok(Visited { page: Some(page), settlement })
    }

    /// What robots.txt wants to lie between two requests, which is known once one page was asked
    /// for.
    async fn host_delay(&self, url: &Url) -> Option<Duration> {
        if self.obeys_robots { Some(self.scraper.pause_of(url).await) } else { None }
    }

    async fn attempt(&self, url: &Url, number: u32, asked: &Asked) -> Result<Attempt, Error> {
        asked.begin();
        let reader = asked.reader(self.bodies.clone());
        let again = |cause: &Error, outcome| Attempt::Again { told: failure::of_page(cause, url), outcome };
        Ok(match self.scraper.visit(url, number, |response| reader.clone().read(response)).await {
            Visit::Done(kept) => Attempt::Ended(Ok(kept)),
            Visit::Failed(error) if error.is_shut_out() => return Err(error),
            // It has not been let in to be asked for: that does not count.
            Visit::Again { cause, .. } | Visit::Failed(cause) if cause.is_login() && cause.is_passing() => {
                again(&cause, Outcome::Back { pause: Some(PAUSE) })
            }
            Visit::Again { cause, pause, host, .. } => again(&cause, Outcome::Later { pause, of_host: host }),
            Visit::Failed(error) => Attempt::Ended(Err(error)),
            _ => Attempt::Refused("it came to something that is not known here".into()),
        })
    }
}
