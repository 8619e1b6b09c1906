//! One attempt to fetch a page, with its line and its settlement.

use std::sync::Arc;
use std::time::{Duration, Instant};

use trunkline::Session;
use trunkline_scrape::{Error, Scraper, Visit};
use url::Url;

use crate::bodies::BodyDirectory;
use crate::error_text;
use crate::frontier::store::{ClaimedUrl, Settlement, SettlementKind};
use crate::input::InputUrl;
use crate::page::{Page, PageOutcome, PageRequest, SavedBody};

/// Pause of a host whose login failed for now: its other pages would fail in the same way.
const LOGIN_PAUSE: Duration = Duration::from_secs(1);

/// Fetcher of single pages.
pub(super) struct Visitor {
    pub(super) scraper: Scraper,
    pub(super) bodies: Option<Arc<BodyDirectory>>,
    pub(super) obeys_robots: bool,
}

/// Result of an attempt.
pub(super) struct Visited {
    /// The page, if this was its last attempt.
    pub(super) page: Option<Page>,
    pub(super) settlement: Settlement,
}

/// End of an attempt.
enum VisitResult {
    Ended(Result<SavedBody, Error>),
    /// The URL cannot be fetched.
    Refused(String),
    Again {
        reason: String,
        kind: SettlementKind,
    },
}

impl Visitor {
    pub(super) fn session(&self) -> &Session {
        self.scraper.session()
    }

    /// Makes one attempt.
    ///
    /// # Errors
    ///
    /// The login [is refused for good](Error::is_shut_out), which concerns every page.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves no partial file behind.
    pub(super) async fn visit(&self, claimed: ClaimedUrl) -> Result<Visited, Error> {
        let begun = Instant::now();
        let ClaimedUrl { id, url: text, attempt } = claimed;
        let parsed = self.scraper.url(&text);
        let request = PageRequest::new(InputUrl { ordinal: id.unsigned_abs(), text, location: None });
        let (result, host_delay) = match &parsed {
            Ok(url) => (self.attempt(url, attempt, &request).await?, self.host_delay(url).await),
            // The row was inserted by other means than `frontier add`.
            Err(error) => (VisitResult::Refused(error_text::describe(error)), None),
        };
        let elapsed = begun.elapsed();
        let page = match (result, &parsed) {
            (VisitResult::Ended(result), Ok(url)) => Page::from_result(request, url, elapsed, result),
            (VisitResult::Again { reason, kind }, _) => {
                let settlement =
                    Settlement { id, kind, status: None, bytes: 0, error: Some(reason), elapsed, host_delay };
                return Ok(Visited { page: None, settlement });
            }
            (VisitResult::Refused(reason), _) => Page::refused(request, elapsed, reason),
            (VisitResult::Ended(_), Err(error)) => Page::refused(request, elapsed, error_text::describe(error)),
        };
        let kind = settlement_kind(page.outcome);
        let (status, bytes, error) = (page.status, page.bytes, page.error.clone());
        let settlement = Settlement { id, kind, status, bytes, error, elapsed, host_delay };
        Ok(Visited { page: Some(page), settlement })
    }

    /// Delay that robots.txt asks for. It is known after the first request to the host.
    async fn host_delay(&self, url: &Url) -> Option<Duration> {
        if self.obeys_robots { Some(self.scraper.pause_of(url).await) } else { None }
    }

    async fn attempt(&self, url: &Url, number: u32, request: &PageRequest) -> Result<VisitResult, Error> {
        request.begin();
        let reader = request.reader(self.bodies.clone());
        let again = |cause: &Error, kind| VisitResult::Again { reason: error_text::of_page(cause, url), kind };
        Ok(match self.scraper.visit(url, number, |response| reader.clone().read(response)).await {
            Visit::Done(body) => VisitResult::Ended(Ok(body)),
            Visit::Failed(error) if error.is_shut_out() => return Err(error),
            // The page was not requested, so the attempt does not count.
            Visit::Again { cause, .. } | Visit::Failed(cause) if cause.is_login() && cause.is_passing() => {
                again(&cause, SettlementKind::Requeue { pause: Some(LOGIN_PAUSE) })
            }
            Visit::Again { cause, pause, host, .. } => again(&cause, SettlementKind::Retry { pause, for_host: host }),
            Visit::Failed(error) => VisitResult::Ended(Err(error)),
            _ => VisitResult::Refused("the scraper returned a result that this version does not know".into()),
        })
    }
}

fn settlement_kind(outcome: PageOutcome) -> SettlementKind {
    match outcome {
        PageOutcome::Fetched => SettlementKind::Done,
        PageOutcome::Refused | PageOutcome::Failed => SettlementKind::Failed,
        PageOutcome::GivenUp => SettlementKind::Requeue { pause: None },
    }
}
