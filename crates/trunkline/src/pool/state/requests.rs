//! Requests: arriving, waiting, leaving (P2, P7).

use std::time::{Duration, Instant};

use super::list::{Linked, Links};
use super::{Life, Owner, PoolKey, SlotId, State, TicketId};
use crate::stats::CloseReason;

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

pub(super) struct Ticket {
    pub(super) key: usize,
    pub(super) owner: Owner,
    pub(super) arrival: u64,
    /// When it arrived.
    pub(super) since: Instant,
    /// Its wait, once that is over: it was given a connection, or leave to dial.
    pub(super) waited: Duration,
    pub(super) standing: Standing,
    pub(super) links: Links,
}

impl<K: PoolKey> State<K> {
    /// P2: an idle connection, else a ticket. `under_way` marks a later exchange of a request that
    /// began before the pool was closed: it may finish while the pool drains.
    pub(crate) fn checkout(&mut self, key: &K, owner: Owner, under_way: bool, now: Instant) -> Checkout {
        match self.life {
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

    pub(super) fn end_wait(&mut self, ticket: usize, now: Instant) {
        let ticket = &mut self.tickets[ticket];
        ticket.waited = now.saturating_duration_since(ticket.since);
    }

    pub(super) fn discard(&mut self, ticket: usize) {
        let entry = self.tickets.remove(ticket).key;
        self.leave(entry);
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
