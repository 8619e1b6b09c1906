//! Slots: leave to own one socket each, from before the socket exists until it is gone (P1).

use std::time::{Duration, Instant};

use super::ledger::Column;
use super::list::{Linked, Links};
use super::{Action, Owner, PoolKey, SlotId, State};
use crate::stats::CloseReason;

pub(super) struct Slot {
    pub(super) key: usize,
    /// Whose request it serves, or served last.
    pub(super) owner: Owner,
    pub(super) phase: Phase,
    pub(super) column: Column,
    /// When the phase began.
    pub(super) since: Instant,
    /// The end of its lifetime.
    pub(super) expires: Option<Instant>,
    pub(super) generation: u32,
    /// Requests of its own key served in a row over the head of an older one of another key.
    pub(super) streak: u8,
    /// What the server said: `Keep-Alive: timeout=n`, less a second.
    pub(super) keep_alive: Option<Duration>,
    /// Concurrent attempts besides the first, each with a slot's worth of the limits.
    pub(super) attempts: usize,
    /// When it is to be closed, once the keeper watches it.
    pub(super) adopted: Option<Instant>,
    /// When its last exchange ended.
    pub(super) served: Option<Instant>,
    /// As held too long (P14).
    pub(super) reported: bool,
    pub(super) links: [Links; 3],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Dialing(Dialer),
    InUse,
    Idle,
    Closing(CloseReason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialer {
    /// A queued request; it may be served otherwise.
    Ticket(usize),
    /// A request that dials anew in the slot of a connection that failed it (P10).
    Lease,
    /// Its request was served otherwise (P4).
    Nobody,
}

// A slot's places in lists: of its key, of its host, of all.
pub(super) const KEY: usize = 0;
pub(super) const HOST: usize = 1;
pub(super) const ALL: usize = 2;

impl Slot {
    /// It is the keeper's: an idle connection, or a dial left behind.
    pub(super) fn is_unused(&self) -> bool {
        matches!(self.phase, Phase::Idle | Phase::Dialing(Dialer::Nobody))
    }
}

impl<K: PoolKey> State<K> {
    /// For the ticket to dial in.
    pub(super) fn open_slot(&mut self, entry: usize, ticket: usize, now: Instant) -> usize {
        let slot = self.slots.insert(Slot {
            key: entry,
            owner: self.tickets[ticket].owner,
            phase: Phase::Dialing(Dialer::Ticket(ticket)),
            column: Column::Reserved,
            since: now,
            expires: None,
            generation: self.generation,
            streak: 0,
            keep_alive: None,
            attempts: 0,
            adopted: None,
            served: None,
            reported: false,
            links: [Links::default(); 3],
        });
        self.key_entries[entry].members += 1;
        self.count_taken(self.key_entries[entry].host, Column::Reserved, 1);
        slot
    }

    /// The slot goes on to another phase, and what it counts as and the lists it stands in with it.
    /// Nothing else changes a phase.
    pub(super) fn set_phase(&mut self, slot: usize, phase: Phase) {
        self.leave_phase(slot);
        self.slots[slot].phase = phase;
        match phase {
            Phase::Dialing(Dialer::Nobody) => self.list_orphan(slot),
            Phase::Dialing(Dialer::Ticket(_) | Dialer::Lease) => self.set_column(slot, Column::Dialing),
            Phase::InUse => self.set_column(slot, Column::InUse),
            Phase::Idle => {
                self.set_column(slot, Column::Idle);
                self.list_idle(slot);
            }
            // It counts as what it was until its socket is gone.
            Phase::Closing(_) => self.closing += 1,
        }
    }

    fn leave_phase(&mut self, slot: usize) {
        match self.slots[slot].phase {
            Phase::Dialing(Dialer::Nobody) => self.unlist_orphan(slot),
            Phase::Dialing(Dialer::Ticket(_) | Dialer::Lease) | Phase::InUse => {}
            Phase::Idle => self.unlist_idle(slot),
            Phase::Closing(_) => self.closing -= 1,
        }
    }

    pub(super) fn set_column(&mut self, slot: usize, column: Column) {
        let host = self.host_of(slot);
        let from = std::mem::replace(&mut self.slots[slot].column, column);
        self.count(host, from, -1);
        self.count(host, column, 1);
    }

    /// Has the shell drop what the slot holds.
    pub(super) fn close_slot(&mut self, slot: usize, reason: CloseReason) {
        self.set_phase(slot, Phase::Closing(reason));
        self.actions.push_back(Action::Close(SlotId(slot)));
    }

    /// The slot's socket is gone.
    pub(crate) fn closed(&mut self, slot: SlotId, reason: CloseReason, now: Instant) {
        let reason = match self.slots[slot.0].phase {
            Phase::Closing(decided) => decided,
            _ => reason,
        };
        self.free(slot.0, reason);
        self.pump(now);
    }

    /// There is no socket in the slot, or none any more.
    pub(super) fn free(&mut self, slot: usize, reason: CloseReason) {
        self.leave_phase(slot);
        let Slot { key: entry, column, attempts, .. } = self.slots.remove(slot);
        debug_assert_eq!(attempts, 0, "a dial ends its attempts before it ends");
        if column != Column::Reserved {
            self.ledger.closed(reason);
        }
        self.count_taken(self.key_entries[entry].host, column, -1);
        self.leave(entry);
    }

    /// More or less of the limits is taken.
    pub(super) fn count_taken(&mut self, host: usize, column: Column, by: isize) {
        self.count(host, column, by);
        self.relist_host(host);
    }

    pub(super) fn count(&mut self, host: usize, column: Column, by: isize) {
        for tally in [&mut self.ledger.total, &mut self.host_entries[host].tally] {
            tally.count(column, by);
        }
    }
}

impl Linked for Slot {
    fn links(&self, list: usize) -> Links {
        self.links[list]
    }
    fn links_mut(&mut self, list: usize) -> &mut Links {
        &mut self.links[list]
    }
}
