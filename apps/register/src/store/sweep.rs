//! Removes what is over: so that the tables do not grow for ever, and nobody's address is kept who
//! never wanted an account.

use std::time::Duration;

use super::dialect::{Sql, in_transaction, sql};
use super::{Store, millis};

/// How many rows are removed at once: on SQLite, whoever writes waits meanwhile.
const BATCH: i64 = 10_000;

/// To find them may take longer than other statements may.
const PATIENTLY: Sql = Sql { sqlite: "SELECT ''", postgres: "SET LOCAL statement_timeout = '10min'" };

/// The allowance is whole: as if there had been nothing.
const LIMITS: Sql = sql!(
    "WITH over AS MATERIALIZED (SELECT key_digest FROM limits WHERE full_at <=" NOW "LIMIT $1" LOCK_FREE
    ") DELETE FROM limits WHERE key_digest IN (SELECT key_digest FROM over)"
);

/// In this order, because each stands on those after it. A row that somebody has locked stays; one
/// that is needed again is held by its foreign keys, or has changed.
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
    /// Removes mails that were sent or given up, links that have expired, and registrations that
    /// nobody activated, that long after. Returns how many rows there were.
    ///
    /// # Errors
    ///
    /// If the database fails. What was removed by then is gone.
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
                sqlx::query(sql(PATIENTLY)).execute(&mut *transaction).await?;
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
