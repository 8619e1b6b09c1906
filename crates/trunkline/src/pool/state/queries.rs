//! Queries: statistics, and the leases that are oldest or held too long (P12 to P14).

use std::time::{Duration, Instant};

use super::metrics::{Gauges, Metrics};
use super::slots::{Slot, SlotPhase};
use super::{PoolKey, Rules, SlotId, State};

impl<K: PoolKey> State<K> {
    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn hosts(&self) -> impl Iterator<Item = (&K::Host, &Gauges)> {
        self.host_entries.iter().map(|(_, entry)| (&entry.host, &entry.gauges))
    }

    pub(crate) fn host(&self, key: &K) -> Gauges {
        self.hosts.get(&key.host()).map(|&host| self.host_entries[host].gauges).unwrap_or_default()
    }

    pub(crate) fn is_dialing(&self, slot: SlotId) -> bool {
        self.slots.get(slot.0).is_some_and(|slot| matches!(slot.phase, SlotPhase::Dialing(_)))
    }

    /// True if only the maintenance task uses the slot.
    pub(crate) fn is_unused(&self, slot: SlotId) -> bool {
        self.slots.get(slot.0).is_some_and(Slot::is_unused)
    }

    /// True if the selected keys have an idle connection or an orphaned dial.
    pub(crate) fn has_unused(&self, is_own: impl Fn(&K) -> bool) -> bool {
        self.slots.iter().any(|(_, slot)| slot.is_unused() && is_own(&self.key_entries[slot.key].key))
    }

    /// P13: the oldest lease and its age, among those of this key's host or of all.
    pub(crate) fn oldest_lease(&self, key: Option<&K>, now: Instant) -> Option<(SlotId, Duration)> {
        let host = key.map(K::host).and_then(|host| self.hosts.get(&host).copied());
        self.slots
            .iter()
            .filter(|(_, slot)| slot.phase == SlotPhase::InUse)
            .filter(|(_, slot)| host.is_none_or(|host| self.key_entries[slot.key].host == host))
            .map(|(id, slot)| (SlotId(id), now.saturating_duration_since(slot.since)))
            .max_by_key(|&(_, age)| age)
    }

    /// P14: leases at least as old as `threshold`, each returned once.
    pub(crate) fn held_too_long(&mut self, threshold: Duration, now: Instant) -> Vec<(SlotId, Duration)> {
        let held = |slot: &Slot| now.saturating_duration_since(slot.since);
        let overdue = |slot: &Slot| slot.phase == SlotPhase::InUse && !slot.reported && held(slot) >= threshold;
        let mut found = Vec::new();
        for (id, slot) in self.slots.iter_mut().filter(|(_, slot)| overdue(slot)) {
            slot.reported = true;
            found.push((SlotId(id), held(slot)));
        }
        found
    }
}
