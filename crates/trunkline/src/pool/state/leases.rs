//! Leases: lending, release to the next request, replacement (P3, P4, P8, P10).

use std::time::{Duration, Instant};

use super::requests::Standing;
use super::slots::{Slot, SlotPhase};
use super::{Action, PoolKey, PoolStatus, SlotId, State, TicketId};
use crate::stats::CloseReason;

/// Most requests in a row that a connection serves while an older one of another key lacks only its
/// slot (P3).
pub(super) const MAX_STREAK: u8 = 16;

/// Replacement of a connection that was found dead when it was to be reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replacement<H = SlotId> {
    /// Another idle connection, leased to the request.
    Reuse(H),
    /// A dial in the slot of the dead connection.
    Dial,
    /// None: the request was aborted meanwhile.
    Closed,
}

impl Replacement {
    pub(crate) fn map<H>(self, handle: impl FnOnce(SlotId) -> H) -> Replacement<H> {
        match self {
            Self::Reuse(slot) => Replacement::Reuse(handle(slot)),
            Self::Dial => Replacement::Dial,
            Self::Closed => Replacement::Closed,
        }
    }
}

impl<K: PoolKey> State<K> {
    pub(super) fn lease(&mut self, slot: usize, now: Instant) {
        self.set_phase(slot, SlotPhase::InUse);
        let slot = &mut self.slots[slot];
        slot.since = now;
        slot.reported = false;
    }

    /// P8: ends a lease whose exchange is complete and whose connection is fit for another.
    /// False if the lease was aborted before: the caller drops the socket.
    pub(crate) fn returned(&mut self, slot: SlotId, keep_alive: Option<Duration>, now: Instant) -> bool {
        let leased = self.slots.get(slot.0).is_some_and(|slot| slot.phase == SlotPhase::InUse);
        if leased {
            self.slots[slot.0].keep_alive = keep_alive;
            self.slots[slot.0].served = Some(now);
            self.release(slot.0, now);
            self.dispatch_waiters(now);
        }
        leased
    }

    /// P10: replaces a connection in use that was found dead before a byte was written on it, and
    /// whose socket is gone: by another idle one, or by a dial in its slot.
    pub(crate) fn replace(&mut self, slot: SlotId, reason: CloseReason, now: Instant) -> Replacement {
        let Slot { key, owner, phase, .. } = self.slots[slot.0];
        if phase == SlotPhase::InUse
            && let Some(other) = self.take_idle(key, owner, now)
        {
            self.free(slot.0, reason);
            self.dispatch_waiters(now);
            return Replacement::Reuse(SlotId(other));
        }
        self.redial(slot, reason, now)
    }

    /// P10: starts a dial, without queueing, in the slot of a connection in use that failed its
    /// request and whose socket is gone.
    pub(crate) fn redial(&mut self, slot: SlotId, reason: CloseReason, now: Instant) -> Replacement {
        if self.slots[slot.0].phase != SlotPhase::InUse {
            self.closed(slot, reason, now);
            return Replacement::Closed;
        }
        self.start_redial(slot.0, reason, now);
        Replacement::Dial
    }

    /// Time since the connection's last exchange; `Duration::MAX` if it has had none.
    pub(crate) fn idle_time(&self, slot: SlotId, now: Instant) -> Duration {
        self.slots[slot.0].served.map_or(Duration::MAX, |ended| now.saturating_duration_since(ended))
    }

    /// Passes a free connection on: to the next request of its key, or its slot to an older request
    /// of another key (P3), or parks it idle.
    pub(super) fn release(&mut self, slot: usize, now: Instant) {
        let entry = self.slots[slot].key;
        if let Some(reason) = self.unusable_reason(slot, now) {
            return self.close_slot(slot, reason);
        }
        let Some(next) = self.key_entries[entry].queue.front() else {
            return self.park_idle(slot, now);
        };
        if self.overtakes(entry, next) {
            if self.slots[slot].streak == MAX_STREAK {
                return self.close_slot(slot, CloseReason::Yielded);
            }
            self.slots[slot].streak += 1;
        } else {
            self.slots[slot].streak = 0;
        }
        self.grant(slot, next, now);
    }

    /// Reason not to reuse a connection that was released.
    fn unusable_reason(&self, slot: usize, now: Instant) -> Option<CloseReason> {
        let unwanted = self.key_entries[self.slots[slot].key].queue.is_empty();
        let closed = (self.status != PoolStatus::Open && unwanted).then_some(CloseReason::Closed);
        self.retirement_reason(slot, now).or(closed)
    }

    /// True if serving `next`, of the key `entry`, overtakes an older request of another key that
    /// could proceed with this slot: it lacks only the total limit, or its host's limit holds it up
    /// and this slot is of the same host.
    fn overtakes(&self, entry: usize, next: usize) -> bool {
        let own_host = self.key_entries[entry].host;
        let overall = self.ready.first().map(|&(_, host)| host);
        let sibling = (!self.host_has_room(own_host)).then_some(own_host);
        overall.into_iter().chain(sibling).any(|host| {
            // `next` is the oldest of its own key, so an older one is of another.
            let oldest = self.host_entries[host].waiting.first();
            oldest.is_some_and(|&(arrival, _)| arrival < self.tickets[next].arrival)
        })
    }

    /// Grants the connection to a queued request and orphans the dial that it may have begun (P4).
    fn grant(&mut self, slot: usize, ticket: usize, now: Instant) {
        self.dequeue(ticket);
        match self.tickets[ticket].standing {
            Standing::Dialing(dial) => self.orphan_dial(dial.0),
            _ => self.record_wait(ticket, now),
        }
        self.tickets[ticket].standing = Standing::Granted(SlotId(slot));
        self.slots[slot].owner = self.tickets[ticket].owner;
        self.lease(slot, now);
        self.actions.push_back(Action::Wake(TicketId(ticket)));
    }

    /// Parks a connection that no request of its key wants, unless a request of another key lacks
    /// its slot.
    fn park_idle(&mut self, slot: usize, now: Instant) {
        if self.host_needs_slot(self.host_of(slot)) {
            return self.close_slot(slot, CloseReason::Evicted);
        }
        self.set_phase(slot, SlotPhase::Idle);
        let idle = &mut self.slots[slot];
        idle.since = now;
        idle.streak = 0;
        self.actions.push_back(Action::Watch(SlotId(slot)));
    }
}
