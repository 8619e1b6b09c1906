//! What can be set of an application's life, with the defaults.

use std::time::Duration;

/// Settings for the life of an application. [`run`](Self::run) begins it.
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until an application runs with them"]
pub struct Lifespan {
    pub(crate) signals: bool,
    pub(crate) connections: usize,
    pub(crate) pause: Duration,
    pub(crate) drain_within: Duration,
    pub(crate) stop_within: Duration,
    pub(crate) release_within: Duration,
}

impl Lifespan {
    /// The default settings.
    pub fn new() -> Self {
        const TEN: Duration = Duration::from_secs(10);
        Self {
            signals: true,
            connections: 10_000,
            pause: Duration::ZERO,
            drain_within: Duration::from_secs(15),
            stop_within: TEN,
            release_within: TEN,
        }
    }

    /// The most connections that each listener has at once. Beyond it nothing is accepted, so that
    /// whoever comes waits in the listener's queue until a connection ends. By default 10 000;
    /// zero counts as one.
    ///
    /// Each takes a file descriptor, so the limit should be below that of the process (`ulimit -n`)
    /// by what else the application opens. A connection that was upgraded (a WebSocket) does
    /// not count: it is its handler's.
    pub fn connections(mut self, limit: usize) -> Self {
        self.connections = limit;
        self
    }

    /// How long to go on accepting connections after the application has said that it is not ready,
    /// so that whoever distributes requests can take note. By default no time.
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// How long requests under way may take to finish; then they are aborted. By default 15 s.
    pub fn drain_within(mut self, limit: Duration) -> Self {
        self.drain_within = limit;
        self
    }

    /// How long background work may take to end when it is asked to, each; then it is aborted. By
    /// default 10 s. [`Background::stop_within`](crate::Background::stop_within) sets it for
    /// one.
    pub fn stop_within(mut self, limit: Duration) -> Self {
        self.stop_within = limit;
        self
    }

    /// How long a release may take, each; then it is aborted. By default 10 s.
    /// [`Opening::release_within`](crate::Opening::release_within) sets it for one.
    pub fn release_within(mut self, limit: Duration) -> Self {
        self.release_within = limit;
        self
    }

    /// Whether SIGTERM and Ctrl-C end it. By default they do. Without them, for tests,
    /// [`Shutdown::begin`](crate::Shutdown::begin) does.
    pub fn signals(mut self, listen: bool) -> Self {
        self.signals = listen;
        self
    }
}

impl Default for Lifespan {
    fn default() -> Self {
        Self::new()
    }
}
