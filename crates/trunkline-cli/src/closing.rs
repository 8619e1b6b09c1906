//! The end that a signal asks for: no more pages, time for those under way, and a second signal
//! that ends that too.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use trunkline::Session;

use crate::signals::Shutdown;

/// What pages under way have to finish in.
const GRACE: Duration = Duration::from_secs(5);
/// What a page that came in that time has for its file and its line.
const AFTERWARDS: Duration = Duration::from_secs(1);
/// What closing connections and writing the last lines have at least, however late it is.
pub(crate) const AT_ONCE: Duration = Duration::from_millis(100);

/// When to end.
pub(crate) struct Closing {
    shutdown: Shutdown,
    /// When it ends whatever is left to do, once a signal has asked for the end.
    deadline: Option<Instant>,
}

/// What is asked for.
pub(crate) enum Wish {
    /// To begin no more pages. The number of the signal.
    WindDown(u8),
    /// To leave what is left.
    EndNow,
}

impl Closing {
    pub(crate) fn new(shutdown: Shutdown) -> Self {
        Self { shutdown, deadline: None }
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.deadline.is_some()
    }

    /// The next wish: the first signal's; then another's, or that of the time that is over.
    ///
    /// # Cancel safety
    ///
    /// No signal is lost.
    pub(crate) async fn wish(&mut self) -> Wish {
        let Some(deadline) = self.deadline else { return Wish::WindDown(self.shutdown.next().await) };
        tokio::select! {
            biased;
            _ = self.shutdown.next() => self.deadline = Some(Instant::now()),
            () = sleep_until(deadline) => {}
        }
        Wish::EndNow
    }

    /// Requests that wait for a connection end now, those under way have the grace.
    pub(crate) fn begin(&mut self, session: &Session) {
        let session = session.clone();
        tokio::spawn(async move { session.close_within(GRACE).await });
        self.deadline = Some(Instant::now() + GRACE + AFTERWARDS);
    }

    /// Waits for the last things to be done, as long as that takes; but if it has been asked to
    /// end, it does, whoever blocks its output.
    ///
    /// # Errors
    ///
    /// They are not done: the time is over, or there was that signal.
    pub(crate) async fn last<T>(mut self, things: impl Future<Output = T>) -> Result<T, Option<u8>> {
        let deadline = self.deadline.map(|deadline| deadline.max(Instant::now() + AT_ONCE));
        tokio::select! {
            biased;
            done = things => Ok(done),
            () = until(deadline) => Err(None),
            signal = self.shutdown.next() => Err(Some(signal)),
        }
    }
}

/// For ever, if there is none.
pub(crate) async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
