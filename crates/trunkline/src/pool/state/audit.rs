//! What must hold of the state after every event (the list in `mod.rs`, in its order), seen from
//! the inside.

use slab::Slab;

use super::idle::splitmix64;
use super::leases::STREAK;
use super::ledger::{Column, Ledger, Tally};
use super::list::{Linked, List};
use super::requests::{Standing, Ticket};
use super::slots::{Dialer, Phase, Slot};
use super::{PoolKey, SlotId, State};
use crate::stats::CloseReason;

impl<K: PoolKey> State<K> {
    /// Panics if anything contradicts anything else.
    pub(crate) fn audit(&self) {
        self.audit_limits();
        self.audit_sums();
        self.audit_waits();
        self.audit_order();
        self.audit_pairs();
        self.audit_lists();
        self.audit_names();
    }

    /// P1.
    fn audit_limits(&self) {
        assert!(self.rules.limit.is_none_or(|limit| self.ledger.total.taken() <= limit), "P1: the limit");
        for (_, host) in &self.host_entries {
            let taken = host.tally.taken();
            assert!(self.rules.limit_per_host.is_none_or(|limit| taken <= limit), "P1: the limit of a host");
        }
    }

    /// P12.
    fn audit_sums(&self) {
        let mut total = Tally::default();
        for (entry, host) in &self.host_entries {
            let tally = self.tally(entry);
            assert_eq!(host.tally, tally, "a host's figures are its slots and waiters");
            total.reserved += tally.reserved;
            total.dialing += tally.dialing;
            total.in_use += tally.in_use;
            total.idle += tally.idle;
            total.waiting += tally.waiting;
        }
        assert_eq!(self.ledger.total, total, "P12: the hosts' sums are the totals");
        let Ledger { created, reused, dials_failed, closed, wait, connect, .. } = &self.ledger;
        assert_eq!(created - self.ledger.closed_total(), total.open() as u64, "P12: created less closed is open");
        assert_eq!(closed[CloseReason::DialFailed as usize], *dials_failed, "P12: a failed dial is a close");
        let fresh = wait.count().checked_sub(*reused).expect("P12: whoever has a connection was given it");
        assert!(fresh <= connect.count(), "P12: what is not reused was made, and is new to one request only");
        let coming = self.slots.iter().filter(|(_, slot)| is_closing(slot)).count();
        assert_eq!(self.closing, coming);
    }

    /// P2, P3, P4: nobody waits for what is there, or for what nobody uses, unless it is on its
    /// way.
    fn audit_waits(&self) {
        for (_, key) in &self.key_entries {
            assert!(
                key.idle.is_empty() || key.queue.is_empty(),
                "P2: nobody waits beside an idle connection of his key"
            );
        }
        assert!(self.ready.is_empty() || !self.has_room(), "P3: nobody who can go waits");
        let unwanted = |slot: usize| self.key_entries[self.slots[slot].key].queue.is_empty();
        let unwanted: Vec<_> = walk(&self.orphans, &self.slots).into_iter().filter(|&slot| unwanted(slot)).collect();
        let able = self.host_entries.iter().filter(|(id, _)| self.host_has_room(*id)).map(|(_, host)| {
            let left = self.rules.limit_per_host.map_or(usize::MAX, |limit| limit - host.tally.taken());
            host.tally.waiting.min(left)
        });
        let able: usize = able.sum();
        let coming = self.closing > 0;
        assert!(self.idle.is_empty() || coming || able == 0, "an idle connection is in the way of a request");
        assert!(unwanted.is_empty() || coming || able == 0, "a dial that nobody wants is in the way of a request");
        for (entry, host) in self.host_entries.iter().filter(|(id, _)| !self.host_has_room(*id)) {
            let nobody = host.tally.waiting == 0;
            let closing = self.slots.iter().any(|(id, slot)| is_closing(slot) && self.host_of(id) == entry);
            assert!(host.idle.is_empty() || closing || nobody, "an idle connection is in the way of its host's");
            let unwanted = unwanted.iter().any(|&slot| self.host_of(slot) == entry);
            // Any close will do: its end is followed by the next look at all of them.
            assert!(!unwanted || coming || nobody, "a dial that nobody wants is in the way of its host's");
        }
    }

    /// P3.
    fn audit_order(&self) {
        for (_, key) in &self.key_entries {
            let queue = walk(&key.queue, &self.tickets);
            assert!(queue.is_sorted_by_key(|&ticket| self.tickets[ticket].arrival), "first come, first");
            let waits = |&ticket: &usize| self.tickets[ticket].standing == Standing::Waiting;
            assert!(queue.is_sorted_by_key(waits), "leave to dial is given in order");
            assert_eq!(key.undialed, queue.iter().copied().find(waits));
            assert_eq!(key.listed, key.undialed.map(|ticket| self.tickets[ticket].arrival));
        }
        for (entry, host) in &self.host_entries {
            let keys = self.key_entries.iter().filter(|(_, key)| key.host == entry);
            assert_eq!(host.waiting, keys.filter_map(|(id, key)| Some((key.listed?, id))).collect());
            let oldest = host.waiting.first().map(|&(arrival, _)| arrival);
            assert_eq!(host.listed, if self.host_has_room(entry) { oldest } else { None });
        }
        let ready = self.host_entries.iter().filter_map(|(id, host)| Some((host.listed?, id)));
        assert_eq!(self.ready, ready.collect());
    }

    fn audit_pairs(&self) {
        for (id, ticket) in &self.tickets {
            match ticket.standing {
                Standing::Dialing(slot) => {
                    assert_eq!(self.slots[slot.0].phase, Phase::Dialing(Dialer::Ticket(id)));
                }
                Standing::Granted(slot) => assert_eq!(self.slots[slot.0].phase, Phase::InUse),
                Standing::Waiting | Standing::Closed => {}
            }
        }
        for (id, slot) in &self.slots {
            match slot.phase {
                Phase::Dialing(Dialer::Ticket(ticket)) => {
                    assert_eq!(self.tickets[ticket].standing, Standing::Dialing(SlotId(id)));
                    assert!(matches!(slot.column, Column::Reserved | Column::Dialing));
                }
                Phase::Dialing(Dialer::Lease | Dialer::Nobody) => assert_eq!(slot.column, Column::Dialing),
                Phase::InUse => assert_eq!(slot.column, Column::InUse),
                Phase::Idle => assert_eq!(slot.column, Column::Idle),
                Phase::Closing(_) => assert_ne!(slot.column, Column::Reserved, "what is closed has a socket"),
            }
            assert!(slot.attempts == 0 || slot.column == Column::Dialing, "only a dial has attempts");
            assert!(slot.streak <= STREAK);
        }
        let mut granted: Vec<_> = self.tickets.iter().filter_map(|(_, ticket)| granted(ticket)).collect();
        let grants = granted.len();
        granted.sort_unstable();
        granted.dedup();
        assert_eq!(granted.len(), grants, "no two requests are given one connection");
    }

    fn audit_lists(&self) {
        let all = walk(&self.idle, &self.slots);
        assert_eq!(sorted(&all), self.those(|slot| slot.phase == Phase::Idle), "the idle list is the idle slots");
        assert!(all.is_sorted_by_key(|&slot| self.slots[slot].since), "the longest idle first");
        for (entry, key) in &self.key_entries {
            let own: Vec<_> = all.iter().copied().filter(|&slot| self.slots[slot].key == entry).collect();
            assert_eq!(walk(&key.idle, &self.slots), own, "a key's idle list is its part of all");
            let queued = |ticket: &Ticket| matches!(ticket.standing, Standing::Waiting | Standing::Dialing(_));
            let queued = self.tickets.iter().filter(|(_, ticket)| ticket.key == entry && queued(ticket));
            let queue = sorted(&walk(&key.queue, &self.tickets));
            assert_eq!(queue, queued.map(|(id, _)| id).collect::<Vec<_>>(), "who lacks a connection is queued");
        }
        for (entry, host) in &self.host_entries {
            let own: Vec<_> = all.iter().copied().filter(|&slot| self.host_of(slot) == entry).collect();
            assert_eq!(walk(&host.idle, &self.slots), own, "a host's idle list is its part of all");
        }
        let adopted = self.slots.iter().filter_map(|(id, slot)| Some((slot.adopted?, SlotId(id))));
        assert_eq!(self.expiries, adopted.collect(), "what is adopted has its end listed, and nothing else has");
        let idle = |slot: SlotId| self.slots[slot.0].phase == Phase::Idle;
        assert!(self.expiries.iter().all(|&(_, slot)| idle(slot)), "only the idle are adopted");
        let orphans = self.those(|slot| slot.phase == Phase::Dialing(Dialer::Nobody));
        assert_eq!(sorted(&walk(&self.orphans, &self.slots)), orphans, "the orphans are the dials left behind");
        let of = |entry| orphans.iter().filter(|&&slot| self.slots[slot].key == entry).count();
        assert!(self.key_entries.iter().all(|(entry, key)| key.orphans == of(entry)), "each key knows its own");
        let unwanted = self.key_entries.iter().filter(|(_, key)| key.queue.is_empty()).map(|(_, key)| key.orphans);
        assert_eq!(self.unwanted, unwanted.sum::<usize>());
    }

    fn audit_names(&self) {
        assert_eq!((self.keys.len(), self.hosts.len()), (self.key_entries.len(), self.host_entries.len()));
        for (entry, key) in &self.key_entries {
            let tickets = self.tickets.iter().filter(|(_, ticket)| ticket.key == entry).count();
            assert_eq!(key.members, self.those(|slot| slot.key == entry).len() + tickets);
            assert!(key.members > 0, "a key that nothing names is forgotten");
            assert_eq!(self.keys.get(&key.key), Some(&entry));
        }
        for (entry, host) in &self.host_entries {
            assert_eq!(host.members, self.key_entries.iter().filter(|(_, key)| key.host == entry).count());
            assert!(host.members > 0, "a host that nothing names is forgotten");
            assert_eq!(self.hosts.get(&host.host), Some(&entry));
        }
    }

    /// Is nothing remembered but figures?
    pub(crate) fn is_blank(&self) -> bool {
        self.keys.is_empty()
            && self.key_entries.is_empty()
            && self.hosts.is_empty()
            && self.host_entries.is_empty()
            && self.slots.is_empty()
            && self.tickets.is_empty()
            && self.idle.is_empty()
            && self.orphans.is_empty()
            && self.ready.is_empty()
            && self.expiries.is_empty()
    }

    fn tally(&self, host: usize) -> Tally {
        let mut tally = Tally::default();
        for (_, slot) in self.slots.iter().filter(|(_, slot)| self.key_entries[slot.key].host == host) {
            tally.count(slot.column, 1 + slot.attempts as isize);
        }
        let waits = |ticket: &Ticket| ticket.standing == Standing::Waiting && self.key_entries[ticket.key].host == host;
        tally.waiting = self.tickets.iter().filter(|(_, ticket)| waits(ticket)).count();
        tally
    }

    fn those(&self, which: impl Fn(&Slot) -> bool) -> Vec<usize> {
        self.slots.iter().filter(|(_, slot)| which(slot)).map(|(id, _)| id).collect()
    }
}

#[cfg(not(trunkline_loom))]
impl<K: PoolKey> State<K> {
    /// The end of the slot's lifetime, as drawn for its connection.
    pub(crate) fn lifetime_end(&self, slot: SlotId) -> Option<std::time::Instant> {
        self.slots[slot.0].expires
    }

    /// Is a request of theirs refused, whenever it comes?
    pub(crate) fn has_aborted(&self, owner: super::Owner) -> bool {
        self.ended.contains(&owner)
    }

    /// Concurrent attempts besides each dial's first.
    pub(crate) fn attempts(&self) -> usize {
        self.slots.iter().map(|(_, slot)| slot.attempts).sum()
    }
}

fn is_closing(slot: &Slot) -> bool {
    matches!(slot.phase, Phase::Closing(_))
}

fn granted(ticket: &Ticket) -> Option<SlotId> {
    match ticket.standing {
        Standing::Granted(slot) => Some(slot),
        _ => None,
    }
}

/// What stands in the list, checked to be the same from both ends.
fn walk<const N: usize, T: Linked>(list: &List<N>, arena: &Slab<T>) -> Vec<usize> {
    let forth: Vec<_> = std::iter::successors(list.front(), |&at| List::<N>::after(arena, at)).collect();
    let mut back: Vec<_> = std::iter::successors(list.back(), |&at| List::<N>::before(arena, at)).collect();
    back.reverse();
    assert_eq!(forth, back);
    forth
}

fn sorted(ids: &[usize]) -> Vec<usize> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids
}

/// The reference implementation's first outputs.
#[test]
fn splitmix64_is_splitmix64() {
    let golden = 0x9e37_79b9_7f4a_7c15_u64;
    assert_eq!(splitmix64(0), 0xe220_a839_7b1d_cdaf);
    assert_eq!(splitmix64(golden), 0x6e78_9e6a_a1b9_65f4);
    assert_eq!(splitmix64(golden.wrapping_mul(2)), 0x06c4_5d18_8009_454f);
}
