//! The keys and hosts that slots and tickets name, and what belongs to each. One that nothing names
//! any more is forgotten.

use std::collections::BTreeSet;

use super::ledger::Tally;
use super::list::List;
use super::slots::{HOST, KEY};
use super::{PoolKey, State};

pub(super) struct KeyEntry<K> {
    pub(super) key: K,
    pub(super) host: usize,
    /// The longest idle first.
    pub(super) idle: List<KEY>,
    /// Requests without a connection, in order of arrival: those that dial, then those that wait.
    pub(super) queue: List<KEY>,
    /// The first of the queue that has no leave to dial.
    pub(super) undialed: Option<usize>,
    /// Its arrival, as the host's `waiting` has it.
    pub(super) listed: Option<u64>,
    /// How many dials its requests left behind.
    pub(super) orphans: usize,
    /// Slots and tickets that name this entry.
    pub(super) members: usize,
}

pub(super) struct HostEntry<H> {
    pub(super) host: H,
    pub(super) tally: Tally,
    /// The longest idle first.
    pub(super) idle: List<HOST>,
    /// Keys with requests that have no leave to dial, by the oldest one's arrival.
    pub(super) waiting: BTreeSet<(u64, usize)>,
    /// What the pool's `ready` has of this host.
    pub(super) listed: Option<u64>,
    /// Keys that name this entry.
    pub(super) members: usize,
}

impl<K: PoolKey> State<K> {
    pub(super) fn host_of(&self, slot: usize) -> usize {
        self.key_entries[self.slots[slot].key].host
    }

    /// The key's entry. Whoever asks for it becomes a member of it.
    pub(super) fn enter(&mut self, key: &K) -> usize {
        if let Some(&entry) = self.keys.get(key) {
            return entry;
        }
        let host = self.enter_host(key.host());
        let entry = self.key_entries.insert(KeyEntry {
            key: key.clone(),
            host,
            idle: List::default(),
            queue: List::default(),
            undialed: None,
            listed: None,
            orphans: 0,
            members: 0,
        });
        self.keys.insert(key.clone(), entry);
        entry
    }

    fn enter_host(&mut self, host: K::Host) -> usize {
        let entry = *self.hosts.entry(host).or_insert_with_key(|host| {
            self.host_entries.insert(HostEntry {
                host: host.clone(),
                tally: Tally::default(),
                idle: List::default(),
                waiting: BTreeSet::new(),
                listed: None,
                members: 0,
            })
        });
        self.host_entries[entry].members += 1;
        entry
    }

    /// One member less.
    pub(super) fn leave(&mut self, entry: usize) {
        let key = &mut self.key_entries[entry];
        key.members -= 1;
        if key.members > 0 {
            return;
        }
        let KeyEntry { key, host, .. } = self.key_entries.remove(entry);
        self.keys.remove(&key);
        self.host_entries[host].members -= 1;
        if self.host_entries[host].members == 0 {
            let entry = self.host_entries.remove(host);
            self.hosts.remove(&entry.host);
        }
    }
}
