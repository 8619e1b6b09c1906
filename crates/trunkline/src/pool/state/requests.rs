//! Requests: checkout, tickets, cancellation (P2, P7).

use std::time::{Duration, Instant};

use super::list::{Linked, Links};
use super::{Owner, PoolKey, PoolStatus, SlotId, State, TicketId};
use crate::stats::CloseReason;

/// Result of a checkout.
///
/// `H` stands for the connection and `Q` for the place in the queue: their numbers inside the
/// state, a lease and a future outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checkout<H = SlotId, Q = TicketId> {
    /// An idle connection, now in use.
    Reuse(H),
    /// No connection yet: [`State::standing`] has the progress.
    Queued(Q),
    /// The pool or the session is closed.
    Closed,
}

impl<H, Q> Checkout<H, Q> {
    pub(crate) fn map<I>(self, handle: impl FnOnce(H) -> I) -> Checkout<I, Q> {
        match self {
            Self::Reuse(slot) => Checkout::Reuse(handle(slot)),
            Self::Queued(queued) => Checkout::Queued(queued),
            Self::Closed => Checkout::Closed,
        }
    }

    pub(crate) fn map_queued<R>(self, queue: impl FnOnce(Q) -> R) -> Checkout<H, R> {
        match self {
            Self::Reuse(slot) => Checkout::Reuse(slot),
            Self::Queued(queued) => Checkout::Queued(queue(queued)),
            Self::Closed => Checkout::Closed,
        }
    }
}

/// Progress of a queued request; `H` stands for the connection as in [`Checkout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing<H = SlotId> {
    /// It waits for a released connection or for a permit to dial.
    Waiting,
    /// It has a permit to dial in this slot; it takes a connection that is released first (P4).
    Dialing(SlotId),
    /// It was given this connection.
    Granted(H),
    /// The pool or the session closed.
    Closed,
}

impl Standing {
    pub(crate) fn map<H>(self, handle: impl FnOnce(SlotId) -> H) -> Standing<H> {
        match self {
            Self::Waiting => Standing::Waiting,
            Self::Dialing(slot) => Standing::Dialing(slot),
            Self::Granted(slot) => Standing::Granted(handle(slot)),
            Self::Closed => Standing::Closed,
        }
    }
}

pub(super) struct Ticket {
    pub(super) key: usize,
    pub(super) owner: Owner,
    pub(super) arrival: u64,
    /// Time of arrival.
    pub(super) since: Instant,
    /// Length of its wait, until it was given a connection or a permit to dial.
    pub(super) waited: Duration,
    pub(super) standing: Standing,
    pub(super) links: Links,
}

impl<K: PoolKey> State<K> {
    /// P2: leases an idle connection, or queues the request. `under_way` marks a later exchange of
    /// a request that began before the pool was closed: it may finish while the pool drains.
    pub(crate) fn checkout(&mut self, key: &K, owner: Owner, under_way: bool, now: Instant) -> Checkout {
        match self.status {
            PoolStatus::Open => {}
            PoolStatus::Draining if under_way => {}
            PoolStatus::Draining | PoolStatus::Closed => return Checkout::Closed,
        }
        if self.aborted_owners.contains(&owner) {
            return Checkout::Closed;
        }
        if let Some(&entry) = self.keys.get(key)
            && let Some(slot) = self.take_idle(entry, owner, now)
        {
            return Checkout::Reuse(SlotId(slot));
        }
        let entry = self.intern_key(key);
        let ticket = self.enqueue(entry, owner, now);
        self.grant_permits(now);
        if self.tickets[ticket].standing == Standing::Waiting {
            self.evict_in_host(self.key_entries[entry].host);
            self.evict_for_waiters();
        }
        Checkout::Queued(TicketId(ticket))
    }

    pub(crate) fn standing(&self, ticket: TicketId) -> Standing {
        self.tickets[ticket.0].standing
    }

    /// Removes the ticket of a request that has seen its grant or its failure.
    pub(crate) fn claim(&mut self, ticket: TicketId) {
        let Ticket { standing, waited, .. } = self.tickets[ticket.0];
        if let Standing::Granted(slot) = standing {
            self.metrics.record_checkout(self.slots[slot.0].served.is_some(), waited);
        }
        self.remove_ticket(ticket.0);
    }

    /// P7: removes the request from the queue, and passes the connection it was granted to the
    /// next.
    pub(crate) fn cancel(&mut self, ticket: TicketId, now: Instant) {
        let standing = self.standing(ticket);
        if matches!(standing, Standing::Waiting | Standing::Dialing(_)) {
            self.dequeue(ticket.0);
        }
        self.remove_ticket(ticket.0);
        match standing {
            Standing::Waiting | Standing::Closed => {}
            Standing::Dialing(slot) => self.cancel_dial(slot.0, CloseReason::Cancelled),
            Standing::Granted(slot) => self.release(slot.0, now),
        }
        self.dispatch_waiters(now);
    }

    pub(super) fn record_wait(&mut self, ticket: usize, now: Instant) {
        let ticket = &mut self.tickets[ticket];
        ticket.waited = now.saturating_duration_since(ticket.since);
    }

    pub(super) fn remove_ticket(&mut self, ticket: usize) {
        let entry = self.tickets.remove(ticket).key;
        self.unref_key(entry);
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
