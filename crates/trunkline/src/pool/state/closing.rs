//! Closing, in part or for good (P8, P11).

use std::time::Instant;

use super::requests::{Standing, Ticket};
use super::slots::{Dialer, Phase, Slot};
use super::{Action, Life, Owner, PoolKey, SlotId, State, TicketId};
use crate::stats::CloseReason;

impl<K: PoolKey> State<K> {
    pub(crate) fn is_open(&self) -> bool {
        self.life == Life::Open
    }

    /// P8: connections made until now serve no further request.
    pub(crate) fn refresh(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.close_unused(CloseReason::Refreshed, |_| true);
    }

    /// The runtime that drove these keys' connections is gone: what nobody uses of them is closed.
    pub(crate) fn forsake(&mut self, gone: impl Fn(&K) -> bool) {
        self.close_unused(CloseReason::RuntimeGone, gone);
    }

    /// P11: nothing new from now on, and waiters fail; what is under way may finish.
    /// Returns how many waiters that were.
    pub(crate) fn drain(&mut self) -> usize {
        if self.life != Life::Open {
            return 0;
        }
        self.life = Life::Draining;
        self.close_unused(CloseReason::Closed, |_| true);
        self.fail_tickets(|ticket| ticket.standing == Standing::Waiting)
    }

    /// P11: the session's waiters fail; the pool goes on for others. Returns how many waiters that
    /// were.
    pub(crate) fn drain_owner(&mut self, owner: Owner) -> usize {
        let failed = self.fail_tickets(|ticket| ticket.standing == Standing::Waiting && ticket.owner == owner);
        // A dial left behind that only they wanted may be in somebody's way.
        self.make_room_with_orphans();
        failed
    }

    /// P11: what is still under way ends now, for one session or for all. Returns how many requests
    /// that were.
    pub(crate) fn abort(&mut self, owner: Option<Owner>, now: Instant) -> usize {
        if owner.is_none() {
            self.drain();
            self.life = Life::Closed;
            // While it drained, requests left dials behind.
            self.close_unused(CloseReason::Closed, |_| true);
        }
        self.ended.extend(owner);
        let owned = |of: Owner| owner.is_none_or(|owner| of == owner);
        let aborted = self.fail_tickets(|ticket| owned(ticket.owner)) + self.abort_leases(|slot| owned(slot.owner));
        self.pump(now);
        aborted
    }

    fn fail_tickets(&mut self, which: impl Fn(&Ticket) -> bool) -> usize {
        let live = |ticket: &Ticket| ticket.standing != Standing::Closed && which(ticket);
        let failing: Vec<_> = self.tickets.iter().filter(|(_, ticket)| live(ticket)).map(|(id, _)| id).collect();
        for &ticket in &failing {
            match self.tickets[ticket].standing {
                Standing::Granted(slot) => self.close_slot(slot.0, CloseReason::Aborted),
                Standing::Dialing(slot) => {
                    self.dequeue(ticket);
                    self.end_dial(slot.0, CloseReason::Aborted);
                }
                Standing::Waiting | Standing::Closed => self.dequeue(ticket),
            }
            self.tickets[ticket].standing = Standing::Closed;
            self.actions.push_back(Action::Wake(TicketId(ticket)));
        }
        failing.len()
    }

    fn abort_leases(&mut self, which: impl Fn(&Slot) -> bool) -> usize {
        let leased = |slot: &Slot| matches!(slot.phase, Phase::InUse | Phase::Dialing(Dialer::Lease)) && which(slot);
        let leases: Vec<_> = self.slots.iter().filter(|(_, slot)| leased(slot)).map(|(id, _)| id).collect();
        for &slot in &leases {
            self.set_phase(slot, Phase::Closing(CloseReason::Aborted));
            self.actions.push_back(Action::Abort(SlotId(slot)));
        }
        leases.len()
    }

    /// Closes idle connections and dials left behind.
    fn close_unused(&mut self, reason: CloseReason, which: impl Fn(&K) -> bool) {
        let wanted = |slot: &Slot| which(&self.key_entries[slot.key].key);
        let unused = self.slots.iter().filter(|(_, slot)| slot.is_unused() && wanted(slot));
        let unused: Vec<_> = unused.map(|(id, _)| id).collect();
        for slot in unused {
            self.close_slot(slot, reason);
        }
    }
}
