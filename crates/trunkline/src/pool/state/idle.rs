//! Idle connections, and time: how long one may be kept, and who watches it (P2, P8, P9).

use std::time::{Duration, Instant};

use super::list::List;
use super::slots::{ALL, Phase, Slot};
use super::{Owner, PoolKey, SlotId, State};
use crate::stats::CloseReason;

/// A connection idle for less than this is nobody's but the next request's: the keeper leaves it
/// alone.
pub(crate) const ADOPTION: Duration = Duration::from_millis(50);

/// What the keeper has to watch.
#[derive(Debug, Default)]
pub(crate) struct Adopted {
    /// From now on.
    pub(crate) slots: Vec<SlotId>,
    /// When to ask again, if anything is idle that is not watched yet.
    pub(crate) next: Option<Instant>,
}

impl<K: PoolKey> State<K> {
    /// The key's most recently used idle connection that is still good; what is overdue is closed
    /// on the way.
    pub(super) fn take_idle(&mut self, entry: usize, owner: Owner, now: Instant) -> Option<usize> {
        while let Some(slot) = self.key_entries[entry].idle.back() {
            if let Some(reason) = self.overdue(slot, now) {
                self.close_slot(slot, reason);
                continue;
            }
            self.slots[slot].owner = owner;
            self.ledger.given(self.slots[slot].served.is_some(), Duration::ZERO);
            self.lend(slot, now);
            return Some(slot);
        }
        None
    }

    /// The connections, of those keys, that have been idle long enough for the keeper to watch them
    /// from now on.
    pub(crate) fn adopt(&mut self, mine: impl Fn(&K) -> bool, now: Instant) -> Adopted {
        let mut adopted = Adopted::default();
        let mut next = self.idle.back();
        while let Some(slot) = next {
            next = List::<ALL>::before(&self.slots, slot);
            let Slot { key, since, adopted: watched, .. } = self.slots[slot];
            if !mine(&self.key_entries[key].key) {
                continue;
            }
            if since + ADOPTION > now {
                adopted.next = Some(since + ADOPTION);
                continue;
            }
            if watched.is_some() {
                // Adopted in the order in which they went idle: whatever is older is watched already.
                break;
            }
            let due = self.due(slot);
            self.slots[slot].adopted = Some(due);
            self.expiries.insert((due, SlotId(slot)));
            adopted.slots.push(SlotId(slot));
        }
        adopted
    }

    /// P9: closes what has been idle, or has lived, too long.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some(&(due, SlotId(slot))) = self.expiries.first()
            && due <= now
        {
            let reason = self.overdue(slot, now).unwrap_or(CloseReason::IdleTimeout);
            self.close_slot(slot, reason);
        }
    }

    /// When [`expire`](Self::expire) next has something to do.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.expiries.first().map(|&(due, _)| due)
    }

    /// The keeper found an idle connection closed by the server.
    pub(crate) fn found_dead(&mut self, slot: SlotId) {
        if self.slots.get(slot.0).is_some_and(|slot| slot.phase == Phase::Idle) {
            self.close_slot(slot.0, CloseReason::PeerClosed);
        }
    }

    /// P8: why a connection may not be used again, whatever it is doing.
    pub(super) fn outlived(&self, slot: usize, now: Instant) -> Option<CloseReason> {
        let Slot { generation, expires, .. } = self.slots[slot];
        if generation != self.generation {
            return Some(CloseReason::Refreshed);
        }
        expires.filter(|&end| end <= now).map(|_| CloseReason::Lifetime)
    }

    /// P8, P9: why an idle connection may not be used again.
    fn overdue(&self, slot: usize, now: Instant) -> Option<CloseReason> {
        self.outlived(slot, now).or_else(|| (self.end_of_idling(slot) <= now).then_some(CloseReason::IdleTimeout))
    }

    /// When an idle connection is to be closed.
    fn due(&self, slot: usize) -> Instant {
        let end = self.end_of_idling(slot);
        self.slots[slot].expires.map_or(end, |expires| expires.min(end))
    }

    /// P9.
    fn end_of_idling(&self, slot: usize) -> Instant {
        let Slot { since, keep_alive, .. } = self.slots[slot];
        let allowed = keep_alive.map_or(self.rules.idle_timeout, |hint| hint.min(self.rules.idle_timeout));
        since.checked_add(allowed).unwrap_or(since + FAR)
    }

    /// P8: 0.9 to 1.1 of the setting from now, evenly spread.
    pub(super) fn end_of_lifetime(&self, slot: usize, now: Instant) -> Option<Instant> {
        // The slot tells apart what was begun together, the count what followed in one slot.
        let spread = splitmix64(self.rules.seed ^ self.ledger.created ^ ((slot as u64) << 32));
        let factor = 0.9 + 0.2 * (spread as f64 / u64::MAX as f64);
        now.checked_add(self.rules.max_lifetime?.min(FAR).mul_f64(factor))
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
        if let Some(due) = self.slots[slot].adopted.take() {
            self.expiries.remove(&(due, SlotId(slot)));
        }
    }
}

/// Longer than any process lives; keeps arithmetic on instants from overflowing.
const FAR: Duration = Duration::from_secs(86_400 * 365 * 30);

/// Steele, Lea, Flood: "Fast splittable pseudorandom number generators" (2014).
pub(super) fn splitmix64(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
