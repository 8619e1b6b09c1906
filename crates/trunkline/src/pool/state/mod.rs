//! Rules of the pool, as a pure state machine: limits, order, reuse, expiry and closing.
//!
//! No clock, no I/O, no lock, no await. Events come in as method calls that are handed `now`. The
//! work that they cause comes out as [`Action`]s. The numbers P1 to P15 are the rules in
//! `docs/POOL.md`.
//!
//! A *slot* is a permit to own one socket. It is taken before the socket exists and freed after
//! the socket is gone, and passes through `Dialing → InUse ⇄ Idle → Closing`. A *ticket* is a
//! request that found no idle connection when it arrived.
//!
//! # Invariants
//!
//! They hold between any two events. `audit.rs` checks them after every event of every test:
//!
//! - **Limits** (P1): the slots taken never exceed the limit, and the slots taken for a host never
//!   exceed the host's limit. A permit to dial and each further attempt of a dial take one.
//! - **Sums** (P12): the statistics equal a count of slots and tickets; the hosts' add up to the
//!   totals; created − closed = open.
//! - **No wait beside an idle connection** of the same key (P2).
//! - **No needless wait**: while both limits have room for it, a request has its permit to dial
//!   (P3).
//! - **Unused slots make way**: neither an idle connection nor an unwanted dial keeps a request
//!   waiting, unless some slot is closing already; the end of that close is followed by the next
//!   check (P2, P4).
//! - **Order** (P3): a key's queue is in order of arrival, and its requests that dial come before
//!   those that wait.
//! - **Pairs**: a ticket that dials or was granted a connection and its slot name each other; no
//!   two tickets share a slot.
//! - **Lists** hold exactly the elements that their names say.
//! - **No leftovers**: a key or host that no slot and no ticket refers to is forgotten; only
//!   statistics remain (P12).

mod requests;

mod dials;
mod idle;
mod leases;

mod limits;
mod queues;

mod closing;
mod queries;

mod keys;
mod list;
mod metrics;
mod slots;

#[cfg(test)]
mod audit;
#[cfg(test)]
pub(super) mod tests;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

use foldhash::quality::RandomState;
use slab::Slab;

pub(crate) use self::idle::WATCH_DELAY;
use self::keys::{HostEntry, KeyEntry};
pub(crate) use self::leases::Replacement;
use self::list::List;
pub(crate) use self::metrics::{Gauges, Metrics};
use self::requests::Ticket;
pub(crate) use self::requests::{Checkout, Standing};
use self::slots::{ALL, Slot};

/// Key of a connection: connections with equal keys are interchangeable.
pub(crate) trait PoolKey: Clone + Eq + Hash {
    /// Unit that `limit_per_host` counts by; several keys may share one.
    type Host: Clone + Eq + Hash;

    fn host(&self) -> Self::Host;
}

/// Settings that the rules depend on.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) limit: Option<usize>,
    pub(crate) limit_per_host: Option<usize>,
    pub(crate) idle_timeout: Duration,
    pub(crate) max_lifetime: Option<Duration>,
    /// Spreads lifetimes (P8); any number is good.
    pub(crate) seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SlotId(pub(crate) usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TicketId(pub(crate) usize);

/// Number of the session that a request belongs to.
pub(crate) type Owner = u32;

/// Work that an event causes, to be done once the lock is released.
///
/// `T` stands for a queued request and `H` for a slot: their numbers inside the state, a waker and
/// the shared slot outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action<T = TicketId, H = SlotId> {
    /// The ticket's standing changed: wake the request.
    Wake(T),
    /// Drop the slot's content, then report [`State::closed`].
    Close(H),
    /// The slot holds a dial without a request: the maintenance task drives it from now on.
    Drive(H),
    /// The slot's connection went idle: the maintenance task checks it in [`WATCH_DELAY`].
    Watch(H),
    /// End the lease on this slot, then report [`State::closed`].
    Abort(H),
}

impl Action {
    /// The same action on what the numbers stand for. None if they stand for nothing any more.
    pub(crate) fn resolve<T, H>(
        self,
        ticket: impl FnOnce(TicketId) -> Option<T>,
        slot: impl FnOnce(SlotId) -> Option<H>,
    ) -> Option<Action<T, H>> {
        Some(match self {
            Self::Wake(id) => Action::Wake(ticket(id)?),
            Self::Close(id) => Action::Close(slot(id)?),
            Self::Drive(id) => Action::Drive(slot(id)?),
            Self::Watch(id) => Action::Watch(slot(id)?),
            Self::Abort(id) => Action::Abort(slot(id)?),
        })
    }
}

pub(crate) struct State<K: PoolKey> {
    rules: Rules,
    status: PoolStatus,
    /// Connections of an earlier generation serve no further request (P8).
    generation: u32,
    /// Aborted sessions: their requests that are between two exchanges get no further connection.
    aborted_owners: BTreeSet<Owner>,

    slots: Slab<Slot>,
    tickets: Slab<Ticket>,
    /// Number of tickets so far.
    arrivals: u64,
    keys: HashMap<K, usize, RandomState>,
    key_entries: Slab<KeyEntry<K>>,
    hosts: HashMap<K::Host, usize, RandomState>,
    host_entries: Slab<HostEntry<K::Host>>,

    /// Hosts below their limit with requests that have no permit to dial, by the arrival of the
    /// oldest such request.
    ready: BTreeSet<(u64, usize)>,
    /// Every idle connection, the longest idle first.
    idle: List<ALL>,
    /// Times at which watched idle connections are to be closed.
    expiries: BTreeSet<(Instant, SlotId)>,
    /// Dials whose requests took another connection, the oldest first.
    orphans: List<ALL>,
    /// Number of orphans whose key has no queued request.
    unwanted: usize,
    /// Slots in phase `Closing`.
    closing: usize,

    metrics: Metrics,
    actions: VecDeque<Action>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PoolStatus {
    Open,
    /// New requests are refused. Requests under way go on, with their redirects and their replay.
    Draining,
    Closed,
}

impl<K: PoolKey> State<K> {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            status: PoolStatus::Open,
            generation: 0,
            aborted_owners: BTreeSet::new(),
            slots: Slab::new(),
            tickets: Slab::new(),
            arrivals: 0,
            keys: HashMap::default(),
            key_entries: Slab::new(),
            hosts: HashMap::default(),
            host_entries: Slab::new(),
            ready: BTreeSet::new(),
            idle: List::default(),
            expiries: BTreeSet::new(),
            orphans: List::default(),
            unwanted: 0,
            closing: 0,
            metrics: Metrics::default(),
            actions: VecDeque::new(),
        }
    }

    /// Next action caused by the events so far.
    pub(crate) fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }
}
