//! Idle connections: reuse, watching and expiry (P2, P8, P9).

use std::time::{Duration, Instant};

use super::list::List;
use super::slots::{ALL, Slot, SlotPhase};
use super::{Owner, PoolKey, SlotId, State};
use crate::stats::CloseReason;

/// Idle time before the maintenance task watches a connection: a busy pool pays nothing for it.
pub(crate) const WATCH_DELAY: Duration = Duration::from_millis(50);

/// Connections that the maintenance task has to watch.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    /// To be watched from now on.
    pub(crate) slots: Vec<SlotId>,
    /// Time of the next call, if some idle connection is not watched yet.
    pub(crate) next: Option<Instant>,
}

impl<K: PoolKey> State<K> {
    /// Leases the key's most recently used idle connection, and closes expired ones on the way.
    pub(super) fn take_idle(&mut self, entry: usize, owner: Owner, now: Instant) -> Option<usize> {
        while let Some(slot) = self.key_entries[entry].idle.back() {
            if let Some(reason) = self.idle_end_reason(slot, now) {
                self.close_slot(slot, reason);
                continue;
            }
            self.slots[slot].owner = owner;
            self.metrics.record_checkout(self.slots[slot].served.is_some(), Duration::ZERO);
            self.lease(slot, now);
            return Some(slot);
        }
        None
    }

    /// Marks the connections of the selected keys that have been idle for [`WATCH_DELAY`] as
    /// watched.
    pub(crate) fn watch(&mut self, is_own: impl Fn(&K) -> bool, now: Instant) -> Watched {
        let mut watched = Watched::default();
        let mut next = self.idle.back();
        while let Some(slot) = next {
            next = List::<ALL>::before(&self.slots, slot);
            let Slot { key, since, watched_until, .. } = self.slots[slot];
            if !is_own(&self.key_entries[key].key) {
                continue;
            }
            if since + WATCH_DELAY > now {
                watched.next = Some(since + WATCH_DELAY);
                continue;
            }
            if watched_until.is_some() {
                // Connections are watched in the order in which they went idle: all older ones are.
                break;
            }
            let due = self.due(slot);
            self.slots[slot].watched_until = Some(due);
            self.expiries.insert((due, SlotId(slot)));
            watched.slots.push(SlotId(slot));
        }
        watched
    }

    /// P9: closes watched connections whose idle time or lifetime is over.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some(&(due, SlotId(slot))) = self.expiries.first()
            && due <= now
        {
            let reason = self.idle_end_reason(slot, now).unwrap_or(CloseReason::IdleTimeout);
            self.close_slot(slot, reason);
        }
    }

    /// Time at which [`expire`](Self::expire) next closes a connection.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.expiries.first().map(|&(due, _)| due)
    }

    /// Closes an idle connection that the server has closed.
    pub(crate) fn peer_closed(&mut self, slot: SlotId) {
        if self.slots.get(slot.0).is_some_and(|slot| slot.phase == SlotPhase::Idle) {
            self.close_slot(slot.0, CloseReason::PeerClosed);
        }
    }

    /// P8: reason not to reuse a connection in any phase.
    pub(super) fn retirement_reason(&self, slot: usize, now: Instant) -> Option<CloseReason> {
        let Slot { generation, expires, .. } = self.slots[slot];
        if generation != self.generation {
            return Some(CloseReason::Refreshed);
        }
        expires.filter(|&end| end <= now).map(|_| CloseReason::Lifetime)
    }

    /// P8, P9: reason not to reuse an idle connection.
    fn idle_end_reason(&self, slot: usize, now: Instant) -> Option<CloseReason> {
        self.retirement_reason(slot, now)
            .or_else(|| (self.idle_deadline(slot) <= now).then_some(CloseReason::IdleTimeout))
    }

    /// Time at which an idle connection is to be closed.
    fn due(&self, slot: usize) -> Instant {
        let end = self.idle_deadline(slot);
        self.slots[slot].expires.map_or(end, |expires| expires.min(end))
    }

    /// P9: end of the idle timeout.
    fn idle_deadline(&self, slot: usize) -> Instant {
        let Slot { since, keep_alive, .. } = self.slots[slot];
        let allowed = keep_alive.map_or(self.rules.idle_timeout, |hint| hint.min(self.rules.idle_timeout));
        since.checked_add(allowed).unwrap_or(since + FAR_FUTURE)
    }

    /// P8: end of the lifetime, 0.9 to 1.1 of the setting from now, evenly spread.
    pub(super) fn lifetime_deadline(&self, slot: usize, now: Instant) -> Option<Instant> {
        // The slot number spreads dials of the same moment, the count dials in the same slot.
        let spread = splitmix64(self.rules.seed ^ self.metrics.created ^ ((slot as u64) << 32));
        let factor = 0.9 + 0.2 * (spread as f64 / u64::MAX as f64);
        now.checked_add(self.rules.max_lifetime?.min(FAR_FUTURE).mul_f64(factor))
    }

    pub(super) fn list_idle(&mut self, slot: usize) {
        let (entry, host) = (self.slots[slot].key, self.host_of(slot));
        self.key_entries[entry].idle.push_back(&mut self.slots, slot);
        self.host_entries[host].idle.push_back(&mut self.slots, slot);
        self.idle.push_back(&mut self.slots, slot);
    }

    pub(super) fn unlist_idle(&mut self, slot: usize) {
        let (entry, host) = (self.slots[slot].key, self.host_of(slot));
        self.key_entries[entry].idle.remove(&mut self.slots, slot);
        self.host_entries[host].idle.remove(&mut self.slots, slot);
        self.idle.remove(&mut self.slots, slot);
        if let Some(due) = self.slots[slot].watched_until.take() {
            self.expiries.remove(&(due, SlotId(slot)));
        }
    }
}

/// 30 years: a bound that keeps arithmetic on instants from overflowing.
const FAR_FUTURE: Duration = Duration::from_secs(86_400 * 365 * 30);

/// Steele, Lea, Flood: "Fast splittable pseudorandom number generators" (2014).
pub(super) fn splitmix64(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
