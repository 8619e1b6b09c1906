//! The pool's rules: who may open a connection, who waits, who goes next, what is closed and why.
//!
//! Pure: no clock, no I/O, no lock, no await. Events come in as method calls that are handed `now`;
//! what is to be done about them comes out as [`Action`]s. The numbers P1 to P15 are the rules in
//! `docs/ARCHITECTURE.md`.
//!
//! A *slot* is leave to own one socket. It is taken before the socket exists and freed after it is
//! gone, and passes through `Dialing → InUse ⇄ Idle → Closing`. A *ticket* is a request that got no
//! idle connection at once.
//!
//! # What always holds
//!
//! Between any two events, and `audit.rs` holds every test to it:
//!
//! - **Limits** (P1): the slots taken never exceed the limit, nor those of a host its own. Leave to
//!   dial and each further attempt of a dial take one.
//! - **Sums** (P12): figures are what a count of slots and tickets gives; the hosts' add up to the
//!   totals; created − closed = open.
//! - **Nobody waits beside an idle connection** of their own key (P2).
//! - **Nobody waits who could go**: while both limits have room for it, a request has its leave to
//!   dial (P3).
//! - **Nothing unused is in the way** of a request that waits, neither an idle connection nor a
//!   dial that nobody wants, unless one is being closed already: its end is followed by the next
//!   look (P2, P4).
//! - **Order** (P3): a key's queue is in order of arrival, and those of it that dial come before
//!   those that wait.
//! - **Pairs**: a ticket that dials or was granted a connection and the slot it has name each
//!   other; no two share one.
//! - **Lists** hold what their names say, and all of it.
//! - **Nothing is remembered** that no slot and no ticket names, but figures (P12).

mod requests;

mod dials;
mod idle;
mod leases;

mod limits;
mod queues;

mod closing;
mod figures;

mod ledger;
mod list;
mod names;
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

pub(crate) use self::idle::ADOPTION;
pub(crate) use self::leases::Replacement;
pub(crate) use self::ledger::{Ledger, Tally};
use self::list::List;
use self::names::{HostEntry, KeyEntry};
use self::requests::Ticket;
pub(crate) use self::requests::{Checkout, Standing};
use self::slots::{ALL, Slot};

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

pub(crate) struct State<K: PoolKey> {
    rules: Rules,
    life: Life,
    /// Connections of an earlier one serve no further request (P8).
    generation: u32,
    /// Sessions that were aborted: a request of theirs that was between two exchanges gets no
    /// further.
    ended: BTreeSet<Owner>,

    slots: Slab<Slot>,
    tickets: Slab<Ticket>,
    /// How many tickets there have been.
    arrivals: u64,
    keys: HashMap<K, usize, RandomState>,
    key_entries: Slab<KeyEntry<K>>,
    hosts: HashMap<K::Host, usize, RandomState>,
    host_entries: Slab<HostEntry<K::Host>>,

    /// Hosts below their limit that have requests without leave to dial, by their oldest one's
    /// arrival.
    ready: BTreeSet<(u64, usize)>,
    /// Every idle connection, the longest idle first.
    idle: List<ALL>,
    /// When the connections that the keeper adopted are due to be closed.
    expiries: BTreeSet<(Instant, SlotId)>,
    /// Dials whose requests were served otherwise, the oldest first.
    orphans: List<ALL>,
    /// How many of them nobody of their key waits for.
    unwanted: usize,
    /// Slots on their way to be free.
    closing: usize,

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

impl<K: PoolKey> State<K> {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            life: Life::Open,
            generation: 0,
            ended: BTreeSet::new(),
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
            ledger: Ledger::default(),
            actions: VecDeque::new(),
        }
    }

    /// What is to be done next about the events so far.
    pub(crate) fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }
}
