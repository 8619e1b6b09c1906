//! The pool's books: how many of what, for the whole and for each host (P12).

use std::time::Duration;

use crate::stats::{CloseReason, Histogram};

/// What a slot counts as, or a request that waits for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    /// Leave to dial that its request has not made use of yet: there is no socket.
    Reserved,
    Dialing,
    InUse,
    Idle,
    Waiting,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) reserved: usize,
    pub(crate) dialing: usize,
    pub(crate) in_use: usize,
    pub(crate) idle: usize,
    pub(crate) waiting: usize,
}

impl Tally {
    /// Sockets owned.
    pub(crate) fn open(&self) -> usize {
        self.dialing + self.in_use + self.idle
    }

    /// What counts against the limits.
    pub(crate) fn taken(&self) -> usize {
        self.open() + self.reserved
    }

    pub(super) fn count(&mut self, column: Column, by: isize) {
        let figure = match column {
            Column::Reserved => &mut self.reserved,
            Column::Dialing => &mut self.dialing,
            Column::InUse => &mut self.in_use,
            Column::Idle => &mut self.idle,
            Column::Waiting => &mut self.waiting,
        };
        *figure = figure.checked_add_signed(by).expect("nothing is counted out that was not counted in");
    }
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) total: Tally,
    pub(crate) created: u64,
    pub(crate) reused: u64,
    pub(crate) dials_failed: u64,
    pub(crate) closed: [u64; CloseReason::COUNT],
    pub(crate) wait: Histogram,
    pub(crate) connect: Histogram,
}

impl Ledger {
    /// A request has a connection, one that `served` before or not.
    pub(super) fn given(&mut self, served: bool, waited: Duration) {
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
