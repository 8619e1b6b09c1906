//! Statistics: gauges of the pool and of each host, and counters of the pool (P12).

use std::time::Duration;

use crate::stats::{CloseReason, Histogram};

/// Gauge that a slot, or a request that waits for one, counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gauge {
    /// A permit to dial that its request has not used yet: no socket exists.
    Reserved,
    Dialing,
    InUse,
    Idle,
    Waiting,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gauges {
    pub(crate) reserved: usize,
    pub(crate) dialing: usize,
    pub(crate) in_use: usize,
    pub(crate) idle: usize,
    pub(crate) waiting: usize,
}

impl Gauges {
    /// Number of sockets.
    pub(crate) fn open(&self) -> usize {
        self.dialing + self.in_use + self.idle
    }

    /// Number of slots that count against the limits.
    pub(crate) fn taken(&self) -> usize {
        self.open() + self.reserved
    }

    pub(super) fn count(&mut self, gauge: Gauge, by: isize) {
        let value = match gauge {
            Gauge::Reserved => &mut self.reserved,
            Gauge::Dialing => &mut self.dialing,
            Gauge::InUse => &mut self.in_use,
            Gauge::Idle => &mut self.idle,
            Gauge::Waiting => &mut self.waiting,
        };
        *value = value.checked_add_signed(by).expect("each decrement follows its increment");
    }
}

#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) total: Gauges,
    pub(crate) created: u64,
    pub(crate) reused: u64,
    pub(crate) dials_failed: u64,
    pub(crate) closed: [u64; CloseReason::COUNT],
    pub(crate) wait: Histogram,
    pub(crate) connect: Histogram,
}

impl Metrics {
    /// Counts a request that was given a connection, which had `served` another before or not.
    pub(super) fn record_checkout(&mut self, served: bool, waited: Duration) {
        self.reused += u64::from(served);
        self.wait.record(waited);
    }

    pub(super) fn closed(&mut self, reason: CloseReason) {
        self.closed[reason as usize] += 1;
    }

    #[cfg(test)]
    pub(crate) fn closed_total(&self) -> u64 {
        self.closed.iter().sum()
    }
}
