//! Connections in the making: begun, raced, made, failed, left behind (P1, P4, P5, P10).

use std::time::{Duration, Instant};

use super::ledger::Column;
use super::requests::Standing;
use super::slots::{Dialer, Phase};
use super::{Action, PoolKey, SlotId, State, TicketId};
use crate::stats::CloseReason;

impl<K: PoolKey> State<K> {
    /// The request makes use of its leave to dial. False if it was served, or failed, meanwhile.
    pub(crate) fn begin_dial(&mut self, ticket: TicketId, slot: SlotId, now: Instant) -> bool {
        let begins = self.standing(ticket) == Standing::Dialing(slot);
        if begins {
            self.slots[slot.0].since = now;
            self.set_column(slot.0, Column::Dialing);
            self.ledger.created += 1;
        }
        begins
    }

    /// P1: leave for one more concurrent attempt of the slot's dial, if both limits have room that
    /// nobody waits for.
    pub(crate) fn begin_attempt(&mut self, slot: SlotId) -> bool {
        let host = self.host_of(slot.0);
        if !self.has_room() || !self.host_has_room(host) {
            return false;
        }
        self.slots[slot.0].attempts += 1;
        self.count_taken(host, Column::Dialing, 1);
        self.ledger.created += 1;
        true
    }

    /// An attempt begun by [`begin_attempt`](Self::begin_attempt) lost the race or failed; its
    /// socket is gone.
    pub(crate) fn end_attempt(&mut self, slot: SlotId, now: Instant) {
        self.slots[slot.0].attempts -= 1;
        self.count_taken(self.host_of(slot.0), Column::Dialing, -1);
        self.ledger.closed(CloseReason::Superseded);
        self.pump(now);
    }

    /// The slot's dial succeeded. True if the request that dialed has the connection now; else it
    /// is the pool's (P4).
    pub(crate) fn dialed(&mut self, slot: SlotId, now: Instant) -> bool {
        let Phase::Dialing(dialer) = self.slots[slot.0].phase else { return false };
        self.slots[slot.0].expires = self.end_of_lifetime(slot.0, now);
        self.ledger.connect.record(now.saturating_duration_since(self.slots[slot.0].since));
        match dialer {
            Dialer::Ticket(ticket) => {
                self.ledger.given(false, self.tickets[ticket].waited);
                self.dequeue(ticket);
                self.discard(ticket);
                self.lend(slot.0, now);
            }
            Dialer::Lease => {
                self.ledger.given(false, Duration::ZERO);
                self.lend(slot.0, now);
            }
            Dialer::Nobody => self.came_back(slot.0, now),
        }
        self.pump(now);
        dialer != Dialer::Nobody
    }

    /// P5: the slot's dial failed and left no socket. True if the request that dialed it still did,
    /// and so fails with it; nobody else does.
    pub(crate) fn dial_failed(&mut self, slot: SlotId, now: Instant) -> bool {
        let phase = self.slots[slot.0].phase;
        if let Phase::Dialing(Dialer::Ticket(ticket)) = phase {
            self.dequeue(ticket);
            self.discard(ticket);
        }
        self.ledger.dials_failed += 1;
        self.free(slot.0, CloseReason::DialFailed);
        self.pump(now);
        matches!(phase, Phase::Dialing(Dialer::Ticket(_) | Dialer::Lease))
    }

    /// P10: a new connection is dialed in the slot of one whose socket is gone.
    pub(super) fn dial_anew(&mut self, slot: usize, reason: CloseReason, now: Instant) {
        self.ledger.closed(reason);
        self.ledger.created += 1;
        self.set_phase(slot, Phase::Dialing(Dialer::Lease));
        let slot = &mut self.slots[slot];
        slot.served = None;
        slot.since = now;
        slot.generation = self.generation;
    }

    /// P4: its request was served otherwise.
    pub(super) fn leave_behind(&mut self, slot: usize) {
        if self.slots[slot].column == Column::Reserved {
            return self.free(slot, CloseReason::Cancelled);
        }
        self.set_phase(slot, Phase::Dialing(Dialer::Nobody));
        self.actions.push_back(Action::Tend(SlotId(slot)));
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

    /// P7: its request no longer wants the dial, begun or not.
    pub(super) fn end_dial(&mut self, slot: usize, reason: CloseReason) {
        match self.slots[slot].column {
            Column::Reserved => self.free(slot, reason),
            _ => self.close_slot(slot, reason),
        }
    }
}
