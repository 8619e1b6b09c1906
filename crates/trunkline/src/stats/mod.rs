//! Statistics of a pool: counts, reasons of closes, and the report of its close.

mod histogram;

use std::fmt;
use std::time::Duration;

pub use self::histogram::Histogram;

/// The reason why a connection, or an attempt to make one, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// Idle for longer than the pool's `idle_timeout` or the server's `Keep-Alive` allows.
    IdleTimeout,
    /// Older than `max_lifetime`.
    Lifetime,
    /// Made before the last `Pool::refresh`.
    Refreshed,
    /// Closed by the server while idle.
    PeerClosed,
    /// Idle, and its place was needed for another host.
    Evicted,
    /// Served its own host for long enough while an older request of another waited.
    Yielded,
    /// The server or the request said `Connection: close`, or HTTP/1.0 did, or it was
    /// [retired](crate::ConnectionHandle::retire).
    NotPersistent,
    /// The exchange was not complete on both sides when its response was dropped or its request
    /// failed.
    Incomplete,
    /// The request was dropped while it dialed.
    Cancelled,
    /// The dial failed.
    DialFailed,
    /// Another address, tried at the same time, answered first.
    Superseded,
    /// The request's deadline passed.
    Deadline,
    /// The server was silent for longer than the request's `read` timeout.
    Silence,
    /// The tokio runtime that drove it ended.
    RuntimeGone,
    /// The pool was closed.
    Closed,
    /// The pool or the session was closed, and the request did not finish within the grace.
    Aborted,
}

impl CloseReason {
    const ALL: [Self; Self::COUNT] = [
        Self::IdleTimeout,
        Self::Lifetime,
        Self::Refreshed,
        Self::PeerClosed,
        Self::Evicted,
        Self::Yielded,
        Self::NotPersistent,
        Self::Incomplete,
        Self::Cancelled,
        Self::DialFailed,
        Self::Superseded,
        Self::Deadline,
        Self::Silence,
        Self::RuntimeGone,
        Self::Closed,
        Self::Aborted,
    ];
    pub(crate) const COUNT: usize = Self::Aborted as usize + 1;
}

/// The number of ended connections by reason.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Closes([u64; CloseReason::COUNT]);

impl Closes {
    pub(crate) fn new(counts: [u64; CloseReason::COUNT]) -> Self {
        Self(counts)
    }

    /// The number that ended for this reason.
    pub fn by(&self, reason: CloseReason) -> u64 {
        self.0[reason as usize]
    }

    /// The number that ended, in total.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Every reason that occurred, with its count.
    pub fn iter(&self) -> impl Iterator<Item = (CloseReason, u64)> {
        CloseReason::ALL.into_iter().map(|reason| (reason, self.by(reason))).filter(|&(_, count)| count > 0)
    }
}

impl fmt::Debug for Closes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// A pool's figures, all of one instant.
///
/// They add up: `open = idle + in_use + dialing = created − closed.total()`, and each of the first
/// five is the sum of its hosts'. `reused ≤ wait.count() ≤ reused + connect.count()`: whatever is
/// given to a request was given before or was made, and what lacks to the right are connections
/// that were made and not used so far. `reused / wait.count()` is the share of requests that were
/// spared a dial.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Sockets owned, those still being connected included.
    pub open: usize,
    /// Idle connections, kept for the next request.
    pub idle: usize,
    /// Connections that serve a request.
    pub in_use: usize,
    /// Connections being made.
    pub dialing: usize,
    /// Requests that wait for a connection or for a permit to dial.
    pub waiting: usize,
    /// Connections begun since the pool was made, failed ones included.
    pub created: u64,
    /// Times a request was given a connection that had served another.
    pub reused: u64,
    /// Connections ended since the pool was made, those that were never established included.
    pub closed: Closes,
    /// Connections that could not be made: the same as `closed.by(CloseReason::DialFailed)`.
    pub dials_failed: u64,
    /// Times that requests waited for a connection or for a permit to dial, as bounded by
    /// [`Timeouts::acquire`](crate::Timeouts::acquire). One entry for each connection that a
    /// request got, zero if it got it at once. A connection that replaces a dead one is no further
    /// wait. Requests that left without a connection are not included.
    pub wait: Histogram,
    /// Times that dialing took, from the lookup to the end of the TLS handshake, one for each
    /// established connection. Failed dials count in `dials_failed` alone.
    pub connect: Histogram,
    /// The same for each host that has connections or waiting requests now.
    pub hosts: Vec<HostStats>,
}

/// One host's share of [`PoolStats`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostStats {
    /// `host:port`.
    pub host: String,
    /// Sockets owned.
    pub open: usize,
    /// Idle connections.
    pub idle: usize,
    /// Connections that serve a request.
    pub in_use: usize,
    /// Connections being made.
    pub dialing: usize,
    /// Requests that wait.
    pub waiting: usize,
}

/// The result of a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseReport {
    /// Requests that were under way and finished within the grace.
    pub drained: usize,
    /// Requests that were under way and were aborted when the grace was over.
    pub aborted: usize,
    /// Connections that ended between the call and its end, of the whole pool.
    pub closed: u64,
    /// From the call to the last socket's end.
    pub elapsed: Duration,
}

impl fmt::Display for CloseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { drained, aborted, closed, elapsed } = self;
        let plural = |count: u64| if count == 1 { "" } else { "s" };
        let requests = plural(*drained as u64);
        write!(f, "{drained} request{requests} drained, {aborted} aborted, ")?;
        write!(f, "{closed} connection{} closed in {elapsed:.1?}", plural(*closed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_count() {
        for (position, reason) in CloseReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, position);
        }
    }
}
