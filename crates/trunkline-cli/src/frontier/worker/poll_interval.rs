//! Pauses between two attempts to claim from an empty queue.

use std::time::Duration;

use tokio::time::Instant;

/// Pause before the next attempt. It doubles up to [`LONGEST`].
#[derive(Clone, Copy, Debug)]
pub(super) struct PollInterval(Duration);

const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1);

impl PollInterval {
    pub(super) fn new() -> Self {
        Self(SHORTEST)
    }

    /// Time of the next attempt after one that claimed nothing. `ready_in` is the time until a
    /// known URL may be claimed; the pause still bounds the wait, because other programs may add
    /// URLs.
    pub(super) fn next_poll(&mut self, now: Instant, ready_in: Option<Duration>) -> Instant {
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST);
        now + ready_in.map_or(pause, |known| known.clamp(SHORTEST, LONGEST).min(pause))
    }
}
