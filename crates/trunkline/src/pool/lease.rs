//! A connection in use. However its holder ends, the connection goes back to the pool or its slot
//! is freed (P7, P8).

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::cell::{Cell, Content, Dial, Dialed, Inside, Limits, Member, Retired};
use super::shell::Shell;
use super::state::{PoolKey, Replacement};
use crate::error::{Error, Phase, Result};
use crate::stats::CloseReason;

pub(crate) struct Lease<K: PoolKey + Send + 'static, C: Member> {
    shell: Arc<Shell<K, C>>,
    cell: Arc<Cell<K, C>>,
    /// For how long it had been nobody's, if it was the pool's before.
    idle: Option<Duration>,
    /// It has been given back.
    over: bool,
}

impl<K: PoolKey + Send + 'static, C: Member> Lease<K, C> {
    pub(super) fn new(shell: Arc<Shell<K, C>>, cell: Arc<Cell<K, C>>, idle: Option<Duration>) -> Self {
        Self { shell, cell, idle, over: false }
    }

    /// For how long the connection had been the pool's before it was this request's. None if it is
    /// new; else it may have gone stale.
    pub(crate) fn idle(&self) -> Option<Duration> {
        self.idle
    }

    pub(crate) fn shell(&self) -> &Arc<Shell<K, C>> {
        &self.shell
    }

    pub(crate) fn cell(&self) -> &Arc<Cell<K, C>> {
        &self.cell
    }

    /// An exchange begins: what for, how long it may take, and with what. True if the connection
    /// has been through another. If it was taken away nothing is begun, and the next poll
    /// tells.
    pub(crate) fn begin(&self, method: http::Method, limits: Limits, f: impl FnOnce(&mut C)) -> bool {
        self.cell.with(|inside| {
            let served = inside.begin(method, limits);
            if let Content::Open(connection) = &mut inside.content {
                f(connection);
            }
            served
        })
    }

    /// Polls the connection. It may have been taken away: by a close or a deadline.
    pub(crate) fn poll<R>(
        &self,
        cx: &mut Context<'_>,
        f: impl FnOnce(&mut C, &mut Context<'_>) -> Poll<R>,
    ) -> Poll<Result<R>> {
        self.cell.poll(cx, f).map(|result| result.map_err(taken))
    }

    /// Does something with the connection that needs no waiting.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut C) -> R) -> Result<R> {
        self.cell.with(|inside| match &mut inside.content {
            Content::Open(connection) => Ok(f(connection)),
            Content::Taken(reason) => Err(taken(*reason)),
            Content::Dialing(_) => Err(taken(None)),
        })
    }

    /// Ends with a last word to the connection, if it has not been taken away.
    pub(crate) fn end(mut self, f: impl FnOnce(&mut C)) {
        self.over = true;
        self.give_back(f);
    }

    fn give_back(&self, f: impl FnOnce(&mut C)) {
        let retired = self.cell.with(|inside| {
            inside.finish();
            match &mut inside.content {
                Content::Open(connection) => {
                    f(connection);
                    Some(connection.retire())
                }
                Content::Dialing(_) => Some(Retired::Close(CloseReason::Cancelled)),
                Content::Taken(_) => None,
            }
        });
        match retired {
            Some(Retired::Keep { keep_alive }) if self.shell.returned(&self.cell, keep_alive) => {}
            // Aborted before it came back.
            Some(Retired::Keep { .. }) => self.shell.close_cell(&self.cell, CloseReason::Aborted),
            Some(Retired::Close(reason)) => self.shell.close_cell(&self.cell, reason),
            // Whoever took the connection has reported it.
            None => {}
        }
    }

    /// P10: the connection was found to be of no use. Another idle one takes its place, or one that
    /// `dial` makes.
    pub(crate) async fn replace(
        mut self,
        reason: CloseReason,
        dial: impl FnOnce(super::state::SlotId) -> Dial<C>,
    ) -> Result<Self> {
        self.discard()?;
        match self.shell.replace(self.cell.slot, reason) {
            (Replacement::Reuse(_), Some((other, idle))) => {
                self.cell = other;
                self.idle = Some(idle);
                Ok(self)
            }
            (Replacement::Dial, _) => self.dial_anew(dial).await,
            _ => Err(Error::closed()),
        }
    }

    /// P10: the connection failed its request. A new one is dialed in its slot.
    pub(crate) async fn redial(self, dial: impl FnOnce(super::state::SlotId) -> Dial<C>) -> Result<Self> {
        self.discard()?;
        match self.shell.redial(self.cell.slot, CloseReason::PeerClosed) {
            Replacement::Dial => self.dial_anew(dial).await,
            _ => Err(Error::closed()),
        }
    }

    /// Drops the socket; the slot stays taken.
    fn discard(&self) -> Result<()> {
        // The exchange's limits end with it: a dial has its own.
        self.cell.with(Inside::finish);
        let content = self.cell.take(None).ok_or_else(|| taken(self.cell.taken_for()))?;
        drop(content);
        Ok(())
    }

    async fn dial_anew(mut self, dial: impl FnOnce(super::state::SlotId) -> Dial<C>) -> Result<Self> {
        let slot = self.cell.slot;
        self.cell.with(|inside| {
            inside.content = Content::Dialing(Some(dial(slot)));
            inside.served = false;
        });
        // A close that came before the dial stood in the cell found nothing to end.
        if !self.shell.read(|state| state.is_dialing(slot)) {
            return Err(Error::closed());
        }
        match std::future::poll_fn(|cx| self.shell.poll_dial(&self.cell, cx)).await {
            Dialed::Open if self.shell.dialed(&self.cell) => {
                self.idle = None;
                Ok(self)
            }
            Dialed::Failed(error) => {
                self.shell.dial_failed(slot);
                Err(error)
            }
            // It was ended meanwhile.
            Dialed::Open | Dialed::Elsewhere | Dialed::Ended(_) => Err(taken(self.cell.taken_for())),
        }
    }
}

impl<K: PoolKey + Send + 'static, C: Member> Drop for Lease<K, C> {
    fn drop(&mut self) {
        if !self.over {
            self.give_back(|_| {});
        }
    }
}

/// What a holder is told whose connection was taken away.
fn taken(reason: Option<CloseReason>) -> Error {
    match reason {
        Some(CloseReason::Deadline) => {
            Error::timeout(Phase::Response).detail("the request's deadline passed (timeout `total`)")
        }
        Some(CloseReason::Silence) => {
            Error::timeout(Phase::Response).detail("nothing passed in either direction for too long (timeout `read`)")
        }
        _ => Error::closed(),
    }
}
