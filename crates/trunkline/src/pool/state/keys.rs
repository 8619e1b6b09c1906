//! Entries of keys and hosts: their queue, idle connections and statistics. An entry that no slot
//! and no ticket refers to is removed.

use std::collections::BTreeSet;

use super::list::List;
use super::metrics::Gauges;
use super::slots::{HOST, KEY};
use super::{PoolKey, State};

pub(super) struct KeyEntry<K> {
    pub(super) key: K,
    pub(super) host: usize,
    /// The longest idle first.
    pub(super) idle: List<KEY>,
    /// Requests without a connection, in order of arrival: those that dial, then those that wait.
    pub(super) queue: List<KEY>,
    /// First ticket of the queue without a permit to dial.
    pub(super) first_waiting: Option<usize>,
    /// Arrival under which the host's `waiting` has this key.
    pub(super) indexed: Option<u64>,
    /// Number of dials without a request.
    pub(super) orphans: usize,
    /// Number of slots and tickets that refer to this entry.
    pub(super) refs: usize,
}

pub(super) struct HostEntry<H> {
    pub(super) host: H,
    pub(super) gauges: Gauges,
    /// The longest idle first.
    pub(super) idle: List<HOST>,
    /// Keys with requests that have no permit to dial, by the arrival of the oldest such request.
    pub(super) waiting: BTreeSet<(u64, usize)>,
    /// Arrival under which the pool's `ready` has this host.
    pub(super) indexed: Option<u64>,
    /// Number of keys that refer to this entry.
    pub(super) refs: usize,
}

impl<K: PoolKey> State<K> {
    pub(super) fn host_of(&self, slot: usize) -> usize {
        self.key_entries[self.slots[slot].key].host
    }

    /// Finds or makes the key's entry. The caller adds one to its `refs`.
    pub(super) fn intern_key(&mut self, key: &K) -> usize {
        if let Some(&entry) = self.keys.get(key) {
            return entry;
        }
        let host = self.intern_host(key.host());
        let entry = self.key_entries.insert(KeyEntry {
            key: key.clone(),
            host,
            idle: List::default(),
            queue: List::default(),
            first_waiting: None,
            indexed: None,
            orphans: 0,
            refs: 0,
        });
        self.keys.insert(key.clone(), entry);
        entry
    }

    fn intern_host(&mut self, host: K::Host) -> usize {
        let entry = *self.hosts.entry(host).or_insert_with_key(|host| {
            self.host_entries.insert(HostEntry {
                host: host.clone(),
                gauges: Gauges::default(),
                idle: List::default(),
                waiting: BTreeSet::new(),
                indexed: None,
                refs: 0,
            })
        });
        self.host_entries[entry].refs += 1;
        entry
    }

    /// Gives up one reference to the entry, and removes the entry with the last one.
    pub(super) fn unref_key(&mut self, entry: usize) {
        let key = &mut self.key_entries[entry];
        key.refs -= 1;
        if key.refs > 0 {
            return;
        }
        let KeyEntry { key, host, .. } = self.key_entries.remove(entry);
        self.keys.remove(&key);
        self.host_entries[host].refs -= 1;
        if self.host_entries[host].refs == 0 {
            let entry = self.host_entries.remove(host);
            self.hosts.remove(&entry.host);
        }
    }
}
