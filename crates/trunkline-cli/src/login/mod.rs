//! Login through a form, for `trunkline login` and `fetch --login`.

mod command;
mod plan;

mod fields;
mod password;
mod terminal;

use std::time::Duration;

use trunkline_scrape::{Page, Scraper};

pub(crate) use self::command::{LoginConfig, run};
pub(crate) use self::plan::LoginPlan;
#[cfg(feature = "frontier")]
pub(crate) use self::plan::PreparedLogin;
use crate::shutdown::Signals;

/// Page that the login led to, or the number of the signal that came first.
pub(crate) type LoggedIn = Result<Page, u8>;

/// Logs in. After a failure or a signal, the session is closed.
///
/// # Errors
///
/// The login failed.
pub(crate) async fn log_in(plan: LoginPlan, scraper: &Scraper, signals: &mut Signals) -> anyhow::Result<LoggedIn> {
    let done = tokio::select! {
        biased;
        signal = signals.next() => Ok(Err(signal)),
        done = plan.log_in(scraper) => done.map(Ok),
    };
    if !matches!(done, Ok(Ok(_))) {
        scraper.session().close_within(Duration::ZERO).await;
    }
    done
}
