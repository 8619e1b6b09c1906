//! Retention: removes expired rows, so that tables stay small and unconfirmed addresses are not
//! kept.

use std::time::Duration;

use super::dialect::{Sql, in_transaction, sql};
use super::{Store, millis};

/// Rows removed per transaction. Other writers wait for it on SQLite.
const BATCH: i64 = 10_000;

/// Raises the statement limit: finding expired rows may take long.
const LONG_STATEMENT: Sql = Sql { sqlite: "SELECT ''", postgres: "SET LOCAL statement_timeout = '10min'" };

/// Address limits whose allowance is full again: equal to no row.
const LIMITS: Sql = sql!(
    "WITH over AS MATERIALIZED (SELECT key_digest FROM limits WHERE full_at <=" NOW "LIMIT $1" LOCK_FREE
    ") DELETE FROM limits WHERE key_digest IN (SELECT key_digest FROM over)"
);

/// Deletions in the order of the foreign keys. A locked row stays until the next sweep.
const STEPS: [Sql; 4] = [
    sql!(
        "WITH over AS MATERIALIZED (
             SELECT id FROM outbox WHERE sent_at + $2 <=" NOW "OR dead_at + $2 <=" NOW "LIMIT $1" LOCK_FREE
        ") DELETE FROM outbox WHERE id IN (SELECT id FROM over)"
    ),
    sql!(
        "WITH over AS MATERIALIZED (SELECT digest FROM tokens WHERE expires_at + $2 <=" NOW "LIMIT $1" LOCK_FREE
        ") DELETE FROM tokens WHERE digest IN (SELECT digest FROM over)"
    ),
    sql!(
        "WITH over AS MATERIALIZED (
             SELECT id FROM requests WHERE created_at + $2 <=" NOW
            "AND NOT EXISTS (SELECT 1 FROM tokens WHERE request_id = requests.id)
             AND NOT EXISTS (SELECT 1 FROM outbox WHERE request_id = requests.id) LIMIT $1" LOCK_FREE
        ") DELETE FROM requests WHERE id IN (SELECT id FROM over)"
    ),
    sql!(
        "WITH over AS MATERIALIZED (
             SELECT id FROM users WHERE activated_at IS NULL AND created_at + $2 <=" NOW "AND next_mail_at + $2 <=" NOW
            "AND NOT EXISTS (SELECT 1 FROM requests WHERE user_id = users.id)
             AND NOT EXISTS (SELECT 1 FROM outbox WHERE user_id = users.id) LIMIT $1" LOCK_FREE
        ") DELETE FROM users WHERE id IN (SELECT id FROM over)"
    ),
];

impl Store {
    /// Removes sent mails, dead letters, expired links and unconfirmed registrations `keep` after
    /// their end. Returns the number of rows removed.
    ///
    /// # Errors
    ///
    /// If the database fails. Rows removed before the failure stay removed.
    pub async fn sweep(&self, keep: Duration) -> anyhow::Result<u64> {
        let mut removed = self.remove(LIMITS, None).await?;
        for step in STEPS {
            removed += self.remove(step, Some(keep)).await?;
        }
        Ok(removed)
    }

    async fn remove(&self, over: Sql, keep: Option<Duration>) -> anyhow::Result<u64> {
        let mut removed = 0;
        loop {
            let batch = in_transaction!(self, sql, transaction => {
                sqlx::query(sql(LONG_STATEMENT)).execute(&mut *transaction).await?;
                let mut batch = sqlx::query(sql(over)).bind(BATCH);
                if let Some(keep) = keep {
                    batch = batch.bind(millis(keep));
                }
                batch.execute(&mut *transaction).await?.rows_affected()
            });
            removed += batch;
            if batch < BATCH.unsigned_abs() {
                return Ok(removed);
            }
        }
    }
}
