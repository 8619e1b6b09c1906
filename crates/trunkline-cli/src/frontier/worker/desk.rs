//! The worker's side of the frontier: one exchange at a time, over one connection, made again when
//! it is lost.

use std::hash::{BuildHasher as _, RandomState};

use tokio::time::Instant;

use crate::frontier::address::Address;
use crate::frontier::store::{Claimed, Rest, Settlement, Store, Terms};

/// What a worker deals with the frontier at.
pub(super) struct Desk {
    address: Address,
    /// None when it is lost.
    store: Option<Store>,
    /// What others call this worker.
    name: String,
    /// What the database knows it by.
    key: i64,
    terms: Terms,
    /// Its right to what it has claimed. None before it has come, and when it has to come again: if
    /// what was asked last was not answered, it is not certain that what the database holds for
    /// its own is what it does.
    id: Option<i64>,
}

/// What an exchange is for. The lease is renewed by each.
pub(super) struct Errand {
    pub(super) settled: Vec<Settlement>,
    /// All that is this worker's own, what is settled now included: what it does not know of goes
    /// back.
    pub(super) held: Vec<i64>,
    pub(super) room: usize,
}

pub(super) struct Answer {
    pub(super) claimed: Vec<Claimed>,
    /// If there was room, and nothing to claim.
    pub(super) rest: Option<Rest>,
    /// Until when all that is held is this worker's own.
    pub(super) until: Instant,
}

impl Desk {
    pub(super) fn new(address: Address, store: Store, terms: Terms) -> Self {
        let key = RandomState::new().hash_one(name()).cast_signed();
        Self { address, store: Some(store), name: name(), key, terms, id: None }
    }

    /// Before the next exchange it says what it holds, and the rest goes back.
    pub(super) fn come_again(&mut self) {
        self.id = None;
    }

    /// # Errors
    ///
    /// If the database fails. Which of it was done is not known then: all that was to be settled is
    /// to be settled again, and what was claimed, unheard, goes back.
    pub(super) async fn exchange(&mut self, errand: &Errand) -> anyhow::Result<Answer> {
        let done = self.attempt(errand).await;
        if done.is_err() {
            // What is left of an answer would be taken for the next one.
            self.store = None;
            self.id = None;
        }
        done
    }

    async fn attempt(&mut self, errand: &Errand) -> anyhow::Result<Answer> {
        let store = match &mut self.store {
            Some(store) => store,
            None => self.store.insert(Store::connect(&self.address).await?),
        };
        let id = match self.id {
            Some(id) => id,
            None => *self.id.insert(store.join(&self.name, self.key, self.terms.lease, &errand.held).await?),
        };
        if !errand.settled.is_empty() {
            store.settle(id, &errand.settled).await?;
        }
        // By the database's clock it begins later, so it ends later.
        let until = Instant::now() + self.terms.lease;
        let claimed = store.claim(id, errand.room, self.terms).await?;
        let rest = if claimed.is_empty() && errand.room > 0 { Some(store.rest().await?) } else { None };
        Ok(Answer { claimed, rest, until })
    }

    /// Settles this, and goes; the rest of what was held is queued again.
    ///
    /// # Errors
    ///
    /// If the database fails: the lease runs out by itself.
    pub(super) async fn leave(mut self, settled: &[Settlement]) -> anyhow::Result<()> {
        let mut store = match self.store.take() {
            Some(store) => store,
            None => Store::connect(&self.address).await?,
        };
        let id = match self.id {
            Some(id) => id,
            None => {
                let held: Vec<_> = settled.iter().map(|one| one.id).collect();
                store.join(&self.name, self.key, self.terms.lease, &held).await?
            }
        };
        store.settle(id, settled).await?;
        store.leave(id).await?;
        store.close().await;
        Ok(())
    }
}

/// Machine and process.
fn name() -> String {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let machine = machine.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_else(|| "worker".into());
    format!("{}/{}", machine.trim(), std::process::id())
}
