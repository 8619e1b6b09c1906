//! Order: who waits, first come first, and who of them is the oldest that can go (P3).
//!
//! Three levels, each by the oldest arrival: a key's queue; the keys of a host that have somebody
//! waiting; the hosts below their limit that have such a key.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::ledger::Column;
use super::list::{Links, List};
use super::requests::{Standing, Ticket};
use super::slots::KEY;
use super::{Owner, PoolKey, State};

impl<K: PoolKey> State<K> {
    /// The oldest request that lacks at most the total limit: its host, its key and itself.
    pub(super) fn oldest_ready(&self) -> Option<(usize, usize, usize)> {
        let &(_, host) = self.ready.first()?;
        let &(_, entry) = self.host_entries[host].waiting.first()?;
        Some((host, entry, self.key_entries[entry].undialed?))
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
        key.members += 1;
        if key.queue.is_empty() {
            self.unwanted -= key.orphans;
        }
        key.queue.push_back(&mut self.tickets, ticket);
        key.undialed.get_or_insert(ticket);
        self.count_waiting(entry, 1);
        self.relist(entry);
        ticket
    }

    /// Takes a ticket that waits or dials out of its key's queue.
    pub(super) fn dequeue(&mut self, ticket: usize) {
        let Ticket { key: entry, standing, .. } = self.tickets[ticket];
        if standing == Standing::Waiting {
            self.pass_over(ticket);
        }
        let key = &mut self.key_entries[entry];
        key.queue.remove(&mut self.tickets, ticket);
        if key.queue.is_empty() {
            self.unwanted += key.orphans;
        }
        self.relist(entry);
    }

    /// The ticket no longer waits for leave to dial.
    pub(super) fn pass_over(&mut self, ticket: usize) {
        let entry = self.tickets[ticket].key;
        let key = &mut self.key_entries[entry];
        if key.undialed == Some(ticket) {
            key.undialed = List::<KEY>::after(&self.tickets, ticket);
        }
        self.count_waiting(entry, -1);
    }

    fn count_waiting(&mut self, entry: usize, by: isize) {
        self.count(self.key_entries[entry].host, Column::Waiting, by);
    }

    /// Brings the host's and the pool's order of waiting requests up to date with the key's queue.
    pub(super) fn relist(&mut self, entry: usize) {
        let key = &mut self.key_entries[entry];
        let host = key.host;
        let arrival = key.undialed.map(|ticket| self.tickets[ticket].arrival);
        relist(&mut self.host_entries[host].waiting, &mut key.listed, arrival, entry);
        self.relist_host(host);
    }

    /// The same for the pool's alone, after the host came to its limit or below it.
    pub(super) fn relist_host(&mut self, host: usize) {
        let below = self.host_has_room(host);
        let host_entry = &mut self.host_entries[host];
        let arrival = host_entry.waiting.first().filter(|_| below).map(|&(arrival, _)| arrival);
        relist(&mut self.ready, &mut host_entry.listed, arrival, host);
    }
}

/// Has the order say `arrival` of this key or host, of which it says what is `listed`.
fn relist(order: &mut BTreeSet<(u64, usize)>, listed: &mut Option<u64>, arrival: Option<u64>, id: usize) {
    if *listed == arrival {
        return;
    }
    if let Some(old) = listed.take() {
        order.remove(&(old, id));
    }
    if let Some(new) = arrival {
        order.insert((new, id));
    }
    *listed = arrival;
}
