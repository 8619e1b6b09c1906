//! Checkout of a connection: an idle one at once, or a place in the queue that leads to a released
//! connection or a dial (P2, P4, P7).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::connection_slot::{ConnectionSlot, Dial, DialOutcome, Pooled, SlotContent};
use super::lease::Lease;
use super::shared::{SharedState, SlotHandle};
use super::state::{Checkout, Owner, PoolKey, SlotId, Standing, TicketId};
use crate::error::{Error, Result};

/// P2: leases an idle connection, or queues the request, which dials with what `dial` makes.
pub(crate) fn checkout<K: PoolKey + Send + 'static, C: Pooled, D>(
    shared: &Arc<SharedState<K, C>>,
    key: &K,
    (owner, under_way, begun): (Owner, bool, Instant),
    dial: impl FnOnce() -> D,
) -> Checkout<Lease<K, C>, Queued<K, C, D>> {
    let checkout = shared.checkout(key, owner, under_way, begun);
    checkout.map(|reused| Lease::reused(shared.clone(), reused)).map_queued(|ticket| Queued {
        shared: shared.clone(),
        key: key.clone(),
        dial: dial(),
        ticket: Some(ticket),
        dialing: None,
    })
}

/// Place in the queue: a future that resolves to a lease. Dropped, it gives up its place, and the
/// connection it was granted goes to the next request (P7).
pub(crate) struct Queued<K: PoolKey + Send + 'static, C: Pooled, D> {
    shared: Arc<SharedState<K, C>>,
    key: K,
    dial: D,
    /// None once it was served or has failed.
    ticket: Option<TicketId>,
    dialing: Option<SlotHandle<K, C>>,
}

impl<K, C, D> Queued<K, C, D>
where
    K: PoolKey + Send + 'static,
    C: Pooled,
    D: FnMut(SlotId) -> Dial<C>,
{
    /// True while it waits for a released connection or a permit to dial, and not for its own dial.
    pub(crate) fn is_waiting(&self) -> bool {
        self.dialing.is_none()
    }

    fn serve(&mut self, lease: Lease<K, C>) -> Poll<Result<Lease<K, C>>> {
        self.ticket = None;
        self.dialing = None;
        Poll::Ready(Ok(lease))
    }

    fn fail(&mut self, error: Error) -> Poll<Result<Lease<K, C>>> {
        self.ticket = None;
        Poll::Ready(Err(error))
    }

    /// Uses the permit to dial. None if the ticket's standing changed meanwhile.
    fn begin_dial(&mut self, ticket: TicketId, id: SlotId) -> Option<SlotHandle<K, C>> {
        let dial = (self.dial)(id);
        let slot = Arc::new(ConnectionSlot::new(id, self.key.clone(), SlotContent::Dialing(Some(dial))));
        self.shared.begin_dial(ticket, &slot).then_some(slot)
    }
}

impl<K, C, D> Future for Queued<K, C, D>
where
    K: PoolKey + Send + Unpin + 'static,
    C: Pooled,
    D: FnMut(SlotId) -> Dial<C> + Unpin,
{
    type Output = Result<Lease<K, C>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ticket = self.ticket.expect("it has not been served yet");
        loop {
            let id = match self.shared.standing(ticket, cx.waker()) {
                Standing::Waiting => return Poll::Pending,
                Standing::Dialing(id) => id,
                Standing::Granted(reused) => {
                    let lease = Lease::reused(self.shared.clone(), reused);
                    return self.serve(lease);
                }
                Standing::Closed => return self.fail(Error::closed()),
            };
            let slot = match self.dialing.take() {
                Some(slot) => slot,
                None => match self.begin_dial(ticket, id) {
                    Some(slot) => slot,
                    None => continue,
                },
            };
            self.dialing = Some(slot.clone());
            match std::task::ready!(self.shared.poll_dial(&slot, cx)) {
                DialOutcome::Open => {
                    if self.shared.dialed(&slot) {
                        let lease = Lease::dialed(self.shared.clone(), slot);
                        return self.serve(lease);
                    }
                }
                DialOutcome::Failed(error) => {
                    if self.shared.dial_failed(id) {
                        return self.fail(error);
                    }
                }
                // The pool ended the dial or granted another connection: the standing says which.
                DialOutcome::NoDial | DialOutcome::Ended(_) => {}
            }
        }
    }
}

impl<K: PoolKey + Send + 'static, C: Pooled, D> Drop for Queued<K, C, D> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.shared.event(|state, now| state.cancel(ticket, now));
        }
    }
}
