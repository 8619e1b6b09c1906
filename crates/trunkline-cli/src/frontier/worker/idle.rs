//! How soon to look again where nothing was to be claimed.

use std::time::Duration;

use tokio::time::Instant;

/// The pauses double, up to the longest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Idle(Duration);

const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1);

impl Idle {
    pub(super) fn new() -> Self {
        Self(SHORTEST)
    }

    /// Nothing was there. If it is known in what time there may be something, that is it, unless
    /// the pause is over before: others may change it.
    pub(super) fn look_at(&mut self, now: Instant, look_in: Option<Duration>) -> Instant {
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST);
        now + look_in.map_or(pause, |known| known.clamp(SHORTEST, LONGEST).min(pause))
    }
}
