//! Slots: permits to own one socket each, from before the socket exists until it is gone (P1).

use std::time::{Duration, Instant};

use super::list::{Linked, Links};
use super::metrics::Gauge;
use super::{Action, Owner, PoolKey, SlotId, State};
use crate::stats::CloseReason;

pub(super) struct Slot {
    pub(super) key: usize,
    /// Session of the request that it serves, or served last.
    pub(super) owner: Owner,
    pub(super) phase: SlotPhase,
    pub(super) gauge: Gauge,
    /// Start of the phase.
    pub(super) since: Instant,
    /// End of its lifetime.
    pub(super) expires: Option<Instant>,
    pub(super) generation: u32,
    /// Requests of its own key served in a row over the head of an older one of another key.
    pub(super) streak: u8,
    /// The server's `Keep-Alive: timeout=n`, less a second.
    pub(super) keep_alive: Option<Duration>,
    /// Concurrent attempts beside the first. Each counts as a slot in the limits.
    pub(super) attempts: usize,
    /// Time at which it is to be closed, once the maintenance task watches it.
    pub(super) watched_until: Option<Instant>,
    /// End of its last exchange.
    pub(super) served: Option<Instant>,
    /// True if it was reported as held too long (P14).
    pub(super) reported: bool,
    pub(super) links: [Links; 3],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SlotPhase {
    Dialing(Dialer),
    InUse,
    Idle,
    Closing(CloseReason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialer {
    /// A queued request, which takes another connection if one is ready first.
    Ticket(usize),
    /// A request that dials again in the slot of a connection that failed it (P10).
    Lease,
    /// No request: its own took another connection (P4).
    Orphaned,
}

// Numbers of a slot's links: in the list of its key, of its host, of the pool.
pub(super) const KEY: usize = 0;
pub(super) const HOST: usize = 1;
pub(super) const ALL: usize = 2;

impl Slot {
    /// True for an idle connection and an orphaned dial: only the maintenance task uses them.
    pub(super) fn is_unused(&self) -> bool {
        matches!(self.phase, SlotPhase::Idle | SlotPhase::Dialing(Dialer::Orphaned))
    }
}

impl<K: PoolKey> State<K> {
    /// Takes a slot for the ticket to dial in.
    pub(super) fn open_slot(&mut self, entry: usize, ticket: usize, now: Instant) -> usize {
        let slot = self.slots.insert(Slot {
            key: entry,
            owner: self.tickets[ticket].owner,
            phase: SlotPhase::Dialing(Dialer::Ticket(ticket)),
            gauge: Gauge::Reserved,
            since: now,
            expires: None,
            generation: self.generation,
            streak: 0,
            keep_alive: None,
            attempts: 0,
            watched_until: None,
            served: None,
            reported: false,
            links: [Links::default(); 3],
        });
        self.key_entries[entry].refs += 1;
        self.count_taken(self.key_entries[entry].host, Gauge::Reserved, 1);
        slot
    }

    /// Moves the slot to another phase, with its gauge and its lists. Nothing else changes a phase.
    pub(super) fn set_phase(&mut self, slot: usize, phase: SlotPhase) {
        self.exit_phase(slot);
        self.slots[slot].phase = phase;
        match phase {
            SlotPhase::Dialing(Dialer::Orphaned) => self.list_orphan(slot),
            SlotPhase::Dialing(Dialer::Ticket(_) | Dialer::Lease) => self.set_gauge(slot, Gauge::Dialing),
            SlotPhase::InUse => self.set_gauge(slot, Gauge::InUse),
            SlotPhase::Idle => {
                self.set_gauge(slot, Gauge::Idle);
                self.list_idle(slot);
            }
            // Its gauge stays as it was until its socket is gone.
            SlotPhase::Closing(_) => self.closing += 1,
        }
    }

    fn exit_phase(&mut self, slot: usize) {
        match self.slots[slot].phase {
            SlotPhase::Dialing(Dialer::Orphaned) => self.unlist_orphan(slot),
            SlotPhase::Dialing(Dialer::Ticket(_) | Dialer::Lease) | SlotPhase::InUse => {}
            SlotPhase::Idle => self.unlist_idle(slot),
            SlotPhase::Closing(_) => self.closing -= 1,
        }
    }

    pub(super) fn set_gauge(&mut self, slot: usize, gauge: Gauge) {
        let host = self.host_of(slot);
        let from = std::mem::replace(&mut self.slots[slot].gauge, gauge);
        self.count(host, from, -1);
        self.count(host, gauge, 1);
    }

    /// Asks for the slot's content to be dropped.
    pub(super) fn close_slot(&mut self, slot: usize, reason: CloseReason) {
        self.set_phase(slot, SlotPhase::Closing(reason));
        self.actions.push_back(Action::Close(SlotId(slot)));
    }

    /// Frees the slot, whose socket is gone.
    pub(crate) fn closed(&mut self, slot: SlotId, reason: CloseReason, now: Instant) {
        let reason = match self.slots[slot.0].phase {
            SlotPhase::Closing(decided) => decided,
            _ => reason,
        };
        self.free(slot.0, reason);
        self.dispatch_waiters(now);
    }

    /// Frees a slot that holds no socket.
    pub(super) fn free(&mut self, slot: usize, reason: CloseReason) {
        self.exit_phase(slot);
        let Slot { key: entry, gauge, attempts, .. } = self.slots.remove(slot);
        debug_assert_eq!(attempts, 0, "a dial ends its attempts before it ends");
        if gauge != Gauge::Reserved {
            self.metrics.closed(reason);
        }
        self.count_taken(self.key_entries[entry].host, gauge, -1);
        self.unref_key(entry);
    }

    /// Counts slots that are taken or freed, and updates the order of waiting hosts.
    pub(super) fn count_taken(&mut self, host: usize, gauge: Gauge, by: isize) {
        self.count(host, gauge, by);
        self.reindex_host(host);
    }

    pub(super) fn count(&mut self, host: usize, gauge: Gauge, by: isize) {
        for gauges in [&mut self.metrics.total, &mut self.host_entries[host].gauges] {
            gauges.count(gauge, by);
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
