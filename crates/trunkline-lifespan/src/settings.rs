//! Settings of an application's lifespan, with their defaults.

use std::time::Duration;

/// Settings of an application's lifespan. [`run`](Self::run) runs the application.
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

    /// The limit on open connections of each listener. At the limit no connection is accepted: clients
    /// wait in the listener's queue until a connection ends. By default 10 000; zero counts as one.
    ///
    /// A connection takes a file descriptor, so the limit should be below that of the process
    /// (`ulimit -n`), less the descriptors that the application opens itself. An upgraded connection
    /// (a WebSocket) belongs to its handler and does not count.
    pub fn connections(mut self, limit: usize) -> Self {
        self.connections = limit;
        self
    }

    /// The time between not ready and the close of the listeners, so that a load balancer can notice.
    /// By default zero.
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// The limit on requests in flight at the end, after which they are aborted. By default 15 s.
    pub fn drain_within(mut self, limit: Duration) -> Self {
        self.drain_within = limit;
        self
    }

    /// The limit on stopping each background work, after which it is aborted. By default 10 s.
    /// [`Background::stop_within`](crate::Background::stop_within) sets it for one.
    pub fn stop_within(mut self, limit: Duration) -> Self {
        self.stop_within = limit;
        self
    }

    /// The limit on each release, after which it is aborted. By default 10 s.
    /// [`Opening::release_within`](crate::Opening::release_within) sets it for one.
    pub fn release_within(mut self, limit: Duration) -> Self {
        self.release_within = limit;
        self
    }

    /// Listens for SIGTERM and Ctrl-C; by default true. Tests turn it off and use
    /// [`Shutdown::begin`](crate::Shutdown::begin).
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
