//! Graceful shutdown of a run: the first signal stops new pages and starts the grace period,
//! the second ends the program at once.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use trunkline::Session;
pub(crate) use trunkline_lifespan::Signals;

/// Grace period for pages under way.
const GRACE: Duration = Duration::from_secs(5);
/// Extra time for the file and the line of a page that arrived within the grace period.
const WRITE_TIME: Duration = Duration::from_secs(1);
/// Minimum time for closing connections and writing the last lines, even past the deadline.
pub(crate) const MIN_FINISH_TIME: Duration = Duration::from_millis(100);

/// Shutdown state of a run: the signals and, after the first one, the deadline.
pub(crate) struct GracefulShutdown {
    signals: Signals,
    deadline: Option<Instant>,
}

/// Step of the shutdown that the run has to take.
pub(crate) enum ShutdownAction {
    /// Start no more pages. Holds the number of the signal.
    WindDown(u8),
    /// Drop everything that is still under way.
    EndNow,
}

impl GracefulShutdown {
    pub(crate) fn new(signals: Signals) -> Self {
        Self { signals, deadline: None }
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.deadline.is_some()
    }

    /// Waits for the next action. The first signal winds down; a second signal or the deadline
    /// ends the run.
    ///
    /// # Cancel safety
    ///
    /// No signal is lost.
    pub(crate) async fn next_action(&mut self) -> ShutdownAction {
        let Some(deadline) = self.deadline else { return ShutdownAction::WindDown(self.signals.next().await) };
        tokio::select! {
            biased;
            _ = self.signals.next() => self.deadline = Some(Instant::now()),
            () = sleep_until(deadline) => {}
        }
        ShutdownAction::EndNow
    }

    /// Starts the shutdown: requests that wait for a connection fail now, requests under way have
    /// the grace period.
    pub(crate) fn begin(&mut self, session: &Session) {
        let session = session.clone();
        tokio::spawn(async move { session.close_within(GRACE).await });
        self.deadline = Some(Instant::now() + GRACE + WRITE_TIME);
    }

    /// Waits for the last work of the run. During a shutdown the deadline limits the wait, so that
    /// a blocked output cannot hold up the program.
    ///
    /// # Errors
    ///
    /// The work is not done: the deadline has passed (`None`), or a signal came (its number).
    pub(crate) async fn finish<T>(mut self, work: impl Future<Output = T>) -> Result<T, Option<u8>> {
        let deadline = self.deadline.map(|deadline| deadline.max(Instant::now() + MIN_FINISH_TIME));
        tokio::select! {
            biased;
            done = work => Ok(done),
            () = sleep_until_some(deadline) => Err(None),
            signal = self.signals.next() => Err(Some(signal)),
        }
    }
}

/// Waits until the deadline; forever without one.
pub(crate) async fn sleep_until_some(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
