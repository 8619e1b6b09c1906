//! Slot of one connection: shared by the lease that uses it, the pool that may end it, and the
//! maintenance task.
//!
//! The holder that takes the content out of the slot drops it and reports it to the state. So each
//! socket is dropped once and reported once, in every order of events (P1, P11).

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::exchange_record::{ExchangeLimits, ExchangeRecord};
use super::state::SlotId;
use super::sync::{Mutex, MutexGuard, lock};
use crate::error::{Error, Result};
use crate::stats::CloseReason;

/// Connection as the pool sees it.
pub(crate) trait Pooled: Send + 'static {
    /// Decides, after an exchange with any outcome, about the reuse of the connection (P8).
    fn after_exchange(&mut self) -> AfterExchange;

    /// Counter that changes whenever a byte passes in either direction.
    fn traffic(&self) -> u64;

    /// Ends the connection properly, without a wait for the peer.
    fn end(self);
}

/// Use of a connection after an exchange.
#[derive(Debug)]
pub(crate) enum AfterExchange {
    /// Another exchange may follow. `keep_alive` is the time for which the server keeps an idle
    /// connection, if it said so.
    Keep {
        keep_alive: Option<Duration>,
    },
    Close(CloseReason),
}

pub(crate) type Dial<C> = Pin<Box<dyn Future<Output = Result<C>> + Send>>;

pub(crate) enum SlotContent<C> {
    /// None during a poll: a dial asks the pool for permits to try several addresses, so it is not
    /// polled under the slot's lock.
    Dialing(Option<Dial<C>>),
    Open(C),
    /// Taken out: by the pool for this reason, or by the lease without one.
    Taken(Option<CloseReason>),
}

pub(crate) struct ConnectionSlot<K, C> {
    pub(crate) id: SlotId,
    pub(crate) key: K,
    inner: Mutex<SlotInner<C>>,
    /// True while the exchange waits for the connection: only then does silence count. Outside the
    /// lock, so that a reader that has its data takes no lock.
    awaited: AtomicBool,
}

pub(crate) struct SlotInner<C> {
    pub(crate) content: SlotContent<C>,
    exchange: ExchangeRecord,
    /// True after the connection's first exchange.
    pub(crate) served: bool,
}

/// Progress of a dial.
#[derive(Debug)]
pub(crate) enum DialOutcome {
    Open,
    Failed(Error),
    /// The slot holds no dial any more.
    NoDial,
    /// The dial was ended for this reason during the poll: the caller reports the slot free.
    Ended(Option<CloseReason>),
}

/// Result of a comparison of an exchange with its limits.
pub(crate) enum LimitCheck<C> {
    /// A limit has passed. The caller drops the content and reports it.
    Exceeded(SlotContent<C>, CloseReason),
    /// To be checked again at this time.
    CheckAt(Instant),
    /// No check is due.
    Unlimited,
}

/// Interval of checks while the reader of a response does not wait for the connection.
const READER_IDLE_CHECK: Duration = Duration::from_millis(250);

impl<K, C: Pooled> ConnectionSlot<K, C> {
    pub(crate) fn new(id: SlotId, key: K, content: SlotContent<C>) -> Self {
        let inner = SlotInner { content, exchange: ExchangeRecord::default(), served: false };
        Self { id, key, inner: Mutex::new(inner), awaited: AtomicBool::new(true) }
    }

    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut SlotInner<C>) -> R) -> R {
        f(&mut lock(&self.inner))
    }

    /// Method of the exchange under way. None also while the slot is locked, possibly by the
    /// caller.
    pub(crate) fn method(&self) -> Option<http::Method> {
        self.inner.try_lock().ok().and_then(|inner| inner.exchange.method().cloned())
    }

    /// Reason for which the pool took the content out.
    pub(crate) fn taken_for(&self) -> Option<CloseReason> {
        self.with(|inner| match inner.content {
            SlotContent::Taken(reason) => reason,
            _ => None,
        })
    }

    /// Polls the connection for its lease. The error is the reason for which it was taken out.
    pub(crate) fn poll<R>(
        &self,
        cx: &mut Context<'_>,
        f: impl FnOnce(&mut C, &mut Context<'_>) -> Poll<R>,
    ) -> Poll<Result<R, Option<CloseReason>>> {
        let mut inner = lock(&self.inner);
        inner.exchange.register_waker(cx.waker());
        match &mut inner.content {
            SlotContent::Open(connection) => {
                let result = f(connection, cx);
                let traffic = connection.traffic();
                let begins = !self.is_awaited();
                self.awaited.store(result.is_pending(), Ordering::Relaxed);
                if result.is_pending() {
                    inner.exchange.note_wait(traffic, begins);
                } else {
                    inner.exchange.note_ready(traffic);
                }
                result.map(Ok)
            }
            SlotContent::Taken(reason) => Poll::Ready(Err(*reason)),
            SlotContent::Dialing(_) => Poll::Ready(Err(None)),
        }
    }

    /// Stops counting silence: the reader has data and does not wait for the connection.
    pub(crate) fn pause_silence(&self) {
        self.awaited.store(false, Ordering::Relaxed);
    }

    /// Drives the dial. A finished dial leaves the connection, or nothing, in the slot.
    pub(super) fn poll_dial(&self, cx: &mut Context<'_>) -> Poll<DialOutcome> {
        let mut dial = {
            let mut inner = lock(&self.inner);
            inner.exchange.register_waker(cx.waker());
            match &mut inner.content {
                SlotContent::Dialing(dial) => match dial.take() {
                    Some(dial) => dial,
                    // Another task polls it, and wakes this one when it puts the dial back.
                    None => return Poll::Pending,
                },
                _ => return Poll::Ready(DialOutcome::NoDial),
            }
        };
        let polled = catch_unwind(AssertUnwindSafe(|| dial.as_mut().poll(cx)));
        let mut inner = lock(&self.inner);
        if let SlotContent::Taken(reason) = inner.content {
            drop(inner);
            // The dial was ended during the poll: its sockets go first, then it is reported (P1).
            drop(polled);
            drop(dial);
            return Poll::Ready(DialOutcome::Ended(reason));
        }
        let polled = match polled {
            Ok(polled) => polled,
            Err(panic) => {
                // Put back, so that the end of the slot drops the dial (P7).
                inner.content = SlotContent::Dialing(Some(dial));
                drop(inner);
                resume_unwind(panic);
            }
        };
        Self::put_back(inner, dial, polled, cx)
    }

    fn put_back(
        mut inner: MutexGuard<'_, SlotInner<C>>,
        dial: Dial<C>,
        polled: Poll<Result<C>>,
        cx: &mut Context<'_>,
    ) -> Poll<DialOutcome> {
        match polled {
            Poll::Pending => {
                inner.content = SlotContent::Dialing(Some(dial));
                let other = inner.exchange.waker().filter(|waker| !waker.will_wake(cx.waker())).cloned();
                drop(inner);
                if let Some(other) = other {
                    other.wake();
                }
                Poll::Pending
            }
            Poll::Ready(Ok(connection)) => {
                inner.content = SlotContent::Open(connection);
                Poll::Ready(DialOutcome::Open)
            }
            Poll::Ready(Err(error)) => {
                inner.content = SlotContent::Taken(None);
                Poll::Ready(DialOutcome::Failed(error))
            }
        }
    }

    /// Takes the content out for this reason and wakes the task that drove it. The caller drops or
    /// ends what is returned, and reports it.
    pub(crate) fn take(&self, reason: Option<CloseReason>) -> Option<SlotContent<C>> {
        Self::take_locked(lock(&self.inner), reason)
    }

    /// Takes the content out if a limit of its exchange has passed. One lock for both steps: the
    /// lease may pass on at any time, and the exchange may go on.
    pub(crate) fn take_overdue(&self, now: Instant) -> LimitCheck<C> {
        let inner = lock(&self.inner);
        match inner.exchange.limits().due(self.is_awaited()) {
            Some((due, _)) if due > now => LimitCheck::CheckAt(due),
            Some((_, reason)) => match Self::take_locked(inner, Some(reason)) {
                Some(content) => LimitCheck::Exceeded(content, reason),
                None => LimitCheck::Unlimited,
            },
            // The reader may wait for the connection again at any time.
            None if inner.exchange.limits().is_set() => LimitCheck::CheckAt(now + READER_IDLE_CHECK),
            None => LimitCheck::Unlimited,
        }
    }

    fn take_locked(mut inner: MutexGuard<'_, SlotInner<C>>, reason: Option<CloseReason>) -> Option<SlotContent<C>> {
        if matches!(inner.content, SlotContent::Taken(_)) {
            return None;
        }
        let content = std::mem::replace(&mut inner.content, SlotContent::Taken(reason));
        let waker = inner.exchange.take_waker();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
        // The task that polls a dial drops and reports it.
        (!matches!(content, SlotContent::Dialing(None))).then_some(content)
    }

    fn is_awaited(&self) -> bool {
        self.awaited.load(Ordering::Relaxed)
    }
}

impl<C> SlotInner<C> {
    /// Begins an exchange. True if the connection has served another.
    pub(crate) fn begin(&mut self, method: http::Method, limits: ExchangeLimits) -> bool {
        self.exchange.begin(method, limits);
        self.served
    }

    pub(crate) fn end_exchange(&mut self) {
        self.served |= self.exchange.end();
    }
}
