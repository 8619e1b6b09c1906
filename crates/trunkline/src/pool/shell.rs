//! The locked shell around the state: it hands events in, and carries out what comes back once the
//! lock is released.
//!
//! Lock order: a cell before the state. Nothing is dropped, woken or spawned under the state's
//! lock.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::cell::{Cell, Content, Dialed, Member, Overdue};
use super::state::{Action, Checkout, Owner, PoolKey, Replacement, SlotId, Standing, State, TicketId};
use super::sync::{Mutex, lock};
use crate::stats::CloseReason;
use crate::timeouts;

pub(crate) struct Shell<K: PoolKey, C> {
    desk: Mutex<Desk<K, C>>,
    keeping: Box<dyn Keeping<K, C>>,
}

/// The shell's side of the keeper.
pub(crate) trait Keeping<K: PoolKey, C>: Send + Sync {
    /// A dial was left behind: drive it.
    fn tend(&self, shell: &Arc<Shell<K, C>>, cell: &Arc<Cell<K, C>>);
    /// Will idle connections of this key be looked after soon? Asked under the lock, for nearly
    /// every exchange.
    fn is_watching(&self, key: &K, now: Instant) -> bool;
    /// A connection went idle: look after it soon.
    fn idle(&self, shell: &Arc<Shell<K, C>>, cell: &Arc<Cell<K, C>>, now: Instant);
    /// The pool that drains owns no socket any more.
    fn emptied(&self);
}

struct Desk<K: PoolKey, C> {
    state: State<K>,
    /// By slot. A slot whose request has leave to dial and did not begin has none yet.
    cells: Vec<Option<Arc<Cell<K, C>>>>,
    /// By ticket.
    wakers: Vec<Option<Waker>>,
    /// When the state was last told of something.
    last: Instant,
}

/// A connection of the pool's, and for how long it had rested.
pub(super) type Rested<K, C> = (Arc<Cell<K, C>>, Duration);

/// The answer to a request's first look.
pub(super) enum Entered<K, C> {
    Reuse(Rested<K, C>),
    Queued(TicketId),
    Closed,
}

/// How a queued request stands.
pub(super) enum Look<K, C> {
    Waiting,
    Dialing(SlotId),
    Granted(Rested<K, C>),
    Closed,
}

/// What is to be done outside the lock.
enum Errand<K, C> {
    Wake(Waker),
    Close(Arc<Cell<K, C>>),
    Tend(Arc<Cell<K, C>>),
    Idle(Arc<Cell<K, C>>),
    Abort(Arc<Cell<K, C>>),
    Emptied,
}

impl<K: PoolKey + Send + 'static, C: Member> Shell<K, C> {
    pub(crate) fn new(state: State<K>, keeping: Box<dyn Keeping<K, C>>) -> Self {
        let desk = Desk { state, cells: Vec::new(), wakers: Vec::new(), last: timeouts::now() };
        Self { desk: Mutex::new(desk), keeping }
    }

    /// Asks the state something that changes nothing.
    pub(crate) fn read<R>(&self, f: impl FnOnce(&State<K>) -> R) -> R {
        f(&lock(&self.desk).state)
    }

    /// Tells the state of an event, and carries out what it wants done about it.
    pub(crate) fn event<R>(self: &Arc<Self>, f: impl FnOnce(&mut State<K>, Instant) -> R) -> R {
        self.at_desk(|desk, now| f(&mut desk.state, now))
    }

    fn at_desk<R>(self: &Arc<Self>, f: impl FnOnce(&mut Desk<K, C>, Instant) -> R) -> R {
        // Under the lock, so that the state's time never goes back.
        self.at_desk_when(|_| timeouts::now(), f)
    }

    fn at_desk_when<R>(
        self: &Arc<Self>,
        when: impl FnOnce(&Desk<K, C>) -> Instant,
        f: impl FnOnce(&mut Desk<K, C>, Instant) -> R,
    ) -> R {
        let mut desk = lock(&self.desk);
        let now = when(&desk);
        desk.last = now;
        let result = f(&mut desk, now);
        let errands = desk.errands(&*self.keeping, now);
        drop(desk);
        for errand in errands {
            self.run(errand, now);
        }
        result
    }

    fn run(self: &Arc<Self>, errand: Errand<K, C>, now: Instant) {
        match errand {
            Errand::Wake(waker) => waker.wake(),
            Errand::Tend(cell) => self.keeping.tend(self, &cell),
            Errand::Idle(cell) => self.keeping.idle(self, &cell, now),
            Errand::Close(cell) => self.close_cell(&cell, CloseReason::Closed),
            Errand::Abort(cell) => self.close_cell(&cell, CloseReason::Aborted),
            Errand::Emptied => self.keeping.emptied(),
        }
    }

    /// Empties the cell, ends what was in it and frees its slot; nothing, if somebody else is doing
    /// so.
    pub(crate) fn close_cell(self: &Arc<Self>, cell: &Cell<K, C>, reason: CloseReason) {
        if let Some(content) = cell.take(Some(reason)) {
            self.end(cell, content, reason);
        }
    }

    /// Ends what was taken out of the cell and frees its slot.
    fn end(self: &Arc<Self>, cell: &Cell<K, C>, content: Content<C>, reason: CloseReason) {
        match content {
            Content::Open(connection) => connection.end(),
            // Its sockets are gone before the slot is free (P1).
            content => drop(content),
        }
        self.closed(cell.slot, reason);
    }

    /// Ends the cell's exchange if its time is up. When to look again, if at all.
    pub(crate) fn end_overdue(self: &Arc<Self>, cell: &Cell<K, C>, now: Instant) -> Option<Instant> {
        match cell.take_overdue(now) {
            Overdue::Taken(content, reason) => {
                self.end(cell, content, reason);
                None
            }
            Overdue::Later(due) => Some(due),
            Overdue::Never => None,
        }
    }

    /// Drives the cell's dial.
    pub(crate) fn poll_dial(self: &Arc<Self>, cell: &Cell<K, C>, cx: &mut Context<'_>) -> Poll<Dialed> {
        let polled = cell.poll_dial(cx);
        if let Poll::Ready(Dialed::Ended(reason)) = polled {
            self.closed(cell.slot, reason.unwrap_or(CloseReason::Cancelled));
            return Poll::Ready(Dialed::Elsewhere);
        }
        polled
    }

    /// The server closed the connection that is idle in this cell.
    pub(crate) fn found_dead(self: &Arc<Self>, cell: &Cell<K, C>) {
        self.at_desk(|desk, _| {
            if desk.holds(cell) {
                desk.state.found_dead(cell.slot);
            }
        });
    }

    /// P2: an idle connection, or a place in the queue, for a request that has just come: at
    /// `begun`, so that the clock need not be asked again.
    pub(super) fn enter(self: &Arc<Self>, key: &K, owner: Owner, under_way: bool, begun: Instant) -> Entered<K, C> {
        let mut stale = None;
        let entered = self.at_desk_when(
            |desk| begun.max(desk.last),
            |desk, now| match desk.state.checkout(key, owner, under_way, now) {
                Checkout::Reuse(slot) => Entered::Reuse(desk.rested(slot, now)),
                Checkout::Queued(ticket) => {
                    // A number may have been another's: that one's waker is not to be woken for this.
                    stale = desk.listen(ticket, None);
                    Entered::Queued(ticket)
                }
                Checkout::Closed => Entered::Closed,
            },
        );
        drop(stale);
        entered
    }

    /// How the ticket stands; a grant is claimed on the way.
    pub(super) fn look(self: &Arc<Self>, ticket: TicketId, waker: &Waker) -> Look<K, C> {
        let mut stale = None;
        let look = self.at_desk(|desk, now| {
            let look = match desk.state.standing(ticket) {
                Standing::Waiting => Look::Waiting,
                Standing::Dialing(slot) => Look::Dialing(slot),
                Standing::Granted(slot) => Look::Granted(desk.rested(slot, now)),
                Standing::Closed => Look::Closed,
            };
            match look {
                Look::Waiting | Look::Dialing(_) => stale = desk.listen(ticket, Some(waker)),
                Look::Granted(..) | Look::Closed => desk.state.claim(ticket),
            }
            look
        });
        drop(stale);
        look
    }

    /// Makes use of the leave to dial. False if the ticket's standing changed meanwhile.
    pub(super) fn begin_dial(self: &Arc<Self>, ticket: TicketId, cell: &Arc<Cell<K, C>>) -> bool {
        self.at_desk(|desk, now| {
            let begun = desk.state.begin_dial(ticket, cell.slot, now);
            if begun {
                desk.occupy(cell.slot, cell.clone());
            }
            begun
        })
    }

    /// The slot's socket is gone.
    pub(crate) fn closed(self: &Arc<Self>, slot: SlotId, reason: CloseReason) {
        self.at_desk(|desk, now| {
            desk.vacate(slot);
            desk.state.closed(slot, reason, now);
        });
    }

    /// The cell's dial succeeded. True if the request that dialed has the connection now; not if
    /// the pool has taken it away.
    pub(crate) fn dialed(self: &Arc<Self>, cell: &Cell<K, C>) -> bool {
        self.at_desk(|desk, now| desk.holds(cell) && desk.state.dialed(cell.slot, now))
    }

    /// The cell's lease ended and its connection is fit for another. False if the pool has taken it
    /// away.
    pub(crate) fn returned(self: &Arc<Self>, cell: &Cell<K, C>, keep_alive: Option<Duration>) -> bool {
        self.at_desk(|desk, now| desk.holds(cell) && desk.state.returned(cell.slot, keep_alive, now))
    }

    /// The keeper's dial, or the request's, is done.
    pub(crate) fn dial_failed(self: &Arc<Self>, slot: SlotId) -> bool {
        self.at_desk(|desk, now| {
            desk.vacate(slot);
            desk.state.dial_failed(slot, now)
        })
    }

    pub(crate) fn cell(&self, slot: SlotId) -> Option<Arc<Cell<K, C>>> {
        lock(&self.desk).cells.get(slot.0).cloned().flatten()
    }

    pub(crate) fn cells(&self) -> Vec<Arc<Cell<K, C>>> {
        lock(&self.desk).cells.iter().flatten().cloned().collect()
    }

    /// P10: something in the place of a connection found dead; its socket is gone.
    pub(super) fn replace(self: &Arc<Self>, slot: SlotId, reason: CloseReason) -> (Replacement, Option<Rested<K, C>>) {
        self.at_desk(|desk, now| match desk.state.replace(slot, reason, now) {
            Replacement::Reuse(other) => {
                desk.vacate(slot);
                (Replacement::Reuse(other), Some(desk.rested(other, now)))
            }
            Replacement::Closed => {
                desk.vacate(slot);
                (Replacement::Closed, None)
            }
            Replacement::Dial => (Replacement::Dial, None),
        })
    }

    pub(super) fn redial(self: &Arc<Self>, slot: SlotId, reason: CloseReason) -> Replacement {
        self.at_desk(|desk, now| {
            let replacement = desk.state.redial(slot, reason, now);
            if replacement == Replacement::Closed {
                desk.vacate(slot);
            }
            replacement
        })
    }
}

impl<K: PoolKey, C> Desk<K, C> {
    /// Turns the state's actions into errands.
    fn errands(&mut self, keeping: &dyn Keeping<K, C>, now: Instant) -> Vec<Errand<K, C>> {
        let mut errands = Vec::new();
        while let Some(action) = self.state.next_action() {
            match action {
                Action::Wake(ticket) => errands.extend(self.wakers[ticket.0].take().map(Errand::Wake)),
                Action::Tend(slot) => errands.extend(self.at(slot).map(Errand::Tend)),
                Action::Idle(slot) => {
                    let unwatched = self.cells[slot.0].as_ref().filter(|cell| !keeping.is_watching(&cell.key, now));
                    errands.extend(unwatched.cloned().map(Errand::Idle));
                }
                Action::Abort(slot) => errands.extend(self.at(slot).map(Errand::Abort)),
                Action::Close(slot) => errands.extend(self.at(slot).map(Errand::Close)),
            }
        }
        if !self.state.is_open() && self.state.ledger().total.open() == 0 {
            errands.push(Errand::Emptied);
        }
        errands
    }

    fn at(&self, slot: SlotId) -> Option<Arc<Cell<K, C>>> {
        self.cells.get(slot.0).cloned().flatten()
    }

    /// Is the slot still this cell's? An open one may be taken at any time, and its slot's number
    /// given to another.
    fn holds(&self, cell: &Cell<K, C>) -> bool {
        let there = self.cells.get(cell.slot.0).and_then(Option::as_ref);
        there.is_some_and(|there| std::ptr::eq(Arc::as_ptr(there), cell))
    }

    fn rested(&self, slot: SlotId, now: Instant) -> Rested<K, C> {
        let cell = self.at(slot).expect("a slot that was dialed has a cell");
        (cell, self.state.rested(slot, now))
    }

    fn occupy(&mut self, slot: SlotId, cell: Arc<Cell<K, C>>) {
        if self.cells.len() <= slot.0 {
            self.cells.resize_with(slot.0 + 1, || None);
        }
        self.cells[slot.0] = Some(cell);
    }

    fn vacate(&mut self, slot: SlotId) {
        if let Some(cell) = self.cells.get_mut(slot.0) {
            *cell = None;
        }
    }

    /// Returns what is to be dropped outside the lock: a waker may own its task.
    fn listen(&mut self, ticket: TicketId, waker: Option<&Waker>) -> Option<Waker> {
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
