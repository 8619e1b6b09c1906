//! A request on its way to a connection: an idle one at once, one that comes back, or one that it
//! dials (P2, P4, P7).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::cell::{Cell, Content, Dial, Dialed, Member};
use super::lease::Lease;
use super::shell::{Entered, Look, Shell};
use super::state::{Owner, PoolKey, SlotId, TicketId};
use crate::error::{Error, Result};

/// The answer to a request that asks for a connection.
pub(crate) enum Arrival<K: PoolKey + Send + 'static, C: Member, D> {
    Served(Lease<K, C>),
    Queued(Queued<K, C, D>),
}

/// P2: an idle connection at once, or a place in the queue, with what `dial` makes to dial by.
pub(crate) fn arrive<K: PoolKey + Send + 'static, C: Member, D>(
    shell: &Arc<Shell<K, C>>,
    key: &K,
    (owner, under_way, begun): (Owner, bool, Instant),
    dial: impl FnOnce() -> D,
) -> Result<Arrival<K, C, D>> {
    match shell.enter(key, owner, under_way, begun) {
        Entered::Reuse((cell, idle)) => Ok(Arrival::Served(Lease::new(shell.clone(), cell, Some(idle)))),
        Entered::Queued(ticket) => {
            let (shell, key, ticket) = (shell.clone(), key.clone(), Some(ticket));
            Ok(Arrival::Queued(Queued { shell, key, dial: dial(), ticket, dialing: None }))
        }
        Entered::Closed => Err(Error::closed()),
    }
}

/// A place in the queue: resolves to a lease. Dropped, it gives up its place and what it was given
/// (P7).
pub(crate) struct Queued<K: PoolKey + Send + 'static, C: Member, D> {
    shell: Arc<Shell<K, C>>,
    key: K,
    dial: D,
    /// Until it has been served, or has failed.
    ticket: Option<TicketId>,
    dialing: Option<Arc<Cell<K, C>>>,
}

impl<K, C, D> Queued<K, C, D>
where
    K: PoolKey + Send + 'static,
    C: Member,
    D: FnMut(SlotId) -> Dial<C>,
{
    /// Does it wait for leave to dial, or for a connection to come back? (Not: for its own dial.)
    pub(crate) fn is_waiting(&self) -> bool {
        self.dialing.is_none()
    }

    fn lease(&mut self, cell: Arc<Cell<K, C>>, idle: Option<Duration>) -> Lease<K, C> {
        self.ticket = None;
        self.dialing = None;
        Lease::new(self.shell.clone(), cell, idle)
    }

    /// Makes use of the leave to dial. None if the ticket's standing changed meanwhile.
    fn begin_dial(&mut self, ticket: TicketId, slot: SlotId) -> Option<Arc<Cell<K, C>>> {
        let dial = (self.dial)(slot);
        let cell = Arc::new(Cell::new(slot, self.key.clone(), Content::Dialing(Some(dial))));
        self.shell.begin_dial(ticket, &cell).then_some(cell)
    }
}

impl<K, C, D> Future for Queued<K, C, D>
where
    K: PoolKey + Send + Unpin + 'static,
    C: Member,
    D: FnMut(SlotId) -> Dial<C> + Unpin,
{
    type Output = Result<Lease<K, C>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ticket = self.ticket.expect("it has not been served yet");
        loop {
            let slot = match self.shell.look(ticket, cx.waker()) {
                Look::Waiting => return Poll::Pending,
                Look::Dialing(slot) => slot,
                Look::Granted((cell, idle)) => return Poll::Ready(Ok(self.lease(cell, Some(idle)))),
                Look::Closed => {
                    self.ticket = None;
                    return Poll::Ready(Err(Error::closed()));
                }
            };
            let cell = match self.dialing.take() {
                Some(cell) => cell,
                None => match self.begin_dial(ticket, slot) {
                    Some(cell) => cell,
                    None => continue,
                },
            };
            self.dialing = Some(cell.clone());
            match std::task::ready!(self.shell.poll_dial(&cell, cx)) {
                Dialed::Open => {
                    if self.shell.dialed(&cell) {
                        return Poll::Ready(Ok(self.lease(cell, None)));
                    }
                }
                Dialed::Failed(error) => {
                    if self.shell.dial_failed(slot) {
                        self.ticket = None;
                        return Poll::Ready(Err(error));
                    }
                }
                // The pool ended the dial or gave this request another connection: the ticket says which.
                Dialed::Elsewhere | Dialed::Ended(_) => {}
            }
        }
    }
}

impl<K: PoolKey + Send + 'static, C: Member, D> Drop for Queued<K, C, D> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.shell.event(|state, now| state.cancel(ticket, now));
        }
    }
}
