//! What a worker has leased, on its way from the claim to the frontier's record.
//!
//! under way → its line is gathered → its line is being written → to be settled → settled

use std::collections::{HashSet, VecDeque};
use std::mem;

use tokio::sync::oneshot;

use crate::frontier::store::{Outcome, Settlement};

/// All that is this worker's own.
#[derive(Default)]
pub(super) struct Leases {
    held: HashSet<i64>,
    /// Their lines are gathered.
    gathered: Vec<Settlement>,
    /// Their lines are being written, in this order.
    writing: VecDeque<(Vec<Settlement>, oneshot::Receiver<()>)>,
    /// Nothing that could be lost hangs on them.
    to_settle: Vec<Settlement>,
}

impl Leases {
    /// Whether it is to be fetched: what was claimed once more while its line is on its way, after
    /// the lease was over, has been.
    pub(super) fn claimed(&mut self, id: i64) -> bool {
        self.held.insert(id)
    }

    /// It has ended, and its line is among those that are handed over next.
    pub(super) fn ended(&mut self, settlement: Settlement) {
        self.gathered.push(settlement);
    }

    /// There is no line of it.
    pub(super) fn put_back(&mut self, settlement: Settlement) {
        self.to_settle.push(settlement);
    }

    /// What was gathered has been handed over.
    pub(super) fn handed_over(&mut self, written: oneshot::Receiver<()>) {
        if !self.gathered.is_empty() {
            self.writing.push_back((mem::take(&mut self.gathered), written));
        }
    }

    /// Waits until the next lines are written; for ever, if none are being written. False if they
    /// never will be.
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
            Ok(()) => self.settle_first(),
            Err(_) => self.writing.clear(),
        }
        written.is_ok()
    }

    /// Everything is written.
    pub(super) fn all_written(&mut self) {
        while !self.writing.is_empty() {
            self.settle_first();
        }
    }

    /// The writer has ended early: of what it has written it may have told already.
    pub(super) fn written_so_far(&mut self) {
        while let Some((_, written)) = self.writing.front_mut()
            && written.try_recv().is_ok()
        {
            self.settle_first();
        }
    }

    fn settle_first(&mut self) {
        let first = self.writing.pop_front();
        self.to_settle.extend(first.into_iter().flat_map(|(settlements, _)| settlements));
    }

    pub(super) fn take_settlements(&mut self) -> Vec<Settlement> {
        mem::take(&mut self.to_settle)
    }

    /// The frontier knows of them.
    pub(super) fn settled(&mut self, settlements: &[Settlement]) {
        for settlement in settlements {
            self.held.remove(&settlement.id);
        }
    }

    /// It may not have heard of them.
    pub(super) fn unsettled(&mut self, settlements: Vec<Settlement>) {
        self.to_settle.extend(settlements);
    }

    /// The lease is over. What has come to its end is still worth telling: perhaps nobody has begun
    /// with it.
    pub(super) fn lost(&mut self) {
        self.to_settle.retain(|one| matches!(one.outcome, Outcome::Done | Outcome::Failed));
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

    fn settlement(id: i64, outcome: Outcome) -> Settlement {
        Settlement { id, outcome, status: None, bytes: 0, error: None, elapsed: Duration::ZERO, host_delay: None }
    }

    fn ids(settlements: &[Settlement]) -> Vec<i64> {
        settlements.iter().map(|one| one.id).collect()
    }

    #[tokio::test]
    async fn a_url_is_settled_only_when_its_line_is_written() {
        let mut leases = Leases::default();
        assert!((1..=3).all(|id| leases.claimed(id)));
        leases.ended(settlement(1, Outcome::Done));
        let (write, written) = oneshot::channel();
        leases.handed_over(written);
        leases.ended(settlement(2, Outcome::Failed));
        leases.put_back(settlement(3, Outcome::Back { pause: None }));
        assert_eq!(ids(&leases.take_settlements()), [3]);
        write.send(()).unwrap();
        assert!(leases.written().await);
        let settled = leases.take_settlements();
        assert_eq!(ids(&settled), [1]);
        leases.settled(&settled);
        assert_eq!(leases.len(), 2);
    }

    #[test]
    fn when_the_lease_is_over_ends_are_told_and_nothing_else_is_held() {
        let mut leases = Leases::default();
        assert!((1..=4).all(|id| leases.claimed(id)));
        leases.ended(settlement(1, Outcome::Done));
        let later = Outcome::Later { pause: Duration::ZERO, of_host: false };
        leases.unsettled(vec![settlement(2, Outcome::Failed), settlement(3, later)]);
        leases.lost();
        let mut held = leases.held();
        held.sort_unstable();
        assert_eq!((held, ids(&leases.take_settlements())), (vec![1, 2], vec![2]));
        // Claimed once more, the first is not fetched once more, and the third is.
        assert_eq!([1, 3].map(|id| leases.claimed(id)), [false, true]);
    }
}
