//! Audit: the invariants of `mod.rs`, in its order, checked from inside the state.

use slab::Slab;

use super::idle::splitmix64;
use super::leases::MAX_STREAK;
use super::list::{Linked, List};
use super::metrics::{Gauge, Gauges, Metrics};
use super::requests::{Standing, Ticket};
use super::slots::{Dialer, Slot, SlotPhase};
use super::{PoolKey, SlotId, State};
use crate::stats::CloseReason;

impl<K: PoolKey> State<K> {
    /// Panics if an invariant is broken.
    pub(crate) fn audit(&self) {
        self.audit_limits();
        self.audit_sums();
        self.audit_waits();
        self.audit_order();
        self.audit_pairs();
        self.audit_lists();
        self.audit_keys();
    }

    /// P1.
    fn audit_limits(&self) {
        assert!(self.rules.limit.is_none_or(|limit| self.metrics.total.taken() <= limit), "P1: the limit");
        for (_, host) in &self.host_entries {
            let taken = host.gauges.taken();
            assert!(self.rules.limit_per_host.is_none_or(|limit| taken <= limit), "P1: the limit of a host");
        }
    }

    /// P12.
    fn audit_sums(&self) {
        let mut total = Gauges::default();
        for (entry, host) in &self.host_entries {
            let gauges = self.gauges(entry);
            assert_eq!(host.gauges, gauges, "a host's gauges are its slots and waiters");
            total.reserved += gauges.reserved;
            total.dialing += gauges.dialing;
            total.in_use += gauges.in_use;
            total.idle += gauges.idle;
            total.waiting += gauges.waiting;
        }
        assert_eq!(self.metrics.total, total, "P12: the hosts' sums are the totals");
        let Metrics { created, reused, dials_failed, closed, wait, connect, .. } = &self.metrics;
        assert_eq!(created - self.metrics.closed_total(), total.open() as u64, "P12: created less closed is open");
        assert_eq!(closed[CloseReason::DialFailed as usize], *dials_failed, "P12: a failed dial is a close");
        let fresh = wait.count().checked_sub(*reused).expect("P12: each reuse is a checkout");
        assert!(
            fresh <= connect.count(),
            "P12: a connection that is not reused was dialed, and is new to one request only"
        );
        let closing = self.slots.iter().filter(|(_, slot)| is_closing(slot)).count();
        assert_eq!(self.closing, closing);
    }

    /// P2, P3, P4: no request waits for a free connection or an unused slot, unless a slot is being
    /// freed.
    fn audit_waits(&self) {
        for (_, key) in &self.key_entries {
            assert!(
                key.idle.is_empty() || key.queue.is_empty(),
                "P2: no request waits beside an idle connection of its key"
            );
        }
        assert!(self.ready.is_empty() || !self.has_room(), "P3: no request that can proceed waits");
        let unwanted = |slot: usize| self.key_entries[self.slots[slot].key].queue.is_empty();
        let unwanted: Vec<_> = walk(&self.orphans, &self.slots).into_iter().filter(|&slot| unwanted(slot)).collect();
        let able = self.host_entries.iter().filter(|(id, _)| self.host_has_room(*id)).map(|(_, host)| {
            let left = self.rules.limit_per_host.map_or(usize::MAX, |limit| limit - host.gauges.taken());
            host.gauges.waiting.min(left)
        });
        let able: usize = able.sum();
        let closing_any = self.closing > 0;
        assert!(self.idle.is_empty() || closing_any || able == 0, "an idle connection is in the way of a request");
        assert!(unwanted.is_empty() || closing_any || able == 0, "an unwanted dial is in the way of a request");
        for (entry, host) in self.host_entries.iter().filter(|(id, _)| !self.host_has_room(*id)) {
            let none_waits = host.gauges.waiting == 0;
            let closing = self.slots.iter().any(|(id, slot)| is_closing(slot) && self.host_of(id) == entry);
            assert!(
                host.idle.is_empty() || closing || none_waits,
                "an idle connection is in the way of a request of its host"
            );
            let unwanted = unwanted.iter().any(|&slot| self.host_of(slot) == entry);
            // Any close is enough: its end is followed by the next check of all orphaned dials.
            assert!(!unwanted || closing_any || none_waits, "an unwanted dial is in the way of a request of its host");
        }
    }

    /// P3.
    fn audit_order(&self) {
        for (_, key) in &self.key_entries {
            let queue = walk(&key.queue, &self.tickets);
            assert!(
                queue.is_sorted_by_key(|&ticket| self.tickets[ticket].arrival),
                "tickets are queued in order of arrival"
            );
            let waits = |&ticket: &usize| self.tickets[ticket].standing == Standing::Waiting;
            assert!(queue.is_sorted_by_key(waits), "permits to dial are granted in order");
            assert_eq!(key.first_waiting, queue.iter().copied().find(waits));
            assert_eq!(key.indexed, key.first_waiting.map(|ticket| self.tickets[ticket].arrival));
        }
        for (entry, host) in &self.host_entries {
            let keys = self.key_entries.iter().filter(|(_, key)| key.host == entry);
            assert_eq!(host.waiting, keys.filter_map(|(id, key)| Some((key.indexed?, id))).collect());
            let oldest = host.waiting.first().map(|&(arrival, _)| arrival);
            assert_eq!(host.indexed, if self.host_has_room(entry) { oldest } else { None });
        }
        let ready = self.host_entries.iter().filter_map(|(id, host)| Some((host.indexed?, id)));
        assert_eq!(self.ready, ready.collect());
    }

    fn audit_pairs(&self) {
        for (id, ticket) in &self.tickets {
            match ticket.standing {
                Standing::Dialing(slot) => {
                    assert_eq!(self.slots[slot.0].phase, SlotPhase::Dialing(Dialer::Ticket(id)));
                }
                Standing::Granted(slot) => assert_eq!(self.slots[slot.0].phase, SlotPhase::InUse),
                Standing::Waiting | Standing::Closed => {}
            }
        }
        for (id, slot) in &self.slots {
            match slot.phase {
                SlotPhase::Dialing(Dialer::Ticket(ticket)) => {
                    assert_eq!(self.tickets[ticket].standing, Standing::Dialing(SlotId(id)));
                    assert!(matches!(slot.gauge, Gauge::Reserved | Gauge::Dialing));
                }
                SlotPhase::Dialing(Dialer::Lease | Dialer::Orphaned) => assert_eq!(slot.gauge, Gauge::Dialing),
                SlotPhase::InUse => assert_eq!(slot.gauge, Gauge::InUse),
                SlotPhase::Idle => assert_eq!(slot.gauge, Gauge::Idle),
                SlotPhase::Closing(_) => assert_ne!(slot.gauge, Gauge::Reserved, "a closing slot has a socket"),
            }
            assert!(slot.attempts == 0 || slot.gauge == Gauge::Dialing, "only a dial has attempts");
            assert!(slot.streak <= MAX_STREAK);
        }
        let mut granted: Vec<_> = self.tickets.iter().filter_map(|(_, ticket)| granted(ticket)).collect();
        let grants = granted.len();
        granted.sort_unstable();
        granted.dedup();
        assert_eq!(granted.len(), grants, "no two requests are granted one connection");
    }

    fn audit_lists(&self) {
        let all = walk(&self.idle, &self.slots);
        assert_eq!(
            sorted(&all),
            self.slots_where(|slot| slot.phase == SlotPhase::Idle),
            "the idle list is the idle slots"
        );
        assert!(all.is_sorted_by_key(|&slot| self.slots[slot].since), "the longest idle first");
        for (entry, key) in &self.key_entries {
            let members: Vec<_> = all.iter().copied().filter(|&slot| self.slots[slot].key == entry).collect();
            assert_eq!(walk(&key.idle, &self.slots), members, "a key's idle list is its part of all");
            let queued = |ticket: &Ticket| matches!(ticket.standing, Standing::Waiting | Standing::Dialing(_));
            let queued = self.tickets.iter().filter(|(_, ticket)| ticket.key == entry && queued(ticket));
            let queue = sorted(&walk(&key.queue, &self.tickets));
            assert_eq!(
                queue,
                queued.map(|(id, _)| id).collect::<Vec<_>>(),
                "each request without a connection is queued"
            );
        }
        for (entry, host) in &self.host_entries {
            let members: Vec<_> = all.iter().copied().filter(|&slot| self.host_of(slot) == entry).collect();
            assert_eq!(walk(&host.idle, &self.slots), members, "a host's idle list is its part of all");
        }
        let watched = self.slots.iter().filter_map(|(id, slot)| Some((slot.watched_until?, SlotId(id))));
        assert_eq!(self.expiries, watched.collect(), "each watched slot has its expiry, and no other has");
        let idle = |slot: SlotId| self.slots[slot.0].phase == SlotPhase::Idle;
        assert!(self.expiries.iter().all(|&(_, slot)| idle(slot)), "only idle slots are watched");
        let orphans = self.slots_where(|slot| slot.phase == SlotPhase::Dialing(Dialer::Orphaned));
        assert_eq!(sorted(&walk(&self.orphans, &self.slots)), orphans, "the orphan list is the orphaned dials");
        let orphans_of = |entry| orphans.iter().filter(|&&slot| self.slots[slot].key == entry).count();
        assert!(
            self.key_entries.iter().all(|(entry, key)| key.orphans == orphans_of(entry)),
            "each key counts its orphans"
        );
        let unwanted = self.key_entries.iter().filter(|(_, key)| key.queue.is_empty()).map(|(_, key)| key.orphans);
        assert_eq!(self.unwanted, unwanted.sum::<usize>());
    }

    fn audit_keys(&self) {
        assert_eq!((self.keys.len(), self.hosts.len()), (self.key_entries.len(), self.host_entries.len()));
        for (entry, key) in &self.key_entries {
            let tickets = self.tickets.iter().filter(|(_, ticket)| ticket.key == entry).count();
            assert_eq!(key.refs, self.slots_where(|slot| slot.key == entry).len() + tickets);
            assert!(key.refs > 0, "a key without references is forgotten");
            assert_eq!(self.keys.get(&key.key), Some(&entry));
        }
        for (entry, host) in &self.host_entries {
            assert_eq!(host.refs, self.key_entries.iter().filter(|(_, key)| key.host == entry).count());
            assert!(host.refs > 0, "a host without references is forgotten");
            assert_eq!(self.hosts.get(&host.host), Some(&entry));
        }
    }

    /// True if the state holds nothing but statistics.
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

    fn gauges(&self, host: usize) -> Gauges {
        let mut gauges = Gauges::default();
        for (_, slot) in self.slots.iter().filter(|(_, slot)| self.key_entries[slot.key].host == host) {
            gauges.count(slot.gauge, 1 + slot.attempts as isize);
        }
        let waits = |ticket: &Ticket| ticket.standing == Standing::Waiting && self.key_entries[ticket.key].host == host;
        gauges.waiting = self.tickets.iter().filter(|(_, ticket)| waits(ticket)).count();
        gauges
    }

    fn slots_where(&self, selected: impl Fn(&Slot) -> bool) -> Vec<usize> {
        self.slots.iter().filter(|(_, slot)| selected(slot)).map(|(id, _)| id).collect()
    }
}

#[cfg(not(trunkline_loom))]
impl<K: PoolKey> State<K> {
    /// End of the lifetime that was drawn for the slot's connection.
    pub(crate) fn lifetime_end(&self, slot: SlotId) -> Option<std::time::Instant> {
        self.slots[slot.0].expires
    }

    /// True if all further requests of the session are refused.
    pub(crate) fn has_aborted(&self, owner: super::Owner) -> bool {
        self.aborted_owners.contains(&owner)
    }

    /// Number of concurrent attempts beside each dial's first.
    pub(crate) fn attempts(&self) -> usize {
        self.slots.iter().map(|(_, slot)| slot.attempts).sum()
    }
}

fn is_closing(slot: &Slot) -> bool {
    matches!(slot.phase, SlotPhase::Closing(_))
}

fn granted(ticket: &Ticket) -> Option<SlotId> {
    match ticket.standing {
        Standing::Granted(slot) => Some(slot),
        _ => None,
    }
}

/// Elements of the list, checked to be the same from both ends.
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

/// First outputs of the reference implementation.
#[test]
fn splitmix64_matches_the_reference_outputs() {
    let golden = 0x9e37_79b9_7f4a_7c15_u64;
    assert_eq!(splitmix64(0), 0xe220_a839_7b1d_cdaf);
    assert_eq!(splitmix64(golden), 0x6e78_9e6a_a1b9_65f4);
    assert_eq!(splitmix64(golden.wrapping_mul(2)), 0x06c4_5d18_8009_454f);
}
