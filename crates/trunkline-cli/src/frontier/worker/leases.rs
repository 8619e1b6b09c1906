//! Leases of a worker, from the claim to the settlement.
//!
//! under way → line gathered → line being written → to settle → settled

use std::collections::{HashSet, VecDeque};
use std::mem;

use tokio::sync::oneshot;

use crate::frontier::store::{Settlement, SettlementKind};

/// All leases that this worker holds, by stage.
#[derive(Default)]
pub(super) struct Leases {
    held: HashSet<i64>,
    /// Pages whose lines wait for the next hand-over to the writer.
    gathered: Vec<Settlement>,
    /// Pages whose lines are being written, in this order.
    writing: VecDeque<(Vec<Settlement>, oneshot::Receiver<()>)>,
    /// Pages whose lines are written, or that have none.
    to_settle: Vec<Settlement>,
}

impl Leases {
    /// Adds a claimed lease. False if this worker already holds it: a URL that was claimed again
    /// after the lease ran out, while its line is on its way, is already fetched.
    pub(super) fn claim(&mut self, id: i64) -> bool {
        self.held.insert(id)
    }

    /// Adds a page whose line waits for the next hand-over.
    pub(super) fn ended(&mut self, settlement: Settlement) {
        self.gathered.push(settlement);
    }

    /// Adds a page without a line, which can be settled at once.
    pub(super) fn put_back(&mut self, settlement: Settlement) {
        self.to_settle.push(settlement);
    }

    /// Records that the gathered lines were handed over. `written` resolves when they are written.
    pub(super) fn handed_over(&mut self, written: oneshot::Receiver<()>) {
        if !self.gathered.is_empty() {
            self.writing.push_back((mem::take(&mut self.gathered), written));
        }
    }

    /// Waits until the oldest lines are written; forever if none are being written. Returns false
    /// if they never will be.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(super) async fn written(&mut self) -> bool {
        let written = match self.writing.front_mut() {
            Some((_, written)) => written.await,
            None => return std::future::pending().await,
        };
        match written {
            Ok(()) => self.settle_oldest(),
            Err(_) => self.writing.clear(),
        }
        written.is_ok()
    }

    /// Records that all lines are written.
    pub(super) fn all_written(&mut self) {
        while !self.writing.is_empty() {
            self.settle_oldest();
        }
    }

    /// Records the lines that the writer reported before it ended early.
    pub(super) fn written_so_far(&mut self) {
        while let Some((_, written)) = self.writing.front_mut()
            && written.try_recv().is_ok()
        {
            self.settle_oldest();
        }
    }

    fn settle_oldest(&mut self) {
        let oldest = self.writing.pop_front();
        self.to_settle.extend(oldest.into_iter().flat_map(|(settlements, _)| settlements));
    }

    pub(super) fn take_settlements(&mut self) -> Vec<Settlement> {
        mem::take(&mut self.to_settle)
    }

    /// Drops leases that the database has settled.
    pub(super) fn settled(&mut self, settlements: &[Settlement]) {
        for settlement in settlements {
            self.held.remove(&settlement.id);
        }
    }

    /// Takes settlements back that the database may not have received.
    pub(super) fn unsettled(&mut self, settlements: Vec<Settlement>) {
        self.to_settle.extend(settlements);
    }

    /// Drops the leases after they ran out. Finished pages stay: their settlement is still useful
    /// if no other worker has started them.
    pub(super) fn lost(&mut self) {
        self.to_settle.retain(|one| matches!(one.kind, SettlementKind::Done | SettlementKind::Failed));
        let writing = self.writing.iter().flat_map(|(settlements, _)| settlements);
        self.held = self.to_settle.iter().chain(&self.gathered).chain(writing).map(|one| one.id).collect();
    }

    pub(super) fn held(&self) -> Vec<i64> {
        self.held.iter().copied().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn has_settlements(&self) -> bool {
        !self.to_settle.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn settlement(id: i64, kind: SettlementKind) -> Settlement {
        Settlement { id, kind, status: None, bytes: 0, error: None, elapsed: Duration::ZERO, host_delay: None }
    }

    fn ids(settlements: &[Settlement]) -> Vec<i64> {
        settlements.iter().map(|one| one.id).collect()
    }

    #[tokio::test]
    async fn a_url_is_settled_only_when_its_line_is_written() {
        let mut leases = Leases::default();
        assert!((1..=3).all(|id| leases.claim(id)));
        leases.ended(settlement(1, SettlementKind::Done));
        let (write, written) = oneshot::channel();
        leases.handed_over(written);
        leases.ended(settlement(2, SettlementKind::Failed));
        leases.put_back(settlement(3, SettlementKind::Requeue { pause: None }));
        assert_eq!(ids(&leases.take_settlements()), [3]);
        write.send(()).unwrap();
        assert!(leases.written().await);
        let settled = leases.take_settlements();
        assert_eq!(ids(&settled), [1]);
        leases.settled(&settled);
        assert_eq!(leases.len(), 2);
    }

    #[test]
    fn a_lost_lease_keeps_only_finished_pages() {
        let mut leases = Leases::default();
        assert!((1..=4).all(|id| leases.claim(id)));
        leases.ended(settlement(1, SettlementKind::Done));
        let later = SettlementKind::Retry { pause: Duration::ZERO, for_host: false };
        leases.unsettled(vec![settlement(2, SettlementKind::Failed), settlement(3, later)]);
        leases.lost();
        let mut held = leases.held();
        held.sort_unstable();
        assert_eq!((held, ids(&leases.take_settlements())), (vec![1, 2], vec![2]));
        // Claimed again, the first is not fetched again; the third is.
        assert_eq!([1, 3].map(|id| leases.claim(id)), [false, true]);
    }
}
