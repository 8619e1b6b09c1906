//! Connection in use. Its drop returns the connection to the pool or frees its slot (P7, P8).

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::connection_slot::{AfterExchange, ConnectionSlot, Dial, DialOutcome, Pooled, SlotContent, SlotInner};
use super::exchange_record::ExchangeLimits;
use super::shared::{ReusedSlot, SharedState, SlotHandle};
use super::state::{PoolKey, Replacement, SlotId};
use crate::error::{Error, Phase, Result};
use crate::stats::CloseReason;

pub(crate) struct Lease<K: PoolKey + Send + 'static, C: Pooled> {
    shared: Arc<SharedState<K, C>>,
    slot: SlotHandle<K, C>,
    /// Time since the connection's last exchange. None if it was dialed for this request.
    idle: Option<Duration>,
    returned: bool,
}

impl<K: PoolKey + Send + 'static, C: Pooled> Lease<K, C> {
    pub(super) fn reused(shared: Arc<SharedState<K, C>>, ReusedSlot { slot, idle }: ReusedSlot<K, C>) -> Self {
        Self { shared, slot, idle: Some(idle), returned: false }
    }

    pub(super) fn dialed(shared: Arc<SharedState<K, C>>, slot: SlotHandle<K, C>) -> Self {
        Self { shared, slot, idle: None, returned: false }
    }

    /// Time for which the connection was in the pool. None if it is new; else it may be stale.
    pub(crate) fn idle(&self) -> Option<Duration> {
        self.idle
    }

    pub(crate) fn shared(&self) -> &Arc<SharedState<K, C>> {
        &self.shared
    }

    pub(crate) fn slot(&self) -> &Arc<ConnectionSlot<K, C>> {
        &self.slot
    }

    /// Begins an exchange; `f` passes the request to the connection. True if the connection has
    /// served another. A connection that was taken away begins nothing, and the next poll fails.
    pub(crate) fn begin(&self, method: http::Method, limits: ExchangeLimits, f: impl FnOnce(&mut C)) -> bool {
        self.slot.with(|inner| {
            let served = inner.begin(method, limits);
            if let SlotContent::Open(connection) = &mut inner.content {
                f(connection);
            }
            served
        })
    }

    /// Polls the connection. Fails if a close or a limit took it away.
    pub(crate) fn poll<R>(
        &self,
        cx: &mut Context<'_>,
        f: impl FnOnce(&mut C, &mut Context<'_>) -> Poll<R>,
    ) -> Poll<Result<R>> {
        self.slot.poll(cx, f).map(|result| result.map_err(taken_error))
    }

    /// Uses the connection without a wait.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut C) -> R) -> Result<R> {
        self.slot.with(|inner| match &mut inner.content {
            SlotContent::Open(connection) => Ok(f(connection)),
            SlotContent::Taken(reason) => Err(taken_error(*reason)),
            SlotContent::Dialing(_) => Err(taken_error(None)),
        })
    }

    /// Ends the lease, after `f` on a connection that was not taken away.
    pub(crate) fn end(mut self, f: impl FnOnce(&mut C)) {
        self.returned = true;
        self.give_back(f);
    }

    fn give_back(&self, f: impl FnOnce(&mut C)) {
        let after = self.slot.with(|inner| {
            inner.end_exchange();
            match &mut inner.content {
                SlotContent::Open(connection) => {
                    f(connection);
                    Some(connection.after_exchange())
                }
                SlotContent::Dialing(_) => Some(AfterExchange::Close(CloseReason::Cancelled)),
                SlotContent::Taken(_) => None,
            }
        });
        match after {
            Some(AfterExchange::Keep { keep_alive }) if self.shared.returned(&self.slot, keep_alive) => {}
            // Aborted before its return.
            Some(AfterExchange::Keep { .. }) => self.shared.close_slot(&self.slot, CloseReason::Aborted),
            Some(AfterExchange::Close(reason)) => self.shared.close_slot(&self.slot, reason),
            // Reported by the task that took the connection.
            None => {}
        }
    }

    /// P10: replaces a connection that is of no use by another idle one, or by one that `dial`
    /// makes.
    pub(crate) async fn replace(mut self, reason: CloseReason, dial: impl FnOnce(SlotId) -> Dial<C>) -> Result<Self> {
        self.drop_connection()?;
        match self.shared.replace(self.slot.id, reason) {
            Replacement::Reuse(ReusedSlot { slot, idle }) => {
                self.slot = slot;
                self.idle = Some(idle);
                Ok(self)
            }
            Replacement::Dial => self.dial(dial).await,
            Replacement::Closed => Err(Error::closed()),
        }
    }

    /// P10: dials a new connection in the slot of one that failed its request.
    pub(crate) async fn redial(self, dial: impl FnOnce(SlotId) -> Dial<C>) -> Result<Self> {
        self.drop_connection()?;
        if !self.shared.redial(self.slot.id, CloseReason::PeerClosed) {
            return Err(Error::closed());
        }
        self.dial(dial).await
    }

    /// Drops the socket; the slot stays taken.
    fn drop_connection(&self) -> Result<()> {
        // The limits of the exchange end with it: a dial has its own.
        self.slot.with(SlotInner::end_exchange);
        let content = self.slot.take(None).ok_or_else(|| taken_error(self.slot.taken_for()))?;
        drop(content);
        Ok(())
    }

    async fn dial(mut self, dial: impl FnOnce(SlotId) -> Dial<C>) -> Result<Self> {
        let id = self.slot.id;
        self.slot.with(|inner| {
            inner.content = SlotContent::Dialing(Some(dial(id)));
            inner.served = false;
        });
        // A close before the dial was in the slot found nothing to end.
        if !self.shared.read(|state| state.is_dialing(id)) {
            return Err(Error::closed());
        }
        match std::future::poll_fn(|cx| self.shared.poll_dial(&self.slot, cx)).await {
            DialOutcome::Open if self.shared.dialed(&self.slot) => {
                self.idle = None;
                Ok(self)
            }
            DialOutcome::Failed(error) => {
                self.shared.dial_failed(id);
                Err(error)
            }
            // The pool ended it meanwhile.
            DialOutcome::Open | DialOutcome::NoDial | DialOutcome::Ended(_) => Err(taken_error(self.slot.taken_for())),
        }
    }
}

impl<K: PoolKey + Send + 'static, C: Pooled> Drop for Lease<K, C> {
    fn drop(&mut self) {
        if !self.returned {
            self.give_back(|_| {});
        }
    }
}

/// Error of a holder whose connection was taken away.
fn taken_error(reason: Option<CloseReason>) -> Error {
    match reason {
        Some(CloseReason::Deadline) => {
            Error::timeout(Phase::Response).detail("the request's deadline passed").by_setting("total")
        }
        Some(CloseReason::Silence) => {
            Error::timeout(Phase::Response).detail("nothing passed in either direction for too long").by_setting("read")
        }
        _ => Error::closed(),
    }
}
