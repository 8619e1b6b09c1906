//! Failed URLs that are to be tried once more.

use super::{Store, answered};

/// How many at once: in the time that takes, their hosts rest.
const BATCH: i32 = 2_000;

/// Which of them are meant.
pub(in crate::frontier) struct Failed {
    /// Origins, or names with or without a port; empty for all.
    pub(in crate::frontier) hosts: Vec<String>,
    /// What they were answered with, 0 for nothing; empty for all.
    pub(in crate::frontier) statuses: Vec<i16>,
    /// Those that failed before, by the database's clock.
    pub(in crate::frontier) before: String,
}

impl Store {
    /// The time by the database's clock.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub(in crate::frontier) async fn now(&mut self) -> anyhow::Result<String> {
        let asking = sqlx::query_scalar("SELECT clock_timestamp()::text");
        answered(asking.fetch_one(&mut self.connection)).await
    }

    /// Queues some of them, as if they were new, and returns how many: none, if others were faster.
    /// None if none is left.
    ///
    /// # Errors
    ///
    /// If the database fails. None of them is queued then, or (if it was the answer that was lost)
    /// all.
    pub(in crate::frontier) async fn retry(&mut self, failed: &Failed) -> anyhow::Result<Option<u64>> {
        let Failed { hosts, statuses, before } = failed;
        let retrying = sqlx::query_scalar::<_, Option<i64>>("SELECT trunkline.retry($1, $2, $3::timestamptz, $4)");
        let retrying = retrying.bind(hosts).bind(statuses).bind(before).bind(BATCH);
        let again = answered(retrying.fetch_one(&mut self.connection)).await?;
        Ok(again.map(u64::try_from).transpose()?)
    }
}
