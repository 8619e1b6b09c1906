//! Connections lent and given back: to whom one goes that comes back (P3, P4, P8, P10).

use std::time::{Duration, Instant};

use super::requests::Standing;
use super::slots::{Phase, Slot};
use super::{Action, Life, PoolKey, SlotId, State, TicketId};
use crate::stats::CloseReason;

/// How many requests in a row a connection serves while an older one of another key lacks only the
/// total limit (P3).
pub(super) const STREAK: u8 = 16;

/// What takes the place of a connection that was found dead when it was to be reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replacement {
    Reuse(SlotId),
    /// Dial in the dead one's own slot.
    Dial,
    /// The request was aborted meanwhile.
    Closed,
}

impl<K: PoolKey> State<K> {
    pub(super) fn lend(&mut self, slot: usize, now: Instant) {
        self.set_phase(slot, Phase::InUse);
        let slot = &mut self.slots[slot];
        slot.since = now;
        slot.reported = false;
    }

    /// P8: a lease ended with the exchange complete and the connection fit for another.
    /// False if it was aborted before it came back: its socket is to be dropped.
    pub(crate) fn returned(&mut self, slot: SlotId, keep_alive: Option<Duration>, now: Instant) -> bool {
        let leased = self.slots.get(slot.0).is_some_and(|slot| slot.phase == Phase::InUse);
        if leased {
            self.slots[slot.0].keep_alive = keep_alive;
            self.slots[slot.0].served = Some(now);
            self.came_back(slot.0, now);
            self.pump(now);
        }
        leased
    }

    /// P10: the connection in use was found dead before a byte was written on it, and its socket is
    /// gone. Another idle one takes its place, or a new one is dialed in its slot.
    pub(crate) fn replace(&mut self, slot: SlotId, reason: CloseReason, now: Instant) -> Replacement {
        let Slot { key, owner, phase, .. } = self.slots[slot.0];
        if phase == Phase::InUse
            && let Some(other) = self.take_idle(key, owner, now)
        {
            self.free(slot.0, reason);
            self.pump(now);
            return Replacement::Reuse(SlotId(other));
        }
        self.redial(slot, reason, now)
    }

    /// P10: the connection in use failed its request and its socket is gone; a new one is dialed in
    /// its slot, without queueing.
    pub(crate) fn redial(&mut self, slot: SlotId, reason: CloseReason, now: Instant) -> Replacement {
        if self.slots[slot.0].phase != Phase::InUse {
            self.closed(slot, reason, now);
            return Replacement::Closed;
        }
        self.dial_anew(slot.0, reason, now);
        Replacement::Dial
    }

    /// For how long the connection has been without an exchange; without end, if it has never had
    /// one.
    pub(crate) fn rested(&self, slot: SlotId, now: Instant) -> Duration {
        self.slots[slot.0].served.map_or(Duration::MAX, |ended| now.saturating_duration_since(ended))
    }

    /// A connection is there for the taking: for the next request of its key, for an older one of
    /// another (P3), or idle.
    pub(super) fn came_back(&mut self, slot: usize, now: Instant) {
        let entry = self.slots[slot].key;
        if let Some(reason) = self.unfit(slot, now) {
            return self.close_slot(slot, reason);
        }
        let Some(next) = self.key_entries[entry].queue.front() else {
            return self.settle(slot, now);
        };
        if self.overtakes(entry, next) {
            if self.slots[slot].streak == STREAK {
                return self.close_slot(slot, CloseReason::Yielded);
            }
            self.slots[slot].streak += 1;
        } else {
            self.slots[slot].streak = 0;
        }
        self.serve(slot, next, now);
    }

    /// Why a connection that came back may not be used again.
    fn unfit(&self, slot: usize, now: Instant) -> Option<CloseReason> {
        let unwanted = self.key_entries[self.slots[slot].key].queue.is_empty();
        let over = (self.life != Life::Open && unwanted).then_some(CloseReason::Closed);
        self.outlived(slot, now).or(over)
    }

    /// Would serving `next`, of the key `entry`, overtake an older request of another key that this
    /// slot would let go? It lacks only the total limit, or shares the host whose limit is in
    /// its way.
    fn overtakes(&self, entry: usize, next: usize) -> bool {
        let own = self.key_entries[entry].host;
        let overall = self.ready.first().map(|&(_, host)| host);
        let sibling = (!self.host_has_room(own)).then_some(own);
        overall.into_iter().chain(sibling).any(|host| {
            // None of its own key is older than `next`.
            let oldest = self.host_entries[host].waiting.first();
            oldest.is_some_and(|&(arrival, _)| arrival < self.tickets[next].arrival)
        })
    }

    /// Gives the connection to a queued request; the dial it may have begun is left behind (P4).
    fn serve(&mut self, slot: usize, ticket: usize, now: Instant) {
        self.dequeue(ticket);
        match self.tickets[ticket].standing {
            Standing::Dialing(dial) => self.leave_behind(dial.0),
            _ => self.end_wait(ticket, now),
        }
        self.tickets[ticket].standing = Standing::Granted(SlotId(slot));
        self.slots[slot].owner = self.tickets[ticket].owner;
        self.lend(slot, now);
        self.actions.push_back(Action::Wake(TicketId(ticket)));
    }

    /// Nobody of its key wants the connection: it goes idle, unless its slot is what a request of
    /// another key lacks.
    fn settle(&mut self, slot: usize, now: Instant) {
        if self.is_wanted(self.host_of(slot)) {
            return self.close_slot(slot, CloseReason::Evicted);
        }
        self.set_phase(slot, Phase::Idle);
        let idle = &mut self.slots[slot];
        idle.since = now;
        idle.streak = 0;
        self.actions.push_back(Action::Idle(SlotId(slot)));
    }
}
