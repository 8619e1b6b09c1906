//! The place where a slot's socket is kept: shared by the lease that uses it, the pool that may end
//! it, and the keeper.
//!
//! Whoever takes the content out is the one who drops it and tells the state; so a socket is
//! dropped once and reported once, whichever of them comes first (P1, P11).

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::state::SlotId;
use super::sync::{Mutex, MutexGuard, lock};
use crate::error::{Error, Result};
use crate::stats::CloseReason;
use crate::timeouts;

/// A connection as the pool sees it.
pub(crate) trait Member: Send + 'static {
    /// After an exchange, whatever became of it: may another follow? (P8)
    fn retire(&mut self) -> Retired;

    /// Changes whenever a byte passes in either direction.
    fn traffic(&self) -> u64;

    /// Ends it properly, without waiting for the peer.
    fn end(self);
}

/// Whether a connection may be used again.
#[derive(Debug)]
pub(crate) enum Retired {
    /// It may, and the server said for how long it keeps an idle one.
    Keep {
        keep_alive: Option<Duration>,
    },
    Close(CloseReason),
}

pub(crate) type Dial<C> = Pin<Box<dyn Future<Output = Result<C>> + Send>>;

pub(crate) enum Content<C> {
    /// None while somebody polls it: a dial asks the pool for leave to try several addresses, so it
    /// is not polled under the lock.
    Dialing(Option<Dial<C>>),
    Open(C),
    /// Taken, by the holder itself or for this reason by the pool.
    Taken(Option<CloseReason>),
}

pub(crate) struct Cell<K, C> {
    pub(crate) slot: SlotId,
    pub(crate) key: K,
    inside: Mutex<Inside<C>>,
    /// Somebody waits for what the connection brings: only then is its silence the server's.
    awaited: AtomicBool,
}

pub(crate) struct Inside<C> {
    pub(crate) content: Content<C>,
    /// Who drives the content at present.
    waker: Option<Waker>,
    /// What the lease is for, as reports show it: no more than this, for the rest may be secret.
    method: Option<http::Method>,
    limits: Limits,
    /// It has been through an exchange.
    pub(crate) served: bool,
}

/// How long an exchange may go on. The keeper enforces it, whether somebody polls the exchange or
/// not, so that a request needs no timer of its own.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    /// Its end, whatever it is doing.
    pub(crate) deadline: Option<Instant>,
    /// How long the connection may be silent.
    pub(crate) silence: Option<Duration>,
    /// None: the exchange has only just begun.
    traffic: Option<u64>,
    last_traffic: Option<Instant>,
}

impl Limits {
    pub(crate) fn new(deadline: Option<Instant>, silence: Option<Duration>, now: Instant) -> Self {
        Self { deadline, silence, traffic: None, last_traffic: Some(now) }
    }

    /// When the exchange is to be ended if nothing happens, and why.
    pub(crate) fn due(&self, awaited: bool) -> Option<(Instant, CloseReason)> {
        let silent = self
            .silence
            .filter(|_| awaited)
            .zip(self.last_traffic)
            .and_then(|(silence, last)| last.checked_add(silence));
        match (self.deadline, silent) {
            (Some(deadline), Some(silent)) if silent < deadline => Some((silent, CloseReason::Silence)),
            (Some(deadline), _) => Some((deadline, CloseReason::Deadline)),
            (None, silent) => silent.map(|silent| (silent, CloseReason::Silence)),
        }
    }

    fn is_set(&self) -> bool {
        self.deadline.is_some() || self.silence.is_some()
    }

    /// Somebody begins, or goes on, to wait.
    fn waits(&mut self, traffic: u64, begins: bool) {
        let known = self.traffic.replace(traffic);
        if known.is_some_and(|known| begins || known != traffic) {
            // It may lie ahead, where the server is given time.
            self.last_traffic = self.last_traffic.max(Some(timeouts::now()));
        }
    }
}

impl<K, C: Member> Cell<K, C> {
    pub(crate) fn new(slot: SlotId, key: K, content: Content<C>) -> Self {
        let inside = Inside { content, waker: None, method: None, limits: Limits::default(), served: false };
        Self { slot, key, inside: Mutex::new(inside), awaited: AtomicBool::new(true) }
    }

    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Inside<C>) -> R) -> R {
        f(&mut lock(&self.inside))
    }

    /// What the lease is for, unless somebody is busy with it, who may be the one that asks.
    pub(crate) fn method(&self) -> Option<http::Method> {
        self.inside.try_lock().ok().and_then(|inside| inside.method.clone())
    }

    /// Why the content is gone, if it is.
    pub(crate) fn taken_for(&self) -> Option<CloseReason> {
        self.with(|inside| match inside.content {
            Content::Taken(reason) => reason,
            _ => None,
        })
    }

    /// Polls the connection for its lease; the error is why it is gone.
    pub(crate) fn poll<R>(
        &self,
        cx: &mut Context<'_>,
        f: impl FnOnce(&mut C, &mut Context<'_>) -> Poll<R>,
    ) -> Poll<Result<R, Option<CloseReason>>> {
        let mut inside = lock(&self.inside);
        inside.remember(cx.waker());
        match &mut inside.content {
            Content::Open(connection) => {
                let result = f(connection, cx);
                let traffic = connection.traffic();
                // The clock is asked only by who has to wait.
                let rested = !self.is_awaited();
                self.awaited.store(result.is_pending(), Ordering::Relaxed);
                if result.is_pending() {
                    inside.limits.waits(traffic, rested);
                } else {
                    // Whoever waits from now on begins to.
                    inside.limits.traffic.get_or_insert(traffic);
                }
                result.map(Ok)
            }
            Content::Taken(reason) => Poll::Ready(Err(*reason)),
            Content::Dialing(_) => Poll::Ready(Err(None)),
        }
    }

    /// The holder has what it waited for.
    pub(crate) fn rest(&self) {
        self.awaited.store(false, Ordering::Relaxed);
    }

    /// Drives the dial; once it is done the connection, or nothing, is in its place.
    pub(super) fn poll_dial(&self, cx: &mut Context<'_>) -> Poll<Dialed> {
        let mut dial = {
            let mut inside = lock(&self.inside);
            inside.remember(cx.waker());
            match &mut inside.content {
                Content::Dialing(dial) => match dial.take() {
                    Some(dial) => dial,
                    // Whoever polls it wakes this one when it has been put back.
                    None => return Poll::Pending,
                },
                _ => return Poll::Ready(Dialed::Elsewhere),
            }
        };
        let polled = catch_unwind(AssertUnwindSafe(|| dial.as_mut().poll(cx)));
        let mut inside = lock(&self.inside);
        if let Content::Taken(reason) = inside.content {
            drop(inside);
            // It was ended while it was in our hands: its sockets go first, then it is reported (P1).
            drop(polled);
            drop(dial);
            return Poll::Ready(Dialed::Ended(reason));
        }
        let polled = match polled {
            Ok(polled) => polled,
            Err(panic) => {
                // Back in its place, so that whoever gives up the slot finds what to drop (P7).
                inside.content = Content::Dialing(Some(dial));
                drop(inside);
                resume_unwind(panic);
            }
        };
        match polled {
            Poll::Pending => {
                inside.content = Content::Dialing(Some(dial));
                let other = inside.waker.clone().filter(|waker| !waker.will_wake(cx.waker()));
                drop(inside);
                if let Some(other) = other {
                    other.wake();
                }
                Poll::Pending
            }
            Poll::Ready(Ok(connection)) => {
                inside.content = Content::Open(connection);
                Poll::Ready(Dialed::Open)
            }
            Poll::Ready(Err(error)) => {
                inside.content = Content::Taken(None);
                Poll::Ready(Dialed::Failed(error))
            }
        }
    }

    /// Empties the cell for this reason and wakes whoever drove the content. Dropping or ending
    /// what is returned is the caller's, and so is the report.
    pub(crate) fn take(&self, reason: Option<CloseReason>) -> Option<Content<C>> {
        Self::empty(lock(&self.inside), reason)
    }

    /// The same, if its time is up; else when that is. All under one lock: the lease may pass on at
    /// any time, and an exchange whose time was up a moment ago may have gone on since.
    pub(crate) fn take_overdue(&self, now: Instant) -> Overdue<C> {
        let inside = lock(&self.inside);
        match inside.limits.due(self.is_awaited()) {
            Some((due, _)) if due > now => Overdue::Later(due),
            Some((_, reason)) => match Self::empty(inside, Some(reason)) {
                Some(content) => Overdue::Taken(content, reason),
                None => Overdue::Never,
            },
            // The reader rests: it may come back at any time.
            None if inside.limits.is_set() => Overdue::Later(now + RESTING),
            None => Overdue::Never,
        }
    }

    fn empty(mut inside: MutexGuard<'_, Inside<C>>, reason: Option<CloseReason>) -> Option<Content<C>> {
        if matches!(inside.content, Content::Taken(_)) {
            return None;
        }
        let content = std::mem::replace(&mut inside.content, Content::Taken(reason));
        let waker = inside.waker.take();
        drop(inside);
        if let Some(waker) = waker {
            waker.wake();
        }
        // A dial that somebody is polling is theirs to drop and to report.
        (!matches!(content, Content::Dialing(None))).then_some(content)
    }

    fn is_awaited(&self) -> bool {
        self.awaited.load(Ordering::Relaxed)
    }
}

impl<C> Inside<C> {
    /// An exchange begins. True if it is not the first.
    pub(crate) fn begin(&mut self, method: http::Method, limits: Limits) -> bool {
        self.method = Some(method);
        self.limits = limits;
        self.served
    }

    /// It has ended.
    pub(crate) fn finish(&mut self) {
        self.served |= self.method.take().is_some();
        self.limits = Limits::default();
    }

    fn remember(&mut self, waker: &Waker) {
        match &mut self.waker {
            Some(known) => known.clone_from(waker),
            None => self.waker = Some(waker.clone()),
        }
    }
}

/// How a poll of a dial ended.
#[derive(Debug)]
pub(crate) enum Dialed {
    Open,
    Failed(Error),
    /// The cell holds no dial any more.
    Elsewhere,
    /// It was ended for this reason while it was polled: the slot is to be reported free.
    Ended(Option<CloseReason>),
}

/// How an exchange stands with its limits.
pub(crate) enum Overdue<C> {
    Taken(Content<C>, CloseReason),
    /// To be looked at again then.
    Later(Instant),
    Never,
}

/// How often the keeper looks after a connection whose reader rests.
const RESTING: Duration = Duration::from_millis(250);
