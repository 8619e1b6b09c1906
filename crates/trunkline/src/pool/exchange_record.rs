//! Record of one exchange on a connection: the task that drives it, its method and its limits.
//!
//! It is apart from the connection, because one connection may carry several exchanges.

use std::task::Waker;
use std::time::{Duration, Instant};

use http::Method;

use crate::stats::CloseReason;
use crate::timeouts;

#[derive(Default)]
pub(super) struct ExchangeRecord {
    /// Task that drives the exchange, or the dial before it.
    waker: Option<Waker>,
    /// The only part of the request that reports show: the rest may be secret. None between two
    /// exchanges.
    method: Option<Method>,
    limits: ExchangeLimits,
}

/// Limits of an exchange. The maintenance task enforces them, whether or not the exchange is
/// polled, so that a request needs no timer of its own.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ExchangeLimits {
    /// End of the exchange, whatever its progress.
    pub(crate) deadline: Option<Instant>,
    /// Longest time without a byte in either direction while the exchange waits for one.
    pub(crate) silence: Option<Duration>,
    /// Traffic at the last poll. None before the first.
    traffic: Option<u64>,
    last_traffic: Option<Instant>,
}

impl ExchangeRecord {
    pub(super) fn begin(&mut self, method: Method, limits: ExchangeLimits) {
        self.method = Some(method);
        self.limits = limits;
    }

    /// Ends the exchange. True if one had begun.
    pub(super) fn end(&mut self) -> bool {
        self.limits = ExchangeLimits::default();
        self.method.take().is_some()
    }

    pub(super) fn method(&self) -> Option<&Method> {
        self.method.as_ref()
    }

    pub(super) fn limits(&self) -> &ExchangeLimits {
        &self.limits
    }

    pub(super) fn waker(&self) -> Option<&Waker> {
        self.waker.as_ref()
    }

    pub(super) fn register_waker(&mut self, waker: &Waker) {
        match &mut self.waker {
            Some(known) => known.clone_from(waker),
            None => self.waker = Some(waker.clone()),
        }
    }

    pub(super) fn take_waker(&mut self) -> Option<Waker> {
        self.waker.take()
    }

    /// Notes a poll that waits. `begins` is true if no wait went on before it.
    pub(super) fn note_wait(&mut self, traffic: u64, begins: bool) {
        let known = self.limits.traffic.replace(traffic);
        if known.is_some_and(|known| begins || known != traffic) {
            // `last_traffic` may lie ahead: `begin` adds the time that an expected 100 may take.
            self.limits.last_traffic = self.limits.last_traffic.max(Some(timeouts::now()));
        }
    }

    /// Notes a poll that was ready: a wait after it begins anew.
    pub(super) fn note_ready(&mut self, traffic: u64) {
        self.limits.traffic.get_or_insert(traffic);
    }
}

impl ExchangeLimits {
    pub(crate) fn new(deadline: Option<Instant>, silence: Option<Duration>, now: Instant) -> Self {
        Self { deadline, silence, traffic: None, last_traffic: Some(now) }
    }

    /// Time and reason of the end of the exchange if no further byte passes. `awaited` is true
    /// while the exchange waits for the connection.
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

    pub(super) fn is_set(&self) -> bool {
        self.deadline.is_some() || self.silence.is_some()
    }
}
