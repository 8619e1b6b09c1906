//! The pool's rules: who may open a connection, who waits, who goes next, what is closed and why.
//!
//! Pure: no clock, no I/O, no lock, no await. Events come in as method calls that are handed `now`; what is to be done about them
//! comes out as [`Action`]s. The numbers P1 to P15 are the rules in `docs/ARCHITECTURE.md`.
//!
//! A *slot* is leave to own one socket. It is taken before the socket exists and freed after it is gone, and passes through
//! `Dialing → InUse ⇄ Idle → Closing`. A *ticket* is a request that got no idle connection at once.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

use foldhash::quality::RandomState;
use slab::Slab;

use super::ledger::{Column, Ledger, Tally};
use super::list::{Linked, Links, List};
use crate::stats::CloseReason;

/// A connection idle for less than this is nobody's but the next request's: the keeper leaves it alone.
pub(crate) const ADOPTION: Duration = Duration::from_millis(50);

/// How many requests in a row a connection serves while an older one of another key lacks only the total limit (P3).
pub(crate) const STREAK: u8 = 16;

/// What makes connections interchangeable.
pub(crate) trait PoolKey: Clone + Eq + Hash {
    /// What `limit_per_host` counts by: several keys may share it.
    type Host: Clone + Eq + Hash;

    fn host(&self) -> Self::Host;
}

/// The settings the rules depend on.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) limit: Option<usize>,
    pub(crate) limit_per_host: Option<usize>,
    pub(crate) idle_timeout: Duration,
    pub(crate) max_lifetime: Option<Duration>,
    /// Spreads lifetimes (P8); any number will do.
    pub(crate) seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SlotId(pub(crate) usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TicketId(pub(crate) usize);

/// Whose request it is: a session's number.
pub(crate) type Owner = u32;

/// What the shell has to do, once it has let go of the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The ticket's standing changed: wake the request.
    Wake(TicketId),
    /// Drop what the slot holds, then report [`State::closed`].
    Close(SlotId),
    /// The slot holds a dial that its request left behind: the keeper drives it from now on.
    Tend(SlotId),
    /// The slot's connection went idle: the keeper is to look after it in [`ADOPTION`].
    Idle(SlotId),
    /// End the lease on this slot, then report [`State::closed`].
    Abort(SlotId),
}

/// The answer to a checkout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checkout {
    /// An idle connection, now in use.
    Reuse(SlotId),
    /// Neither yet: ask [`State::standing`].
    Queued(TicketId),
    Closed,
}

/// How a request stands that got no idle connection at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It waits for a connection to come back or for leave to dial.
    Waiting,
    /// It has leave to dial in this slot; a connection that comes back first is taken instead (P4).
    Dialing(SlotId),
    /// It was given the connection in this slot.
    Granted(SlotId),
    /// The pool or the session closed.
    Closed,
}

/// What takes the place of a connection that was found dead when it was to be reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replacement {
    Reuse(SlotId),
    /// Dial in the dead one's own slot.
    Dial,
    /// The request was aborted meanwhile.
    Closed,
}

/// What the keeper has to watch.
#[derive(Debug, Default)]
pub(crate) struct Adopted {
    /// From now on.
    pub(crate) slots: Vec<SlotId>,
    /// When to ask again, if anything is idle that is not watched yet.
    pub(crate) next: Option<Instant>,
}

pub(crate) struct State<K: PoolKey> {
    rules: Rules,
    phase: Life,
    generation: u32,
    arrivals: u64,
    keys: HashMap<K, usize, RandomState>,
    key_entries: Slab<KeyEntry<K>>,
    hosts: HashMap<K::Host, usize, RandomState>,
    host_entries: Slab<HostEntry<K::Host>>,
    slots: Slab<Slot>,
    tickets: Slab<Ticket>,
    /// Every idle connection, the longest idle first.
    idle: List<ALL>,
    /// Dials whose requests were served otherwise, the oldest first.
    orphans: List<ALL>,
    /// Slots on their way to be free.
    closing: usize,
    /// Hosts below their limit that have requests without leave to dial, by their oldest one's arrival.
    ready: BTreeSet<(u64, usize)>,
    /// When the connections that the keeper adopted are due to be closed.
    expiries: BTreeSet<(Instant, SlotId)>,
    /// Sessions that were aborted: a request of theirs that was between two exchanges gets no further.
    ended: BTreeSet<Owner>,
    ledger: Ledger,
    actions: VecDeque<Action>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Open,
    /// Nothing new; what is under way may go on, its redirects and its replay too.
    Draining,
    Closed,
}

struct KeyEntry<K> {
    key: K,
    host: usize,
    idle: List<KEY>,
    /// Requests without a connection, in order of arrival: those that dial, then those that wait.
    queue: List<KEY>,
    /// The first of the queue that has no leave to dial.
    undialed: Option<usize>,
    /// Its arrival, as the host's `waiting` has it.
    listed: Option<u64>,
    /// Slots and tickets that name this entry.
    members: usize,
}

struct HostEntry<H> {
    host: H,
    tally: Tally,
    idle: List<HOST>,
    /// Keys with requests that have no leave to dial, by the oldest one's arrival.
    waiting: BTreeSet<(u64, usize)>,
    /// What `ready` has of this host.
    listed: Option<u64>,
    members: usize,
}

const KEY: usize = 0;
const HOST: usize = 1;
const ALL: usize = 2;

struct Slot {
    key: usize,
    owner: Owner,
    phase: Phase,
    column: Column,
    /// When the phase began.
    since: Instant,
    /// The end of its lifetime.
    expires: Option<Instant>,
    generation: u32,
    /// Requests of its own key served in a row over the head of an older one of another key.
    streak: u8,
    /// What the server said: `Keep-Alive: timeout=n`, less a second.
    keep_alive: Option<Duration>,
    /// Concurrent attempts besides the first, each with a slot's worth of the limits.
    attempts: usize,
    adopted: Option<Instant>,
    /// When its last exchange ended.
    served: Option<Instant>,
    reported: bool,
    links: [Links; 3],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Dialing(Dialer),
    InUse,
    Idle,
    Closing(CloseReason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialer {
    /// A queued request; it may be served otherwise.
    Ticket(usize),
    /// A request that dials anew in the slot of a connection that failed it (P10).
    Lease,
    /// Its request was served otherwise (P4).
    Nobody,
}

struct Ticket {
    key: usize,
    owner: Owner,
    arrival: u64,
    /// When it arrived.
    since: Instant,
    /// Its wait, once that is over: it was given a connection, or leave to dial.
    waited: Duration,
    standing: Standing,
    links: Links,
}

impl Linked for Slot {
    fn links(&self, list: usize) -> Links {
        self.links[list]
    }
    fn links_mut(&mut self, list: usize) -> &mut Links {
        &mut self.links[list]
    }
}

impl Linked for Ticket {
    fn links(&self, _: usize) -> Links {
        self.links
    }
    fn links_mut(&mut self, _: usize) -> &mut Links {
        &mut self.links
    }
}

/// Requests: arriving, waiting, leaving.
impl<K: PoolKey> State<K> {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            phase: Life::Open,
            generation: 0,
            arrivals: 0,
            keys: HashMap::default(),
            key_entries: Slab::new(),
            hosts: HashMap::default(),
            host_entries: Slab::new(),
            slots: Slab::new(),
            tickets: Slab::new(),
            idle: List::default(),
            orphans: List::default(),
            closing: 0,
            ready: BTreeSet::new(),
            expiries: BTreeSet::new(),
            ended: BTreeSet::new(),
            ledger: Ledger::default(),
            actions: VecDeque::new(),
        }
    }

    /// P2: an idle connection, else a ticket. `under_way` marks a later exchange of a request that began before the pool
    /// was closed: it may finish while the pool drains.
    pub(crate) fn checkout(&mut self, key: &K, owner: Owner, under_way: bool, now: Instant) -> Checkout {
        match self.phase {
            Life::Open => {}
            Life::Draining if under_way => {}
            Life::Draining | Life::Closed => return Checkout::Closed,
        }
        if self.ended.contains(&owner) {
            return Checkout::Closed;
        }
        if let Some(&entry) = self.keys.get(key)
            && let Some(slot) = self.take_idle(entry, owner, now)
        {
            return Checkout::Reuse(SlotId(slot));
        }
        let entry = self.enter(key);
        let ticket = self.enqueue(entry, owner, now);
        self.admit(now);
        if self.tickets[ticket].standing == Standing::Waiting {
            self.make_room_within(self.key_entries[entry].host);
            self.make_room();
        }
        Checkout::Queued(TicketId(ticket))
    }

    pub(crate) fn standing(&self, ticket: TicketId) -> Standing {
        self.tickets[ticket.0].standing
    }

    /// For how long the connection has been without an exchange; without end, if it has never had one.
    pub(crate) fn rested(&self, slot: SlotId, now: Instant) -> Duration {
        self.slots[slot.0].served.map_or(Duration::MAX, |ended| now.saturating_duration_since(ended))
    }

    /// The request has seen its grant, or its failure: the ticket is done with.
    pub(crate) fn claim(&mut self, ticket: TicketId) {
        let Ticket { standing, waited, .. } = self.tickets[ticket.0];
        if let Standing::Granted(slot) = standing {
            self.ledger.given(self.slots[slot.0].served.is_some(), waited);
        }
        self.discard(ticket.0);
    }

    /// P7: the request gives up its place, and what it was given goes to the next.
    pub(crate) fn cancel(&mut self, ticket: TicketId, now: Instant) {
        let standing = self.standing(ticket);
        if matches!(standing, Standing::Waiting | Standing::Dialing(_)) {
            self.dequeue(ticket.0);
        }
        self.discard(ticket.0);
        match standing {
            Standing::Waiting | Standing::Closed => {}
            Standing::Dialing(slot) => self.end_dial(slot.0, CloseReason::Cancelled),
            Standing::Granted(slot) => self.came_back(slot.0, now),
        }
        self.pump(now);
    }

    fn enqueue(&mut self, entry: usize, owner: Owner, now: Instant) -> usize {
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
        key.queue.push_back(&mut self.tickets, ticket);
        key.undialed.get_or_insert(ticket);
        self.count_waiting(entry, 1);
        self.relist(entry);
        ticket
    }

    /// Takes a ticket that waits or dials out of its key's queue.
    fn dequeue(&mut self, ticket: usize) {
        let Ticket { key: entry, standing, .. } = self.tickets[ticket];
        if standing == Standing::Waiting {
            self.pass_over(ticket);
        }
        self.key_entries[entry].queue.remove(&mut self.tickets, ticket);
        self.relist(entry);
    }

    /// The ticket no longer waits for leave to dial.
    fn pass_over(&mut self, ticket: usize) {
        let entry = self.tickets[ticket].key;
        let key = &mut self.key_entries[entry];
        if key.undialed == Some(ticket) {
            key.undialed = List::<KEY>::after(&self.tickets, ticket);
        }
        self.count_waiting(entry, -1);
    }

    fn end_wait(&mut self, ticket: usize, now: Instant) {
        let ticket = &mut self.tickets[ticket];
        ticket.waited = now.saturating_duration_since(ticket.since);
    }

    fn discard(&mut self, ticket: usize) {
        let entry = self.tickets.remove(ticket).key;
        self.leave(entry);
    }
}

/// Connections: dialed, lent, given back, gone.
impl<K: PoolKey> State<K> {
    /// The request makes use of its leave to dial. False if it was served, or failed, meanwhile.
    pub(crate) fn begin_dial(&mut self, ticket: TicketId, slot: SlotId, now: Instant) -> bool {
        let begins = self.standing(ticket) == Standing::Dialing(slot);
        if begins {
            self.slots[slot.0].since = now;
            self.set_column(slot.0, Column::Dialing);
            self.ledger.created += 1;
        }
        begins
    }

    /// The slot's dial succeeded. True if the request that dialed has the connection now; else it is the pool's (P4).
    pub(crate) fn dialed(&mut self, slot: SlotId, now: Instant) -> bool {
        let Phase::Dialing(dialer) = self.slots[slot.0].phase else { return false };
        let lifetime = self.lifetime(slot.0);
        self.slots[slot.0].expires = lifetime.and_then(|lifetime| now.checked_add(lifetime));
        self.ledger.connect.record(now.saturating_duration_since(self.slots[slot.0].since));
        match dialer {
            Dialer::Ticket(ticket) => {
                self.ledger.given(false, self.tickets[ticket].waited);
                self.dequeue(ticket);
                self.discard(ticket);
                self.lend(slot.0, now);
            }
            Dialer::Lease => {
                self.ledger.given(false, Duration::ZERO);
                self.lend(slot.0, now);
            }
            Dialer::Nobody => {
                self.orphans.remove(&mut self.slots, slot.0);
                self.came_back(slot.0, now);
            }
        }
        self.pump(now);
        dialer != Dialer::Nobody
    }

    /// P5: the slot's dial failed and left no socket. True if the request that dialed it still did, and so fails with it;
    /// nobody else does.
    pub(crate) fn dial_failed(&mut self, slot: SlotId, now: Instant) -> bool {
        let phase = self.slots[slot.0].phase;
        match phase {
            Phase::Dialing(Dialer::Ticket(ticket)) => {
                self.dequeue(ticket);
                self.discard(ticket);
            }
            Phase::Dialing(Dialer::Nobody) => self.orphans.remove(&mut self.slots, slot.0),
            _ => {}
        }
        self.ledger.dials_failed += 1;
        self.free(slot.0, CloseReason::DialFailed);
        self.pump(now);
        matches!(phase, Phase::Dialing(Dialer::Ticket(_) | Dialer::Lease))
    }

    /// P1: leave for one more concurrent attempt of the slot's dial, if both limits have room that nobody waits for.
    pub(crate) fn begin_attempt(&mut self, slot: SlotId) -> bool {
        let host = self.key_entries[self.slots[slot.0].key].host;
        if !self.has_room() || !self.host_has_room(host) {
            return false;
        }
        self.slots[slot.0].attempts += 1;
        self.count_taken(host, Column::Dialing, 1);
        self.ledger.created += 1;
        true
    }

    /// An attempt begun by [`begin_attempt`](Self::begin_attempt) lost the race or failed; its socket is gone.
    pub(crate) fn end_attempt(&mut self, slot: SlotId, now: Instant) {
        let entry = &mut self.slots[slot.0];
        entry.attempts -= 1;
        let host = self.key_entries[entry.key].host;
        self.count_taken(host, Column::Dialing, -1);
        self.ledger.closed(CloseReason::Superseded);
        self.pump(now);
    }

    /// P8: a lease ended with the exchange complete and the connection fit for another.
    /// False if it was aborted before it came back: its socket is to be dropped.
    pub(crate) fn returned(&mut self, slot: SlotId, keep_alive: Option<Duration>, now: Instant) -> bool {
        let leased = self.slots.get(slot.0).is_some_and(|slot| slot.phase == Phase::InUse);
        if leased {
            self.slots[slot.0].keep_alive = keep_alive;
            self.slots[slot.0].served = Some(now);
            self.came_back(slot.0, now);
            self.pump(now);
        }
        leased
    }

    /// The slot's socket is gone, or its leave to dial was not made use of: the slot is free.
    pub(crate) fn closed(&mut self, slot: SlotId, reason: CloseReason, now: Instant) {
        let reason = match self.slots[slot.0].phase {
            Phase::Closing(decided) => decided,
            _ => reason,
        };
        self.unlist(slot.0);
        self.free(slot.0, reason);
        self.pump(now);
    }

    /// Takes the slot out of the lists of what nobody uses.
    fn unlist(&mut self, slot: usize) {
        match self.slots[slot].phase {
            Phase::Idle => self.leave_idle(slot),
            Phase::Dialing(Dialer::Nobody) => self.orphans.remove(&mut self.slots, slot),
            _ => {}
        }
    }

    /// P10: the connection in use was found dead before a byte was written on it, and its socket is gone. Another idle one
    /// takes its place, or a new one is dialed in its slot.
    pub(crate) fn replace(&mut self, slot: SlotId, reason: CloseReason, now: Instant) -> Replacement {
        let Slot { key, owner, phase, .. } = self.slots[slot.0];
        if phase == Phase::InUse
            && let Some(other) = self.take_idle(key, owner, now)
        {
            self.free(slot.0, reason);
            self.pump(now);
            return Replacement::Reuse(SlotId(other));
        }
        self.redial(slot, reason, now)
    }

    /// P10: the connection in use failed its request and its socket is gone; a new one is dialed in its slot, without queueing.
    pub(crate) fn redial(&mut self, slot: SlotId, reason: CloseReason, now: Instant) -> Replacement {
        if self.slots[slot.0].phase != Phase::InUse {
            self.closed(slot, reason, now);
            return Replacement::Closed;
        }
        self.ledger.closed(reason);
        self.ledger.created += 1;
        self.set_column(slot.0, Column::Dialing);
        let entry = &mut self.slots[slot.0];
        entry.phase = Phase::Dialing(Dialer::Lease);
        entry.served = None;
        entry.since = now;
        entry.generation = self.generation;
        Replacement::Dial
    }

    /// The keeper found an idle connection closed by the server.
    pub(crate) fn found_dead(&mut self, slot: SlotId) {
        if self.slots.get(slot.0).is_some_and(|slot| slot.phase == Phase::Idle) {
            self.close_idle(slot.0, CloseReason::PeerClosed);
        }
    }

    /// A connection is there for the taking: for the next request of its key, for an older one of another (P3), or idle.
    fn came_back(&mut self, slot: usize, now: Instant) {
        let entry = self.slots[slot].key;
        if let Some(reason) = self.unfit(slot, now) {
            return self.close_slot(slot, reason);
        }
        let Some(next) = self.key_entries[entry].queue.front() else {
            return self.settle(slot, now);
        };
        if self.overtakes(entry, next) {
            if self.slots[slot].streak == STREAK {
                return self.close_slot(slot, CloseReason::Yielded);
            }
            self.slots[slot].streak += 1;
        } else {
            self.slots[slot].streak = 0;
        }
        self.serve(slot, next, now);
    }

    /// Why a connection that came back may not be used again.
    fn unfit(&self, slot: usize, now: Instant) -> Option<CloseReason> {
        let slot = &self.slots[slot];
        if slot.generation != self.generation {
            Some(CloseReason::Refreshed)
        } else if slot.expires.is_some_and(|end| end <= now) {
            Some(CloseReason::Lifetime)
        } else if self.phase != Life::Open && self.key_entries[slot.key].queue.is_empty() {
            Some(CloseReason::Closed)
        } else {
            None
        }
    }

    /// Would serving `next`, of the key `entry`, overtake an older request of another key that this slot would let go? It lacks
    /// only the total limit, or shares the host whose limit is in its way.
    fn overtakes(&self, entry: usize, next: usize) -> bool {
        let own = self.key_entries[entry].host;
        let overall = self.ready.first().map(|&(_, host)| host);
        let sibling = (!self.host_has_room(own)).then_some(own);
        overall.into_iter().chain(sibling).any(|host| {
            // None of its own key is older than `next`.
            let oldest = self.host_entries[host].waiting.first();
            oldest.is_some_and(|&(arrival, _)| arrival < self.tickets[next].arrival)
        })
    }

    /// Gives the connection to a queued request; the dial it may have begun is left behind (P4).
    fn serve(&mut self, slot: usize, ticket: usize, now: Instant) {
        self.dequeue(ticket);
        if let Standing::Dialing(dial) = self.tickets[ticket].standing {
            self.leave_behind(dial);
        } else {
            self.end_wait(ticket, now);
        }
        self.tickets[ticket].standing = Standing::Granted(SlotId(slot));
        self.slots[slot].owner = self.tickets[ticket].owner;
        self.lend(slot, now);
        self.actions.push_back(Action::Wake(TicketId(ticket)));
    }

    fn leave_behind(&mut self, dial: SlotId) {
        if self.slots[dial.0].column == Column::Reserved {
            return self.free(dial.0, CloseReason::Cancelled);
        }
        self.slots[dial.0].phase = Phase::Dialing(Dialer::Nobody);
        self.orphans.push_back(&mut self.slots, dial.0);
        self.actions.push_back(Action::Tend(dial));
    }

    fn lend(&mut self, slot: usize, now: Instant) {
        self.set_column(slot, Column::InUse);
        let slot = &mut self.slots[slot];
        slot.phase = Phase::InUse;
        slot.since = now;
        slot.reported = false;
    }

    /// Nobody of its key wants the connection: it goes idle, unless its slot is what a request of another key lacks.
    fn settle(&mut self, slot: usize, now: Instant) {
        let entry = self.slots[slot].key;
        let host = self.key_entries[entry].host;
        if self.is_wanted(host) {
            return self.close_slot(slot, CloseReason::Evicted);
        }
        self.set_column(slot, Column::Idle);
        let idle = &mut self.slots[slot];
        idle.phase = Phase::Idle;
        idle.since = now;
        idle.streak = 0;
        self.key_entries[entry].idle.push_back(&mut self.slots, slot);
        self.host_entries[host].idle.push_back(&mut self.slots, slot);
        self.idle.push_back(&mut self.slots, slot);
        self.actions.push_back(Action::Idle(SlotId(slot)));
    }

    /// The key's most recently used idle connection that is still good; what is overdue is closed on the way.
    fn take_idle(&mut self, entry: usize, owner: Owner, now: Instant) -> Option<usize> {
        while let Some(slot) = self.key_entries[entry].idle.back() {
            if let Some(reason) = self.overdue(slot, now) {
                self.close_idle(slot, reason);
                continue;
            }
            self.leave_idle(slot);
            self.slots[slot].owner = owner;
            self.ledger.given(self.slots[slot].served.is_some(), Duration::ZERO);
            self.lend(slot, now);
            return Some(slot);
        }
        None
    }

    fn overdue(&self, slot: usize, now: Instant) -> Option<CloseReason> {
        let Slot { since, keep_alive, expires, generation, .. } = self.slots[slot];
        if generation != self.generation {
            Some(CloseReason::Refreshed)
        } else if expires.is_some_and(|end| end <= now) {
            Some(CloseReason::Lifetime)
        } else if self.idle_end(since, keep_alive) <= now {
            Some(CloseReason::IdleTimeout)
        } else {
            None
        }
    }

    /// P9: when a connection idle since then is to be closed.
    fn idle_end(&self, since: Instant, keep_alive: Option<Duration>) -> Instant {
        let allowed = keep_alive.map_or(self.rules.idle_timeout, |hint| hint.min(self.rules.idle_timeout));
        since.checked_add(allowed).unwrap_or(since + FAR)
    }

    fn leave_idle(&mut self, slot: usize) {
        let entry = self.slots[slot].key;
        self.key_entries[entry].idle.remove(&mut self.slots, slot);
        let host = self.key_entries[entry].host;
        self.host_entries[host].idle.remove(&mut self.slots, slot);
        self.idle.remove(&mut self.slots, slot);
        if let Some(due) = self.slots[slot].adopted.take() {
            self.expiries.remove(&(due, SlotId(slot)));
        }
    }

    fn close_idle(&mut self, slot: usize, reason: CloseReason) {
        self.leave_idle(slot);
        self.close_slot(slot, reason);
    }

    fn begin_close(&mut self, slot: usize, reason: CloseReason) {
        self.closing += 1;
        self.slots[slot].phase = Phase::Closing(reason);
    }

    fn close_slot(&mut self, slot: usize, reason: CloseReason) {
        self.begin_close(slot, reason);
        self.actions.push_back(Action::Close(SlotId(slot)));
    }

    /// Ends a dial, begun or not, that its request no longer wants.
    fn end_dial(&mut self, slot: usize, reason: CloseReason) {
        match self.slots[slot].column {
            Column::Reserved => self.free(slot, reason),
            _ => self.close_slot(slot, reason),
        }
    }

    fn lifetime(&self, slot: usize) -> Option<Duration> {
        // The slot tells apart what was begun together, the count what followed in one slot.
        let spread = splitmix64(self.rules.seed ^ self.ledger.created ^ ((slot as u64) << 32));
        // 0.9 to 1.1 of the setting, evenly.
        let factor = 0.9 + 0.2 * (spread as f64 / u64::MAX as f64);
        self.rules.max_lifetime.map(|lifetime| lifetime.min(FAR).mul_f64(factor))
    }
}

/// Limits: who goes next, and what is closed to let them (P1 to P3).
impl<K: PoolKey> State<K> {
    /// Something became free: whoever can go goes, and what nobody wants makes room for the next.
    fn pump(&mut self, now: Instant) {
        self.admit(now);
        self.make_room();
    }

    /// Gives leave to dial to the oldest requests that can go, while there is room.
    fn admit(&mut self, now: Instant) {
        while self.has_room() {
            let Some(&(_, host)) = self.ready.first() else { break };
            let (_, entry) = *self.host_entries[host].waiting.first().expect("a ready host has a waiting key");
            let ticket = self.key_entries[entry].undialed.expect("a waiting key has a request without leave to dial");
            self.pass_over(ticket);
            self.end_wait(ticket, now);
            let slot = self.open_slot(entry, ticket, now);
            self.tickets[ticket].standing = Standing::Dialing(SlotId(slot));
            self.actions.push_back(Action::Wake(TicketId(ticket)));
            self.relist(entry);
            self.make_room_within(host);
        }
    }

    fn open_slot(&mut self, entry: usize, ticket: usize, now: Instant) -> usize {
        let slot = self.slots.insert(Slot {
            key: entry,
            owner: self.tickets[ticket].owner,
            phase: Phase::Dialing(Dialer::Ticket(ticket)),
            column: Column::Reserved,
            since: now,
            expires: None,
            generation: self.generation,
            streak: 0,
            keep_alive: None,
            attempts: 0,
            adopted: None,
            served: None,
            reported: false,
            links: [Links::default(); 3],
        });
        self.key_entries[entry].members += 1;
        self.count_taken(self.key_entries[entry].host, Column::Reserved, 1);
        slot
    }

    fn free(&mut self, slot: usize, reason: CloseReason) {
        let Slot { key: entry, column, phase, attempts, .. } = self.slots.remove(slot);
        if matches!(phase, Phase::Closing(_)) {
            self.closing -= 1;
        }
        debug_assert_eq!(attempts, 0, "a dial ends its attempts before it ends");
        if column != Column::Reserved {
            self.ledger.closed(reason);
        }
        self.count_taken(self.key_entries[entry].host, column, -1);
        self.leave(entry);
    }

    /// P2 (4): closes what nobody uses and the oldest request that waits lacks. One at a time: what closes may be all it takes,
    /// and its end is followed by the next look.
    fn make_room(&mut self) {
        if let Some(slot) = self.idle.front()
            && self.lacks_total()
        {
            self.close_idle(slot, CloseReason::Evicted);
        }
        self.make_room_with_orphans();
    }

    /// The same among the keys of one host, for a request that its limit keeps waiting.
    fn make_room_within(&mut self, host: usize) {
        let HostEntry { idle, waiting, .. } = &self.host_entries[host];
        if let Some(slot) = idle.front()
            && !waiting.is_empty()
            && !self.host_has_room(host)
        {
            self.close_idle(slot, CloseReason::Evicted);
        }
    }

    /// A dial left behind is given up for a request that lacks its slot, if nobody of its own key wants it.
    fn make_room_with_orphans(&mut self) {
        if self.ledger.total.waiting == 0 {
            return;
        }
        let mut next = self.orphans.front();
        while let Some(slot) = next {
            next = List::<ALL>::after(&self.slots, slot);
            let entry = self.slots[slot].key;
            let unwanted = self.key_entries[entry].queue.is_empty();
            if unwanted && self.is_wanted(self.key_entries[entry].host) {
                self.orphans.remove(&mut self.slots, slot);
                return self.close_slot(slot, CloseReason::Evicted);
            }
        }
    }

    /// Would a slot of this host let a waiting request go?
    fn is_wanted(&self, host: usize) -> bool {
        self.lacks_total() || (!self.host_has_room(host) && !self.host_entries[host].waiting.is_empty())
    }

    /// Does a request lack nothing but the total limit, and is no slot on its way to it?
    fn lacks_total(&self) -> bool {
        !self.ready.is_empty() && self.closing == 0
    }

    fn has_room(&self) -> bool {
        self.rules.limit.is_none_or(|limit| self.ledger.total.taken() < limit)
    }

    fn host_has_room(&self, host: usize) -> bool {
        self.rules.limit_per_host.is_none_or(|limit| self.host_entries[host].tally.taken() < limit)
    }

    /// Brings the host's and the pool's order of waiting requests up to date with the key's queue.
    fn relist(&mut self, entry: usize) {
        let key = &mut self.key_entries[entry];
        let arrival = key.undialed.map(|ticket| self.tickets[ticket].arrival);
        if key.listed != arrival {
            let waiting = &mut self.host_entries[key.host].waiting;
            if let Some(old) = key.listed {
                waiting.remove(&(old, entry));
            }
            if let Some(new) = arrival {
                waiting.insert((new, entry));
            }
            key.listed = arrival;
        }
        self.relist_host(self.key_entries[entry].host);
    }

    fn relist_host(&mut self, host: usize) {
        let arrival = match self.host_has_room(host) {
            true => self.host_entries[host].waiting.first().map(|&(arrival, _)| arrival),
            false => None,
        };
        let entry = &mut self.host_entries[host];
        if entry.listed != arrival {
            if let Some(old) = entry.listed {
                self.ready.remove(&(old, host));
            }
            if let Some(new) = arrival {
                self.ready.insert((new, host));
            }
            entry.listed = arrival;
        }
    }
}

/// Time: what the keeper asks.
impl<K: PoolKey> State<K> {
    /// The connections, of those keys, that have been idle long enough for the keeper to watch them from now on.
    pub(crate) fn adopt(&mut self, mine: impl Fn(&K) -> bool, now: Instant) -> Adopted {
        let mut adopted = Adopted::default();
        let mut next = self.idle.back();
        while let Some(slot) = next {
            next = List::<ALL>::before(&self.slots, slot);
            let Slot { key, since, adopted: watched, keep_alive, expires, .. } = self.slots[slot];
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
            let due = self.idle_end(since, keep_alive);
            let due = expires.map_or(due, |end| end.min(due));
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
            self.close_idle(slot, reason);
        }
    }

    /// When [`expire`](Self::expire) next has something to do.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.expiries.first().map(|&(due, _)| due)
    }

    pub(crate) fn is_dialing(&self, slot: SlotId) -> bool {
        matches!(self.slots.get(slot.0).map(|slot| slot.phase), Some(Phase::Dialing(_)))
    }

    /// Does nobody but the keeper look after what is in this slot?
    pub(crate) fn is_unused(&self, slot: SlotId) -> bool {
        let phase = self.slots.get(slot.0).map(|slot| slot.phase);
        matches!(phase, Some(Phase::Idle | Phase::Dialing(Dialer::Nobody)))
    }

    /// Is there an idle connection or a dial left behind among those keys?
    pub(crate) fn has_unused(&self, mine: impl Fn(&K) -> bool) -> bool {
        let mine = |slot: &Slot| mine(&self.key_entries[slot.key].key);
        self.slots
            .iter()
            .any(|(_, slot)| matches!(slot.phase, Phase::Idle | Phase::Dialing(Dialer::Nobody)) && mine(slot))
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
}

/// Closing, in part or for good.
impl<K: PoolKey> State<K> {
    /// P8: connections made until now serve no further request.
    pub(crate) fn refresh(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.close_unused(CloseReason::Refreshed, |_| true);
    }

    /// The runtime that drove these keys' connections is gone: what nobody uses of them is closed.
    pub(crate) fn forsake(&mut self, gone: impl Fn(&K) -> bool) {
        self.close_unused(CloseReason::RuntimeGone, gone);
    }

    /// P11: nothing new from now on, and waiters fail; what is under way may finish.
    /// Returns how many waiters that were.
    pub(crate) fn drain(&mut self) -> usize {
        if self.phase != Life::Open {
            return 0;
        }
        self.phase = Life::Draining;
        self.close_unused(CloseReason::Closed, |_| true);
        self.fail_tickets(|ticket| ticket.standing == Standing::Waiting)
    }

    /// P11: the session's waiters fail; the pool goes on for others. Returns how many waiters that were.
    pub(crate) fn drain_owner(&mut self, owner: Owner) -> usize {
        let failed = self.fail_tickets(|ticket| ticket.standing == Standing::Waiting && ticket.owner == owner);
        // A dial left behind that only they wanted may be in somebody's way.
        self.make_room_with_orphans();
        failed
    }

    /// P11: what is still under way ends now, for one session or for all. Returns how many requests that were.
    pub(crate) fn abort(&mut self, owner: Option<Owner>, now: Instant) -> usize {
        if owner.is_none() {
            self.drain();
            self.phase = Life::Closed;
            // While it drained, requests left dials behind.
            self.close_unused(CloseReason::Closed, |_| true);
        }
        self.ended.extend(owner);
        let owned = |of: Owner| owner.is_none_or(|owner| of == owner);
        let mut aborted = self.fail_tickets(|ticket| owned(ticket.owner));
        let leased =
            |slot: &Slot| matches!(slot.phase, Phase::InUse | Phase::Dialing(Dialer::Lease)) && owned(slot.owner);
        let leases: Vec<_> = self.slots.iter().filter(|(_, slot)| leased(slot)).map(|(id, _)| id).collect();
        for slot in leases {
            self.begin_close(slot, CloseReason::Aborted);
            self.actions.push_back(Action::Abort(SlotId(slot)));
            aborted += 1;
        }
        self.pump(now);
        aborted
    }

    fn fail_tickets(&mut self, which: impl Fn(&Ticket) -> bool) -> usize {
        let live = |ticket: &Ticket| ticket.standing != Standing::Closed && which(ticket);
        let failing: Vec<_> = self.tickets.iter().filter(|(_, ticket)| live(ticket)).map(|(id, _)| id).collect();
        for &ticket in &failing {
            match self.tickets[ticket].standing {
                Standing::Granted(slot) => self.close_slot(slot.0, CloseReason::Aborted),
                Standing::Dialing(slot) => {
                    self.dequeue(ticket);
                    self.end_dial(slot.0, CloseReason::Aborted);
                }
                Standing::Waiting | Standing::Closed => self.dequeue(ticket),
            }
            self.tickets[ticket].standing = Standing::Closed;
            self.actions.push_back(Action::Wake(TicketId(ticket)));
        }
        failing.len()
    }

    /// Closes idle connections and dials left behind.
    fn close_unused(&mut self, reason: CloseReason, which: impl Fn(&K) -> bool) {
        let wanted = |slot: &Slot| which(&self.key_entries[slot.key].key);
        let unused = |slot: &Slot| matches!(slot.phase, Phase::Idle | Phase::Dialing(Dialer::Nobody)) && wanted(slot);
        let found: Vec<_> = self.slots.iter().filter(|(_, slot)| unused(slot)).map(|(id, _)| id).collect();
        for slot in found {
            if self.slots[slot].phase == Phase::Idle {
                self.close_idle(slot, reason);
            } else {
                self.orphans.remove(&mut self.slots, slot);
                self.close_slot(slot, reason);
            }
        }
    }
}

/// Figures (P12) and bookkeeping.
impl<K: PoolKey> State<K> {
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(crate) fn hosts(&self) -> impl Iterator<Item = (&K::Host, &Tally)> {
        self.host_entries.iter().map(|(_, entry)| (&entry.host, &entry.tally))
    }

    pub(crate) fn host(&self, key: &K) -> Tally {
        self.hosts.get(&key.host()).map(|&host| self.host_entries[host].tally).unwrap_or_default()
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(crate) fn is_open(&self) -> bool {
        self.phase == Life::Open
    }

    /// What is to be done next about the events so far.
    pub(crate) fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn enter(&mut self, key: &K) -> usize {
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

    /// One member less; a key or host that nothing names any more is forgotten.
    fn leave(&mut self, entry: usize) {
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

    fn set_column(&mut self, slot: usize, column: Column) {
        let Slot { key, column: from, .. } = self.slots[slot];
        let host = self.key_entries[key].host;
        self.slots[slot].column = column;
        for tally in [&mut self.ledger.total, &mut self.host_entries[host].tally] {
            tally.count(from, -1);
            tally.count(column, 1);
        }
    }

    /// A slot more or less of this host.
    fn count_taken(&mut self, host: usize, column: Column, by: isize) {
        for tally in [&mut self.ledger.total, &mut self.host_entries[host].tally] {
            tally.count(column, by);
        }
        self.relist_host(host);
    }

    fn count_waiting(&mut self, entry: usize, by: isize) {
        let host = self.key_entries[entry].host;
        for tally in [&mut self.ledger.total, &mut self.host_entries[host].tally] {
            tally.count(Column::Waiting, by);
        }
    }
}

/// Longer than any process lives; keeps arithmetic on instants from overflowing.
const FAR: Duration = Duration::from_secs(86_400 * 365 * 30);

/// Steele, Lea, Flood: "Fast splittable pseudorandom number generators" (2014).
fn splitmix64(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
#[path = "tests/audit.rs"]
mod audit;
