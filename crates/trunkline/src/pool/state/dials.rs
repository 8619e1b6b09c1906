//! Dials: start, concurrent attempts, success, failure, orphaning (P1, P4, P5, P10).

use std::time::{Duration, Instant};

use super::metrics::Gauge;
use super::requests::Standing;
use super::slots::{Dialer, SlotPhase};
use super::{Action, PoolKey, SlotId, State, TicketId};
use crate::stats::CloseReason;

impl<K: PoolKey> State<K> {
    /// Uses the permit to dial. False if the request was served, or failed, meanwhile.
    pub(crate) fn begin_dial(&mut self, ticket: TicketId, slot: SlotId, now: Instant) -> bool {
        let begins = self.standing(ticket) == Standing::Dialing(slot);
        if begins {
            self.slots[slot.0].since = now;
            self.set_gauge(slot.0, Gauge::Dialing);
            self.metrics.created += 1;
        }
        begins
    }

    /// P1: takes a permit for one more concurrent attempt of the slot's dial, if both limits have
    /// room.
    pub(crate) fn begin_attempt(&mut self, slot: SlotId) -> bool {
        let host = self.host_of(slot.0);
        if !self.has_room() || !self.host_has_room(host) {
            return false;
        }
        self.slots[slot.0].attempts += 1;
        self.count_taken(host, Gauge::Dialing, 1);
        self.metrics.created += 1;
        true
    }

    /// Ends an attempt of [`begin_attempt`](Self::begin_attempt) that lost the race or failed, and
    /// whose socket is gone.
    pub(crate) fn end_attempt(&mut self, slot: SlotId, now: Instant) {
        self.slots[slot.0].attempts -= 1;
        self.count_taken(self.host_of(slot.0), Gauge::Dialing, -1);
        self.metrics.closed(CloseReason::Superseded);
        self.dispatch_waiters(now);
    }

    /// Completes the slot's dial. True if the request that dialed has the connection; else the pool
    /// has it (P4).
    pub(crate) fn dialed(&mut self, slot: SlotId, now: Instant) -> bool {
        let SlotPhase::Dialing(dialer) = self.slots[slot.0].phase else { return false };
        self.slots[slot.0].expires = self.lifetime_deadline(slot.0, now);
        self.metrics.connect.record(now.saturating_duration_since(self.slots[slot.0].since));
        match dialer {
            Dialer::Ticket(ticket) => {
                self.metrics.record_checkout(false, self.tickets[ticket].waited);
                self.dequeue(ticket);
                self.remove_ticket(ticket);
                self.lease(slot.0, now);
            }
            Dialer::Lease => {
                self.metrics.record_checkout(false, Duration::ZERO);
                self.lease(slot.0, now);
            }
            Dialer::Orphaned => self.release(slot.0, now),
        }
        self.dispatch_waiters(now);
        dialer != Dialer::Orphaned
    }

    /// P5: frees the slot of a dial that failed and left no socket. True if the request that dialed
    /// still waits for it, and so fails with it; no other request does.
    pub(crate) fn dial_failed(&mut self, slot: SlotId, now: Instant) -> bool {
        let phase = self.slots[slot.0].phase;
        if let SlotPhase::Dialing(Dialer::Ticket(ticket)) = phase {
            self.dequeue(ticket);
            self.remove_ticket(ticket);
        }
        self.metrics.dials_failed += 1;
        self.free(slot.0, CloseReason::DialFailed);
        self.dispatch_waiters(now);
        matches!(phase, SlotPhase::Dialing(Dialer::Ticket(_) | Dialer::Lease))
    }

    /// P10: starts a dial in the slot of a connection whose socket is gone.
    pub(super) fn start_redial(&mut self, slot: usize, reason: CloseReason, now: Instant) {
        self.metrics.closed(reason);
        self.metrics.created += 1;
        self.set_phase(slot, SlotPhase::Dialing(Dialer::Lease));
        let slot = &mut self.slots[slot];
        slot.served = None;
        slot.since = now;
        slot.generation = self.generation;
    }

    /// P4: hands the dial of a request that took another connection to the maintenance task.
    pub(super) fn orphan_dial(&mut self, slot: usize) {
        if self.slots[slot].gauge == Gauge::Reserved {
            return self.free(slot, CloseReason::Cancelled);
        }
        self.set_phase(slot, SlotPhase::Dialing(Dialer::Orphaned));
        self.actions.push_back(Action::Drive(SlotId(slot)));
    }

    pub(super) fn list_orphan(&mut self, slot: usize) {
        let key = &mut self.key_entries[self.slots[slot].key];
        key.orphans += 1;
        self.unwanted += usize::from(key.queue.is_empty());
        self.orphans.push_back(&mut self.slots, slot);
    }

    pub(super) fn unlist_orphan(&mut self, slot: usize) {
        let key = &mut self.key_entries[self.slots[slot].key];
        key.orphans -= 1;
        self.unwanted -= usize::from(key.queue.is_empty());
        self.orphans.remove(&mut self.slots, slot);
    }

    /// P7: gives up the dial of a request that no longer wants it, begun or not.
    pub(super) fn cancel_dial(&mut self, slot: usize, reason: CloseReason) {
        match self.slots[slot].gauge {
            Gauge::Reserved => self.free(slot, reason),
            _ => self.close_slot(slot, reason),
        }
    }
}
