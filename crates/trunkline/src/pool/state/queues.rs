//! Queues: order of arrival, and the oldest request that can proceed (P3).
//!
//! Three levels, each ordered by the oldest arrival: the queue of a key; the keys of a host that
//! have waiting requests; the hosts below their limit that have such a key.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::list::{Links, List};
use super::metrics::Gauge;
use super::requests::{Standing, Ticket};
use super::slots::KEY;
use super::{Owner, PoolKey, State};

impl<K: PoolKey> State<K> {
    /// Host, key and ticket of the oldest request that lacks at most the total limit.
    pub(super) fn oldest_ready(&self) -> Option<(usize, usize, usize)> {
        let &(_, host) = self.ready.first()?;
        let &(_, entry) = self.host_entries[host].waiting.first()?;
        Some((host, entry, self.key_entries[entry].first_waiting?))
    }

    pub(super) fn enqueue(&mut self, entry: usize, owner: Owner, now: Instant) -> usize {
        let arrival = self.arrivals;
        self.arrivals += 1;
        let ticket = self.tickets.insert(Ticket {
            key: entry,
            owner,
            arrival,
            since: now,
            waited: Duration::ZERO,
            standing: Standing::Waiting,
            links: Links::default(),
        });
        let key = &mut self.key_entries[entry];
        key.refs += 1;
        if key.queue.is_empty() {
            self.unwanted -= key.orphans;
        }
        key.queue.push_back(&mut self.tickets, ticket);
        key.first_waiting.get_or_insert(ticket);
        self.count_waiting(entry, 1);
        self.reindex_key(entry);
        ticket
    }

    /// Removes a ticket that waits or dials from its key's queue.
    pub(super) fn dequeue(&mut self, ticket: usize) {
        let Ticket { key: entry, standing, .. } = self.tickets[ticket];
        if standing == Standing::Waiting {
            self.stop_waiting(ticket);
        }
        let key = &mut self.key_entries[entry];
        key.queue.remove(&mut self.tickets, ticket);
        if key.queue.is_empty() {
            self.unwanted += key.orphans;
        }
        self.reindex_key(entry);
    }

    /// Counts the ticket out of those that wait for a permit to dial.
    pub(super) fn stop_waiting(&mut self, ticket: usize) {
        let entry = self.tickets[ticket].key;
        let key = &mut self.key_entries[entry];
        if key.first_waiting == Some(ticket) {
            key.first_waiting = List::<KEY>::after(&self.tickets, ticket);
        }
        self.count_waiting(entry, -1);
    }

    fn count_waiting(&mut self, entry: usize, by: isize) {
        self.count(self.key_entries[entry].host, Gauge::Waiting, by);
    }

    /// Updates the host's and the pool's order of waiting requests after a change of the key's
    /// queue.
    pub(super) fn reindex_key(&mut self, entry: usize) {
        let key = &mut self.key_entries[entry];
        let host = key.host;
        let arrival = key.first_waiting.map(|ticket| self.tickets[ticket].arrival);
        reindex(&mut self.host_entries[host].waiting, &mut key.indexed, arrival, entry);
        self.reindex_host(host);
    }

    /// Updates the pool's order of waiting hosts after a change of the host's queue or slots.
    pub(super) fn reindex_host(&mut self, host: usize) {
        let below = self.host_has_room(host);
        let host_entry = &mut self.host_entries[host];
        let arrival = host_entry.waiting.first().filter(|_| below).map(|&(arrival, _)| arrival);
        reindex(&mut self.ready, &mut host_entry.indexed, arrival, host);
    }
}

/// Moves the key or host `id` from its `indexed` arrival in the order to `arrival`.
fn reindex(order: &mut BTreeSet<(u64, usize)>, indexed: &mut Option<u64>, arrival: Option<u64>, id: usize) {
    if *indexed == arrival {
        return;
    }
    if let Some(old) = indexed.take() {
        order.remove(&(old, id));
    }
    if let Some(new) = arrival {
        order.insert((new, id));
    }
    *indexed = arrival;
}
