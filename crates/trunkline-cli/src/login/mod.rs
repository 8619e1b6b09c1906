//! Logging in: `trunkline login`, and what `fetch --login` does first.

mod command;
mod plan;

mod fields;
mod password;
mod terminal;

use std::time::Duration;

use trunkline_scrape::{Page, Scraper};

pub(crate) use self::command::{Config, run};
pub(crate) use self::plan::Plan;
#[cfg(feature = "frontier")]
pub(crate) use self::plan::Prepared;
use crate::signals::Shutdown;

/// What it came to: the page that it led to, or the number of the signal that came first.
pub(crate) type LoggedIn = Result<Page, u8>;

/// Logs in. Unless that works, the session is closed.
pub(crate) async fn log_in(plan: Plan, scraper: &Scraper, shutdown: &mut Shutdown) -> anyhow::Result<LoggedIn> {
    let done = tokio::select! {
        biased;
        signal = shutdown.next() => Ok(Err(signal)),
        done = plan.log_in(scraper) => done.map(Ok),
    };
    if !matches!(done, Ok(Ok(_))) {
        scraper.session().close_within(Duration::ZERO).await;
    }
    done
}
