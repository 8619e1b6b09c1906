//! Queries that queue failed URLs again.

use super::{FrontierStore, answered};

/// URLs of a batch. Their hosts are locked while it is queued.
const BATCH: i32 = 2_000;

/// Filter of failed URLs.
pub(in crate::frontier) struct FailedUrls {
    /// Origins, or names with or without a port; empty for all.
    pub(in crate::frontier) hosts: Vec<String>,
    /// Statuses of the responses, 0 for no response; empty for all.
    pub(in crate::frontier) statuses: Vec<i16>,
    /// Only URLs that failed before this time of the database's clock.
    pub(in crate::frontier) before: String,
}

impl FrontierStore {
    /// Time of the database's clock.
    ///
    /// # Errors
    ///
    /// The database failed.
    pub(in crate::frontier) async fn now(&mut self) -> anyhow::Result<String> {
        let asking = sqlx::query_scalar("SELECT clock_timestamp()::text");
        answered(asking.fetch_one(&mut self.connection)).await
    }

    /// Queues a batch as if the URLs were new. Returns their number, which may be 0 if another
    /// command was faster, or `None` if no URL is left.
    ///
    /// # Errors
    ///
    /// The database failed. Then either no URL was queued or, if only the answer was lost, all.
    pub(in crate::frontier) async fn retry(&mut self, failed: &FailedUrls) -> anyhow::Result<Option<u64>> {
        let FailedUrls { hosts, statuses, before } = failed;
        let retrying = sqlx::query_scalar::<_, Option<i64>>("SELECT trunkline.retry($1, $2, $3::timestamptz, $4)");
        let retrying = retrying.bind(hosts).bind(statuses).bind(before).bind(BATCH);
        let again = answered(retrying.fetch_one(&mut self.connection)).await?;
        Ok(again.map(u64::try_from).transpose()?)
    }
}
