//! What the state is asked: figures, and who holds what (P12 to P14).

use std::time::{Duration, Instant};

use super::ledger::{Ledger, Tally};
use super::slots::{Phase, Slot};
use super::{PoolKey, Rules, SlotId, State};

impl<K: PoolKey> State<K> {
    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(crate) fn hosts(&self) -> impl Iterator<Item = (&K::Host, &Tally)> {
        self.host_entries.iter().map(|(_, entry)| (&entry.host, &entry.tally))
    }

    pub(crate) fn host(&self, key: &K) -> Tally {
        self.hosts.get(&key.host()).map(|&host| self.host_entries[host].tally).unwrap_or_default()
    }

    pub(crate) fn is_dialing(&self, slot: SlotId) -> bool {
        self.slots.get(slot.0).is_some_and(|slot| matches!(slot.phase, Phase::Dialing(_)))
    }

    /// Does nobody but the keeper look after what is in this slot?
    pub(crate) fn is_unused(&self, slot: SlotId) -> bool {
        self.slots.get(slot.0).is_some_and(Slot::is_unused)
    }

    /// Is there an idle connection or a dial left behind among those keys?
    pub(crate) fn has_unused(&self, mine: impl Fn(&K) -> bool) -> bool {
        self.slots.iter().any(|(_, slot)| slot.is_unused() && mine(&self.key_entries[slot.key].key))
    }

    /// P13: who has held a connection longest, of this key's host or of all.
    pub(crate) fn oldest_lease(&self, key: Option<&K>, now: Instant) -> Option<(SlotId, Duration)> {
        let host = key.map(K::host).and_then(|host| self.hosts.get(&host).copied());
        self.slots
            .iter()
            .filter(|(_, slot)| slot.phase == Phase::InUse)
            .filter(|(_, slot)| host.is_none_or(|host| self.key_entries[slot.key].host == host))
            .map(|(id, slot)| (SlotId(id), now.saturating_duration_since(slot.since)))
            .max_by_key(|&(_, age)| age)
    }

    /// P14: leases older than `threshold`, each reported once.
    pub(crate) fn held_too_long(&mut self, threshold: Duration, now: Instant) -> Vec<(SlotId, Duration)> {
        let held = |slot: &Slot| now.saturating_duration_since(slot.since);
        let overdue = |slot: &Slot| slot.phase == Phase::InUse && !slot.reported && held(slot) >= threshold;
        let mut found = Vec::new();
        for (id, slot) in self.slots.iter_mut().filter(|(_, slot)| overdue(slot)) {
            slot.reported = true;
            found.push((SlotId(id), held(slot)));
        }
        found
    }
}
