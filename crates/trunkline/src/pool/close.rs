//! Close of a pool or of a session: refuses new requests, waits for those under way, and ends with
//! no socket left (P11).

use std::sync::Arc;
use std::time::Duration;

use super::Inner;
use super::in_flight::InFlight;
use super::state::Owner;
use crate::stats::CloseReport;
use crate::timeouts;

/// Default time for requests under way to finish.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

impl Inner {
    pub(super) async fn close_within(self: &Arc<Self>, grace: Duration) -> CloseReport {
        *self.closing.get_or_init(|| self.close_once(grace)).await
    }

    async fn close_once(self: &Arc<Self>, grace: Duration) -> CloseReport {
        let begun = timeouts::now();
        let closed_before = self.closed_total();
        self.in_flight.close();
        let under_way = self.in_flight.count();
        let failed = self.shared.event(|state, _| state.drain());
        let aborted = self.drain(&self.in_flight, grace, None).await;
        loop {
            let emptied = self.maintenance.emptied();
            if self.shared.read(|state| state.metrics().total.open()) == 0 {
                break;
            }
            emptied.await;
        }
        let report = CloseReport {
            drained: under_way.saturating_sub(aborted + failed),
            aborted,
            closed: self.closed_total() - closed_before,
            elapsed: begun.elapsed(),
        };
        tracing::info!(target: "trunkline::pool", drained = report.drained, aborted, closed = report.closed, "closed");
        report
    }

    /// Closes a session while others use the pool.
    pub(crate) async fn close_owner(
        self: &Arc<Self>,
        owner: Owner,
        in_flight: &InFlight,
        grace: Duration,
    ) -> CloseReport {
        let begun = timeouts::now();
        let closed_before = self.closed_total();
        in_flight.close();
        let under_way = in_flight.count();
        let failed = self.shared.event(|state, _| state.drain_owner(owner));
        let aborted = self.drain(in_flight, grace, Some(owner)).await;
        CloseReport {
            drained: under_way.saturating_sub(aborted + failed),
            aborted,
            closed: self.closed_total() - closed_before,
            elapsed: begun.elapsed(),
        }
    }

    /// Waits for the requests under way, and ends those that outlast the grace. Returns their
    /// number.
    async fn drain(self: &Arc<Self>, in_flight: &InFlight, grace: Duration, owner: Option<Owner>) -> usize {
        let ended = tokio::time::timeout(grace, in_flight.emptied()).await.is_ok();
        // The state need not remember a session whose requests have all ended.
        if ended && owner.is_some() {
            return 0;
        }
        let outlasting = in_flight.count();
        self.shared.event(|state, now| state.abort(owner, now));
        outlasting
    }

    fn closed_total(&self) -> u64 {
        self.shared.read(|state| state.metrics().closed.iter().sum())
    }
}

#[cfg(all(test, not(trunkline_loom)))]
mod tests {
    use super::*;
    use crate::pool::Pool;

    #[tokio::test]
    async fn p11_a_session_without_requests_is_not_remembered() {
        let pool = Pool::new();
        let session = Arc::new(InFlight::within(pool.0.in_flight().clone()));
        let (owner, under_way) = (pool.0.join(), session.enter());
        let closing = pool.0.close_owner(owner, &session, GRACE);
        let (report, ()) = tokio::join!(closing, async { drop(under_way) });
        assert_eq!((report.drained, report.aborted), (1, 0));
        assert!(!pool.0.shared.read(|state| state.has_aborted(owner)));

        let session = Arc::new(InFlight::within(pool.0.in_flight().clone()));
        let (owner, _under_way) = (pool.0.join(), session.enter());
        let report = pool.0.close_owner(owner, &session, Duration::ZERO).await;
        assert_eq!((report.drained, report.aborted), (0, 1));
        assert!(pool.0.shared.read(|state| state.has_aborted(owner)), "its further exchanges are refused");
    }
}
