//! Counter of requests under way: admits none once it is closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

const CLOSED: usize = 1 << (usize::BITS - 1);

#[derive(Debug, Default)]
pub(crate) struct InFlight {
    /// Number of requests, and the `CLOSED` bit: one word, so that no request is admitted during
    /// the close.
    requests: AtomicUsize,
    empty: Notify,
    /// Counter that counts the same requests: a session's requests are also its pool's.
    outer: Option<Arc<InFlight>>,
}

/// One request under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct InFlightGuard(Arc<InFlight>);

impl InFlight {
    pub(crate) fn within(outer: Arc<Self>) -> Self {
        Self { outer: Some(outer), ..Self::default() }
    }

    pub(crate) fn enter(self: &Arc<Self>) -> Option<InFlightGuard> {
        let guard = InFlightGuard(self.clone());
        let open = self.count_in();
        open.then_some(guard)
    }

    /// False if this counter or an outer one is closed.
    fn count_in(&self) -> bool {
        let before = self.requests.fetch_add(1, Ordering::AcqRel);
        let outer_open = self.outer.as_ref().is_none_or(|outer| outer.count_in());
        outer_open && before & CLOSED == 0
    }

    fn count_out(&self) {
        // Only a closed counter has waiters.
        if self.requests.fetch_sub(1, Ordering::AcqRel) == CLOSED | 1 {
            self.empty.notify_waiters();
        }
        if let Some(outer) = &self.outer {
            outer.count_out();
        }
    }

    /// Refuses further requests. True the first time.
    pub(crate) fn close(&self) -> bool {
        self.requests.fetch_or(CLOSED, Ordering::AcqRel) & CLOSED == 0
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.requests.load(Ordering::Acquire) & CLOSED != 0
    }

    pub(crate) fn count(&self) -> usize {
        self.requests.load(Ordering::Acquire) & !CLOSED
    }

    /// Waits for the end of the last request. Only for a closed counter: an open one does not
    /// notify.
    pub(crate) async fn emptied(&self) {
        loop {
            let notified = self.empty.notified();
            if self.count() == 0 {
                return;
            }
            notified.await;
        }
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.count_out();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn p11_a_closed_counter_admits_none_and_reports_the_last_end() {
        let in_flight = Arc::new(InFlight::default());
        let first = in_flight.enter().unwrap();
        assert!(in_flight.close());
        assert!(!in_flight.close());
        assert!(in_flight.enter().is_none());
        assert_eq!(in_flight.count(), 1);
        let waiting = tokio::spawn({
            let in_flight = in_flight.clone();
            async move { in_flight.emptied().await }
        });
        tokio::task::yield_now().await;
        drop(first);
        waiting.await.unwrap();
    }

    #[test]
    fn p11_a_request_of_a_session_counts_in_its_pool() {
        let pool = Arc::new(InFlight::default());
        let (session, other) = (Arc::new(InFlight::within(pool.clone())), Arc::new(InFlight::within(pool.clone())));
        let (first, second) = (session.enter().unwrap(), other.enter().unwrap());
        assert_eq!((session.count(), other.count(), pool.count()), (1, 1, 2));
        drop(first);
        assert_eq!((session.count(), other.count(), pool.count()), (0, 1, 1));
        session.close();
        assert!(session.enter().is_none());
        pool.close();
        assert!(other.enter().is_none(), "the pool is closed");
        drop(second);
        assert_eq!((session.count(), other.count(), pool.count()), (0, 0, 0));
    }
}
