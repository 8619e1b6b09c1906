//! Queue client of a frontier worker: claims, renews and settles leases over one connection, which
//! it opens again when it is lost.

use std::hash::{BuildHasher as _, RandomState};

use tokio::time::Instant;

use crate::frontier::database::Database;
use crate::frontier::store::{ClaimTerms, ClaimedUrl, FrontierStore, QueueState, Settlement};

/// Connection of a worker to the frontier, with the worker's identity there.
pub(super) struct QueueClient {
    database: Database,
    /// `None` after the connection was lost.
    store: Option<FrontierStore>,
    /// Name in `frontier status`.
    name: String,
    /// Key that identifies this worker across reconnections.
    key: i64,
    terms: ClaimTerms,
    /// Id of the current membership, under which the worker claims. `None` before the first join
    /// and after a failed exchange: the database may then hold leases that this worker does not
    /// know of, and a new join corrects them.
    id: Option<i64>,
}

/// Request of one exchange. Each exchange renews the lease.
pub(super) struct ExchangeRequest {
    pub(super) settled: Vec<Settlement>,
    /// All leases that this worker knows of, `settled` included. Other leases return to the queue.
    pub(super) held: Vec<i64>,
    /// Number of URLs to claim.
    pub(super) room: usize,
}

/// Response to an [`ExchangeRequest`].
pub(super) struct ExchangeResponse {
    pub(super) claimed: Vec<ClaimedUrl>,
    /// State of the queue, if URLs were wanted and none was claimed.
    pub(super) queue: Option<QueueState>,
    pub(super) lease_ends: Instant,
}

impl QueueClient {
    pub(super) fn new(database: Database, store: FrontierStore, terms: ClaimTerms) -> Self {
        let key = RandomState::new().hash_one(name()).cast_signed();
        Self { database, store: Some(store), name: name(), key, terms, id: None }
    }

    /// Joins again before the next exchange, which returns unknown leases to the queue.
    pub(super) fn rejoin(&mut self) {
        self.id = None;
    }

    /// Settles, renews and claims.
    ///
    /// # Errors
    ///
    /// The database failed. It is then unknown which steps took effect: settle everything again.
    /// URLs that were claimed without an answer return to the queue.
    pub(super) async fn exchange(&mut self, request: &ExchangeRequest) -> anyhow::Result<ExchangeResponse> {
        let response = self.try_exchange(request).await;
        if response.is_err() {
            // The rest of an answer on this connection would be read as the next answer.
            self.store = None;
            self.id = None;
        }
        response
    }

    async fn try_exchange(&mut self, request: &ExchangeRequest) -> anyhow::Result<ExchangeResponse> {
        let store = match &mut self.store {
            Some(store) => store,
            None => self.store.insert(FrontierStore::connect(&self.database).await?),
        };
        let id = match self.id {
            Some(id) => id,
            None => *self.id.insert(store.join(&self.name, self.key, self.terms.lease, &request.held).await?),
        };
        if !request.settled.is_empty() {
            store.settle(id, &request.settled).await?;
        }
        // The lease begins later by the database's clock, so it also ends later.
        let lease_ends = Instant::now() + self.terms.lease;
        let claimed = store.claim(id, request.room, self.terms).await?;
        let queue = if claimed.is_empty() && request.room > 0 { Some(store.queue_state().await?) } else { None };
        Ok(ExchangeResponse { claimed, queue, lease_ends })
    }

    /// Settles these pages and leaves. Other leases return to the queue.
    ///
    /// # Errors
    ///
    /// The database failed. The leases return to the queue when they run out.
    pub(super) async fn leave(mut self, settled: &[Settlement]) -> anyhow::Result<()> {
        let mut store = match self.store.take() {
            Some(store) => store,
            None => FrontierStore::connect(&self.database).await?,
        };
        let id = match self.id {
            Some(id) => id,
            None => {
                let held: Vec<_> = settled.iter().map(|settlement| settlement.id).collect();
                store.join(&self.name, self.key, self.terms.lease, &held).await?
            }
        };
        store.settle(id, settled).await?;
        store.leave(id).await?;
        store.close().await;
        Ok(())
    }
}

/// Name of the machine and id of the process.
fn name() -> String {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let machine = machine.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_else(|| "worker".into());
    format!("{}/{}", machine.trim(), std::process::id())
}
