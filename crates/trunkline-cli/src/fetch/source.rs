//! The interface between the fetch loop and a source of URLs.

use tokio::sync::oneshot;
use trunkline::Session;

use super::Run;

/// Permissions of one round of the loop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    /// New pages may start: nothing has asked for the end, and the output has room.
    pub(crate) may_start: bool,
    /// Finished pages may be taken. During a shutdown this holds even with a full output: only a
    /// few lines follow, and a reader that takes none must not hold up a page.
    pub(crate) may_finish: bool,
}

/// Effect of an event on the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Continue,
    /// The output is gone; no line can be written any more.
    OutputClosed,
}

/// Source of URLs with the pages under way: starts pages while there is capacity, and yields them
/// when they are finished.
pub(crate) trait UrlSource {
    /// Event that [`next`](Self::next) waits for, such as a finished page.
    type Event;

    /// Session that fetches the pages.
    fn session(&self) -> &Session;

    /// Number of pages in the whole source, if known.
    fn total(&self) -> Option<u64>;

    /// True if no page is under way.
    fn is_idle(&self) -> bool;

    /// True if the run is complete after a stop: no page is under way, and each line is recorded.
    fn is_drained(&self) -> bool;

    /// True if no page is under way and none will follow.
    fn is_exhausted(&self) -> bool;

    /// Starts background work that is due, before the loop waits.
    fn start_due_work(&mut self, capacity: Capacity);

    /// Waits for the next event.
    ///
    /// # Cancel safety
    ///
    /// No event is lost.
    async fn next(&mut self, capacity: Capacity) -> Self::Event;

    /// Processes an event: counts pages and writes lines through `run`.
    ///
    /// # Errors
    ///
    /// The run cannot go on.
    fn handle(&mut self, event: Self::Event, run: &mut Run) -> anyhow::Result<Next>;

    /// Records that the lines gathered so far were handed to the writer. `written` resolves when
    /// they are written.
    fn handed_over(&mut self, written: oneshot::Receiver<()>);

    /// Starts no more pages, after the first signal.
    fn wind_down(&mut self, run: &mut Run);

    /// Cancels the pages under way and counts them as given up.
    async fn cancel(&mut self, run: &mut Run);

    /// Releases the source after the output is finished. `all_written` is true if each line was
    /// written.
    async fn release(&mut self, all_written: bool);
}
