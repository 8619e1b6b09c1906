//! Closing: of a generation, a runtime, a session or the pool (P8, P11).

use std::time::Instant;

use super::requests::{Standing, Ticket};
use super::slots::{Dialer, Slot, SlotPhase};
use super::{Action, Owner, PoolKey, PoolStatus, SlotId, State, TicketId};
use crate::stats::CloseReason;

impl<K: PoolKey> State<K> {
    pub(crate) fn is_open(&self) -> bool {
        self.status == PoolStatus::Open
    }

    /// P8: connections made until now serve no further request.
    pub(crate) fn refresh(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.close_unused(CloseReason::Refreshed, |_| true);
    }

    /// Closes the unused connections of keys whose runtime is gone: nothing drives them any more.
    pub(crate) fn close_runtime(&mut self, gone: impl Fn(&K) -> bool) {
        self.close_unused(CloseReason::RuntimeGone, gone);
    }

    /// P11: refuses new requests and fails waiting ones; requests under way may finish. Returns the
    /// number of waiting requests that failed.
    pub(crate) fn drain(&mut self) -> usize {
        if self.status != PoolStatus::Open {
            return 0;
        }
        self.status = PoolStatus::Draining;
        self.close_unused(CloseReason::Closed, |_| true);
        self.fail_tickets(|ticket| ticket.standing == Standing::Waiting)
    }

    /// P11: fails the session's waiting requests; the pool serves other sessions. Returns the
    /// number of requests that failed.
    pub(crate) fn drain_owner(&mut self, owner: Owner) -> usize {
        let failed = self.fail_tickets(|ticket| ticket.standing == Standing::Waiting && ticket.owner == owner);
        // An orphaned dial that only these requests wanted may hold a slot that another needs.
        self.evict_orphan();
        failed
    }

    /// P11: ends the requests that are still under way, of one session or of all. Returns their
    /// number.
    pub(crate) fn abort(&mut self, owner: Option<Owner>, now: Instant) -> usize {
        if owner.is_none() {
            self.drain();
            self.status = PoolStatus::Closed;
            // Dials may have been orphaned during the drain.
            self.close_unused(CloseReason::Closed, |_| true);
        }
        self.aborted_owners.extend(owner);
        let owned = |by: Owner| owner.is_none_or(|owner| by == owner);
        let aborted = self.fail_tickets(|ticket| owned(ticket.owner)) + self.abort_leases(|slot| owned(slot.owner));
        self.dispatch_waiters(now);
        aborted
    }

    fn fail_tickets(&mut self, selected: impl Fn(&Ticket) -> bool) -> usize {
        let live = |ticket: &Ticket| ticket.standing != Standing::Closed && selected(ticket);
        let failing: Vec<_> = self.tickets.iter().filter(|(_, ticket)| live(ticket)).map(|(id, _)| id).collect();
        for &ticket in &failing {
            match self.tickets[ticket].standing {
                Standing::Granted(slot) => self.close_slot(slot.0, CloseReason::Aborted),
                Standing::Dialing(slot) => {
                    self.dequeue(ticket);
                    self.cancel_dial(slot.0, CloseReason::Aborted);
                }
                Standing::Waiting | Standing::Closed => self.dequeue(ticket),
            }
            self.tickets[ticket].standing = Standing::Closed;
            self.actions.push_back(Action::Wake(TicketId(ticket)));
        }
        failing.len()
    }

    fn abort_leases(&mut self, selected: impl Fn(&Slot) -> bool) -> usize {
        let leased =
            |slot: &Slot| matches!(slot.phase, SlotPhase::InUse | SlotPhase::Dialing(Dialer::Lease)) && selected(slot);
        let leases: Vec<_> = self.slots.iter().filter(|(_, slot)| leased(slot)).map(|(id, _)| id).collect();
        for &slot in &leases {
            self.set_phase(slot, SlotPhase::Closing(CloseReason::Aborted));
            self.actions.push_back(Action::Abort(SlotId(slot)));
        }
        leases.len()
    }

    /// Closes idle connections and orphaned dials of the selected keys.
    fn close_unused(&mut self, reason: CloseReason, selected: impl Fn(&K) -> bool) {
        let wanted = |slot: &Slot| selected(&self.key_entries[slot.key].key);
        let unused = self.slots.iter().filter(|(_, slot)| slot.is_unused() && wanted(slot));
        let unused: Vec<_> = unused.map(|(id, _)| id).collect();
        for slot in unused {
            self.close_slot(slot, reason);
        }
    }
}
