//! Limits: permits to dial, and evictions that make room for them (P1, P2, P4).

use std::time::Instant;

use super::keys::HostEntry;
use super::list::List;
use super::requests::Standing;
use super::slots::ALL;
use super::{Action, PoolKey, SlotId, State, TicketId};
use crate::stats::CloseReason;

impl<K: PoolKey> State<K> {
    /// After a slot may have become free: grants permits, then evicts for the next request.
    pub(super) fn dispatch_waiters(&mut self, now: Instant) {
        self.grant_permits(now);
        self.evict_for_waiters();
    }

    /// Grants permits to dial to the oldest requests that can proceed, while there is room.
    pub(super) fn grant_permits(&mut self, now: Instant) {
        while self.has_room()
            && let Some((host, entry, ticket)) = self.oldest_ready()
        {
            self.stop_waiting(ticket);
            self.record_wait(ticket, now);
            let slot = self.open_slot(entry, ticket, now);
            self.tickets[ticket].standing = Standing::Dialing(SlotId(slot));
            self.actions.push_back(Action::Wake(TicketId(ticket)));
            self.reindex_key(entry);
            self.evict_in_host(host);
        }
    }

    /// P2, step 4: closes an unused connection for the oldest request that lacks a slot. One at a
    /// time: one close may be enough, and its end is followed by the next check.
    pub(super) fn evict_for_waiters(&mut self) {
        if let Some(slot) = self.idle.front()
            && self.lacks_total_slot()
        {
            self.close_slot(slot, CloseReason::Evicted);
        }
        self.evict_orphan();
    }

    /// Closes an idle connection of the host for a request that the limit of the host keeps
    /// waiting.
    pub(super) fn evict_in_host(&mut self, host: usize) {
        let HostEntry { idle, waiting, .. } = &self.host_entries[host];
        if let Some(slot) = idle.front()
            && !waiting.is_empty()
            && !self.host_has_room(host)
        {
            self.close_slot(slot, CloseReason::Evicted);
        }
    }

    /// Closes an orphaned dial that no request of its key wants, for a request that lacks its slot.
    pub(super) fn evict_orphan(&mut self) {
        if self.unwanted == 0 || self.metrics.total.waiting == 0 {
            return;
        }
        let mut next = self.orphans.front();
        while let Some(slot) = next {
            next = List::<ALL>::after(&self.slots, slot);
            let unwanted = self.key_entries[self.slots[slot].key].queue.is_empty();
            if unwanted && self.host_needs_slot(self.host_of(slot)) {
                return self.close_slot(slot, CloseReason::Evicted);
            }
        }
    }

    /// True if a waiting request could proceed with a slot of this host.
    pub(super) fn host_needs_slot(&self, host: usize) -> bool {
        self.lacks_total_slot() || (!self.host_has_room(host) && !self.host_entries[host].waiting.is_empty())
    }

    /// True if a request lacks only the total limit and no slot is being freed.
    fn lacks_total_slot(&self) -> bool {
        !self.ready.is_empty() && self.closing == 0
    }

    pub(super) fn has_room(&self) -> bool {
        self.rules.limit.is_none_or(|limit| self.metrics.total.taken() < limit)
    }

    pub(super) fn host_has_room(&self, host: usize) -> bool {
        self.rules.limit_per_host.is_none_or(|limit| self.host_entries[host].gauges.taken() < limit)
    }
}
