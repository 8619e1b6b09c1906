//! State behind its lock: passes events in, and carries out the resulting actions after the lock is
//! released.
//!
//! Lock order: a slot before the state. Nothing is dropped, woken or spawned under the state's
//! lock.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::connection_slot::{ConnectionSlot, DialOutcome, LimitCheck, Pooled, SlotContent};
use super::state::{Action, Checkout, Owner, PoolKey, Replacement, SlotId, Standing, State, TicketId};
use super::sync::{Mutex, lock};
use crate::stats::CloseReason;
use crate::timeouts;

pub(crate) struct SharedState<K: PoolKey, C> {
    locked: Mutex<Locked<K, C>>,
    maintainer: Box<dyn Maintainer<K, C>>,
}

/// Maintenance as the locked state sees it.
pub(crate) trait Maintainer<K: PoolKey, C>: Send + Sync {
    /// Takes over a dial that its request has given up.
    fn drive(&self, shared: &Arc<SharedState<K, C>>, slot: &Arc<ConnectionSlot<K, C>>);

    /// True if idle connections of this key are checked soon anyway. Called under the lock, for
    /// nearly every exchange.
    fn is_watching(&self, key: &K, now: Instant) -> bool;

    /// Has a connection that went idle checked soon.
    fn watch(&self, shared: &Arc<SharedState<K, C>>, slot: &Arc<ConnectionSlot<K, C>>, now: Instant);

    /// The pool drains and owns no socket any more.
    fn emptied(&self);
}

struct Locked<K: PoolKey, C> {
    state: State<K>,
    /// By slot number. A permit to dial that is not used yet has none.
    slots: Vec<Option<SlotHandle<K, C>>>,
    /// By ticket number.
    wakers: Vec<Option<Waker>>,
    /// Time of the last event.
    last_event: Instant,
}

pub(super) type SlotHandle<K, C> = Arc<ConnectionSlot<K, C>>;

/// Connection that was in the pool.
pub(super) struct ReusedSlot<K, C> {
    pub(super) slot: SlotHandle<K, C>,
    /// Time since its last exchange.
    pub(super) idle: Duration,
}

impl<K: PoolKey + Send + 'static, C: Pooled> SharedState<K, C> {
    pub(crate) fn new(state: State<K>, maintainer: Box<dyn Maintainer<K, C>>) -> Self {
        let locked = Locked { state, slots: Vec::new(), wakers: Vec::new(), last_event: timeouts::now() };
        Self { locked: Mutex::new(locked), maintainer }
    }

    /// Reads from the state.
    pub(crate) fn read<R>(&self, f: impl FnOnce(&State<K>) -> R) -> R {
        f(&lock(&self.locked).state)
    }

    /// Passes an event to the state, and carries out the resulting actions.
    pub(crate) fn event<R>(self: &Arc<Self>, f: impl FnOnce(&mut State<K>, Instant) -> R) -> R {
        self.update(|locked, now| f(&mut locked.state, now))
    }

    fn update<R>(self: &Arc<Self>, f: impl FnOnce(&mut Locked<K, C>, Instant) -> R) -> R {
        // The clock is read under the lock, so that the state's time never goes back.
        self.update_at(|_| timeouts::now(), f)
    }

    fn update_at<R>(
        self: &Arc<Self>,
        clock: impl FnOnce(&Locked<K, C>) -> Instant,
        f: impl FnOnce(&mut Locked<K, C>, Instant) -> R,
    ) -> R {
        let mut locked = lock(&self.locked);
        let now = clock(&locked);
        locked.last_event = now;
        let result = f(&mut locked, now);
        let actions = locked.take_actions(&*self.maintainer, now);
        let emptied = locked.is_emptied();
        drop(locked);
        for action in actions {
            self.carry_out(action, now);
        }
        if emptied {
            self.maintainer.emptied();
        }
        result
    }

    fn carry_out(self: &Arc<Self>, action: Action<Waker, SlotHandle<K, C>>, now: Instant) {
        match action {
            Action::Wake(waker) => waker.wake(),
            Action::Drive(slot) => self.maintainer.drive(self, &slot),
            Action::Watch(slot) => self.maintainer.watch(self, &slot, now),
            Action::Close(slot) => self.close_slot(&slot, CloseReason::Closed),
            Action::Abort(slot) => self.close_slot(&slot, CloseReason::Aborted),
        }
    }

    /// Takes the slot's content out, ends it and frees the slot. Does nothing if another task has
    /// taken it.
    pub(crate) fn close_slot(self: &Arc<Self>, slot: &ConnectionSlot<K, C>, reason: CloseReason) {
        if let Some(content) = slot.take(Some(reason)) {
            self.end(slot, content, reason);
        }
    }

    /// Ends the content that was taken out of the slot, and frees the slot.
    fn end(self: &Arc<Self>, slot: &ConnectionSlot<K, C>, content: SlotContent<C>, reason: CloseReason) {
        match content {
            SlotContent::Open(connection) => connection.end(),
            // The sockets of a dial are gone before its slot is free (P1).
            content => drop(content),
        }
        self.closed(slot.id, reason);
    }

    /// Ends the slot's exchange if a limit has passed. Returns the time of the next check.
    pub(crate) fn end_overdue(self: &Arc<Self>, slot: &ConnectionSlot<K, C>, now: Instant) -> Option<Instant> {
        match slot.take_overdue(now) {
            LimitCheck::Exceeded(content, reason) => {
                self.end(slot, content, reason);
                None
            }
            LimitCheck::CheckAt(due) => Some(due),
            LimitCheck::Unlimited => None,
        }
    }

    /// Drives the slot's dial.
    pub(crate) fn poll_dial(self: &Arc<Self>, slot: &ConnectionSlot<K, C>, cx: &mut Context<'_>) -> Poll<DialOutcome> {
        let polled = slot.poll_dial(cx);
        if let Poll::Ready(DialOutcome::Ended(reason)) = polled {
            self.closed(slot.id, reason.unwrap_or(CloseReason::Cancelled));
            return Poll::Ready(DialOutcome::NoDial);
        }
        polled
    }

    /// Closes an idle connection that the server has closed.
    pub(crate) fn peer_closed(self: &Arc<Self>, slot: &ConnectionSlot<K, C>) {
        self.update(|locked, _| {
            if locked.holds(slot) {
                locked.state.peer_closed(slot.id);
            }
        });
    }

    /// P2: leases an idle connection, or queues the request. `begun` is the time of the request, so
    /// that the clock need not be read again.
    pub(super) fn checkout(
        self: &Arc<Self>,
        key: &K,
        owner: Owner,
        under_way: bool,
        begun: Instant,
    ) -> Checkout<ReusedSlot<K, C>> {
        let mut stale = None;
        let checkout = self.update_at(
            |locked| begun.max(locked.last_event),
            |locked, now| {
                let checkout = locked.state.checkout(key, owner, under_way, now);
                if let Checkout::Queued(ticket) = checkout {
                    // The number may have been another request's, whose waker is of no use now.
                    stale = locked.register_waker(ticket, None);
                }
                checkout.map(|slot| locked.reused(slot, now))
            },
        );
        drop(stale);
        checkout
    }

    /// Progress of the ticket. A granted or failed ticket is removed.
    pub(super) fn standing(self: &Arc<Self>, ticket: TicketId, waker: &Waker) -> Standing<ReusedSlot<K, C>> {
        let mut stale = None;
        let standing = self.update(|locked, now| {
            let standing = locked.state.standing(ticket).map(|slot| locked.reused(slot, now));
            match standing {
                Standing::Waiting | Standing::Dialing(_) => stale = locked.register_waker(ticket, Some(waker)),
                Standing::Granted(_) | Standing::Closed => locked.state.claim(ticket),
            }
            standing
        });
        drop(stale);
        standing
    }

    /// Uses the permit to dial. False if the ticket's standing changed meanwhile.
    pub(super) fn begin_dial(self: &Arc<Self>, ticket: TicketId, slot: &SlotHandle<K, C>) -> bool {
        self.update(|locked, now| {
            let begun = locked.state.begin_dial(ticket, slot.id, now);
            if begun {
                locked.insert(slot.clone());
            }
            begun
        })
    }

    /// Frees the slot, whose socket is gone.
    pub(crate) fn closed(self: &Arc<Self>, slot: SlotId, reason: CloseReason) {
        self.update(|locked, now| {
            locked.remove(slot);
            locked.state.closed(slot, reason, now);
        });
    }

    /// Reports that the slot's dial succeeded. True if the request that dialed has the connection;
    /// false if it is the pool's or the pool has taken it away.
    pub(crate) fn dialed(self: &Arc<Self>, slot: &ConnectionSlot<K, C>) -> bool {
        self.update(|locked, now| locked.holds(slot) && locked.state.dialed(slot.id, now))
    }

    /// Ends the slot's lease, with the connection fit for another. False if the pool has taken it
    /// away.
    pub(crate) fn returned(self: &Arc<Self>, slot: &ConnectionSlot<K, C>, keep_alive: Option<Duration>) -> bool {
        self.update(|locked, now| locked.holds(slot) && locked.state.returned(slot.id, keep_alive, now))
    }

    /// Reports that the slot's dial failed. True if the request that dialed fails with it.
    pub(crate) fn dial_failed(self: &Arc<Self>, slot: SlotId) -> bool {
        self.update(|locked, now| {
            locked.remove(slot);
            locked.state.dial_failed(slot, now)
        })
    }

    pub(crate) fn slot(&self, slot: SlotId) -> Option<SlotHandle<K, C>> {
        lock(&self.locked).get(slot)
    }

    pub(crate) fn slots(&self) -> Vec<SlotHandle<K, C>> {
        lock(&self.locked).slots.iter().flatten().cloned().collect()
    }

    /// P10: replaces a connection that was found dead and whose socket is gone.
    pub(super) fn replace(self: &Arc<Self>, slot: SlotId, reason: CloseReason) -> Replacement<ReusedSlot<K, C>> {
        self.update(|locked, now| {
            let replacement = locked.state.replace(slot, reason, now);
            if replacement != Replacement::Dial {
                locked.remove(slot);
            }
            replacement.map(|other| locked.reused(other, now))
        })
    }

    /// P10: begins a dial in the slot of a connection that failed its request and whose socket is
    /// gone. False if the request was aborted.
    pub(super) fn redial(self: &Arc<Self>, slot: SlotId, reason: CloseReason) -> bool {
        self.update(|locked, now| {
            let redials = locked.state.redial(slot, reason, now) == Replacement::Dial;
            if !redials {
                locked.remove(slot);
            }
            redials
        })
    }
}

impl<K: PoolKey, C> Locked<K, C> {
    /// Takes the state's actions, with wakers and slots in the place of their numbers.
    fn take_actions(
        &mut self,
        maintainer: &dyn Maintainer<K, C>,
        now: Instant,
    ) -> Vec<Action<Waker, SlotHandle<K, C>>> {
        let mut actions = Vec::new();
        while let Some(action) = self.state.next_action() {
            if let Action::Watch(slot) = action
                && self.slots[slot.0].as_ref().is_none_or(|slot| maintainer.is_watching(&slot.key, now))
            {
                continue;
            }
            actions.extend(action.resolve(|ticket| self.wakers[ticket.0].take(), |slot| get(&self.slots, slot)));
        }
        actions
    }

    fn is_emptied(&self) -> bool {
        !self.state.is_open() && self.state.metrics().total.open() == 0
    }

    fn get(&self, slot: SlotId) -> Option<SlotHandle<K, C>> {
        get(&self.slots, slot)
    }

    /// True if the number is still this slot's: an open connection may be taken away at any time,
    /// and its number given to another.
    fn holds(&self, slot: &ConnectionSlot<K, C>) -> bool {
        let held = self.slots.get(slot.id.0).and_then(Option::as_ref);
        held.is_some_and(|held| std::ptr::eq(Arc::as_ptr(held), slot))
    }

    fn reused(&self, slot: SlotId, now: Instant) -> ReusedSlot<K, C> {
        let handle = self.get(slot).expect("a slot that was dialed is here");
        ReusedSlot { slot: handle, idle: self.state.idle_time(slot, now) }
    }

    fn insert(&mut self, slot: SlotHandle<K, C>) {
        let id = slot.id.0;
        if self.slots.len() <= id {
            self.slots.resize_with(id + 1, || None);
        }
        self.slots[id] = Some(slot);
    }

    fn remove(&mut self, slot: SlotId) {
        if let Some(slot) = self.slots.get_mut(slot.0) {
            *slot = None;
        }
    }

    /// Returns a waker to drop outside the lock: it may own its task.
    fn register_waker(&mut self, ticket: TicketId, waker: Option<&Waker>) -> Option<Waker> {
        if self.wakers.len() <= ticket.0 {
            self.wakers.resize(ticket.0 + 1, None);
        }
        let known = &mut self.wakers[ticket.0];
        match waker {
            Some(waker) if known.as_ref().is_some_and(|known| known.will_wake(waker)) => None,
            Some(waker) => known.replace(waker.clone()),
            None => known.take(),
        }
    }
}

fn get<K, C>(slots: &[Option<SlotHandle<K, C>>], slot: SlotId) -> Option<SlotHandle<K, C>> {
    slots.get(slot.0).cloned().flatten()
}
