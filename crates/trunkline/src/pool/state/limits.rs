//! Limits: who may open a connection, and what is closed to let them (P1, P2, P4).

use std::time::Instant;

use super::list::List;
use super::names::HostEntry;
use super::requests::Standing;
use super::slots::ALL;
use super::{Action, PoolKey, SlotId, State, TicketId};
use crate::stats::CloseReason;

impl<K: PoolKey> State<K> {
    /// Something became free: whoever can go goes, and what nobody wants makes room for the next.
    pub(super) fn pump(&mut self, now: Instant) {
        self.admit(now);
        self.make_room();
    }

    /// Gives leave to dial to the oldest requests that can go, while there is room.
    pub(super) fn admit(&mut self, now: Instant) {
        while self.has_room()
            && let Some((host, entry, ticket)) = self.oldest_ready()
        {
            self.pass_over(ticket);
            self.end_wait(ticket, now);
            let slot = self.open_slot(entry, ticket, now);
            self.tickets[ticket].standing = Standing::Dialing(SlotId(slot));
            self.actions.push_back(Action::Wake(TicketId(ticket)));
            self.relist(entry);
            self.make_room_within(host);
        }
    }

    /// P2 (4): closes what nobody uses and the oldest request that waits lacks. One at a time: what
    /// closes may be all it takes, and its end is followed by the next look.
    pub(super) fn make_room(&mut self) {
        if let Some(slot) = self.idle.front()
            && self.lacks_total()
        {
            self.close_slot(slot, CloseReason::Evicted);
        }
        self.make_room_with_orphans();
    }

    /// The same among the keys of one host, for a request that its limit keeps waiting.
    pub(super) fn make_room_within(&mut self, host: usize) {
        let HostEntry { idle, waiting, .. } = &self.host_entries[host];
        if let Some(slot) = idle.front()
            && !waiting.is_empty()
            && !self.host_has_room(host)
        {
            self.close_slot(slot, CloseReason::Evicted);
        }
    }

    /// A dial left behind is given up for a request that lacks its slot, if nobody of its own key
    /// wants it.
    pub(super) fn make_room_with_orphans(&mut self) {
        if self.unwanted == 0 || self.ledger.total.waiting == 0 {
            return;
        }
        let mut next = self.orphans.front();
        while let Some(slot) = next {
            next = List::<ALL>::after(&self.slots, slot);
            let unwanted = self.key_entries[self.slots[slot].key].queue.is_empty();
            if unwanted && self.is_wanted(self.host_of(slot)) {
                return self.close_slot(slot, CloseReason::Evicted);
            }
        }
    }

    /// Would a slot of this host let a waiting request go?
    pub(super) fn is_wanted(&self, host: usize) -> bool {
        self.lacks_total() || (!self.host_has_room(host) && !self.host_entries[host].waiting.is_empty())
    }

    /// Does a request lack nothing but the total limit, and is no slot on its way to it?
    fn lacks_total(&self) -> bool {
        !self.ready.is_empty() && self.closing == 0
    }

    pub(super) fn has_room(&self) -> bool {
        self.rules.limit.is_none_or(|limit| self.ledger.total.taken() < limit)
    }

    pub(super) fn host_has_room(&self, host: usize) -> bool {
        self.rules.limit_per_host.is_none_or(|limit| self.host_entries[host].tally.taken() < limit)
    }
}
