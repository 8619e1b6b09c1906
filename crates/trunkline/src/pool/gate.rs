//! Counts the requests under way, and lets no more in once it is closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

const CLOSED: usize = 1 << (usize::BITS - 1);

#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// Those inside, and the `CLOSED` bit: one word, so that nobody slips in while it closes.
    inside: AtomicUsize,
    empty: Notify,
}

/// One request under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Pass(Arc<Gate>);

/// A request under way in its pool and, if it is one's, in its session.
#[derive(Debug)]
#[expect(dead_code, reason = "held for their drop")]
pub(crate) struct Passes {
    pub(crate) pool: Pass,
    pub(crate) session: Option<Pass>,
}

impl Gate {
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Pass> {
        let before = self.inside.fetch_add(1, Ordering::AcqRel);
        let pass = Pass(self.clone());
        (before & CLOSED == 0).then_some(pass)
    }

    /// Lets nobody in any more. True the first time.
    pub(crate) fn close(&self) -> bool {
        self.inside.fetch_or(CLOSED, Ordering::AcqRel) & CLOSED == 0
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.inside.load(Ordering::Acquire) & CLOSED != 0
    }

    pub(crate) fn count(&self) -> usize {
        self.inside.load(Ordering::Acquire) & !CLOSED
    }

    /// Waits until nobody is inside.
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

impl Drop for Pass {
    fn drop(&mut self) {
        if self.0.inside.fetch_sub(1, Ordering::AcqRel) & !CLOSED == 1 {
            self.0.empty.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn p11_a_closed_gate_lets_nobody_in_and_tells_when_all_have_left() {
        let gate = Arc::new(Gate::default());
        let first = gate.enter().unwrap();
        assert!(gate.close());
        assert!(!gate.close());
        assert!(gate.enter().is_none());
        assert_eq!(gate.count(), 1);
        let waiting = tokio::spawn({
            let gate = gate.clone();
            async move { gate.emptied().await }
        });
        tokio::task::yield_now().await;
        drop(first);
        waiting.await.unwrap();
    }
}
