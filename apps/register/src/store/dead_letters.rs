//! Dead letters: mails that SES refused, and their return to the queue by an operator.

use std::time::SystemTime;

use serde::Serialize;
use uuid::Uuid;

use super::accounts::NOTIFY_COPIES;
use super::dialect::{Sql, in_transaction, sql, with};
use super::{Store, duration};

/// Mail that SES refused. It is not retried.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Id of the mail, the same on each attempt.
    pub id: Uuid,
    /// Recipient, as it was typed.
    pub address: String,
    /// Time of the refusal by the database's clock. Distinguishes two refusals of one mail.
    pub at: i64,
    /// Reason, in one line.
    pub reason: String,
}

/// Unsent mails of all copies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Backlog {
    /// Mails that wait to be sent or are being sent.
    pub pending: i64,
    /// Mails that were given up.
    pub given_up: i64,
    /// Time of the last refusal.
    pub given_up_at: Option<i64>,
}

const BACKLOG: Sql = sql!(
    "SELECT (SELECT count(*) FROM outbox WHERE sent_at IS NULL AND dead_at IS NULL), count(*), max(dead_at)
     FROM outbox WHERE dead_at IS NOT NULL"
);
const DEAD_LETTERS: Sql = sql!(
    "SELECT outbox.id, users.address, outbox.dead_at, coalesce(outbox.last_error, '')
     FROM outbox JOIN users ON users.id = outbox.user_id
     WHERE outbox.dead_at IS NOT NULL ORDER BY outbox.dead_at DESC, outbox.id DESC LIMIT $1"
);

/// Resets a dead letter to a mail without attempts, unless it was refused again since.
const ONE: Sql = sql!("UPDATE outbox SET dead_at = NULL, attempts = 0, due_at =" NOW "WHERE id = $1 AND dead_at = $2");
/// Resets the dead letters that the operator has seen, not those refused later.
const ALL: Sql = sql!("UPDATE outbox SET dead_at = NULL, attempts = 0, due_at =" NOW "WHERE dead_at <= $1");

impl DeadLetter {
    /// Time of the refusal.
    pub fn time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + duration(self.at)
    }
}

impl Store {
    /// Counts the mails that are not sent.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn backlog(&self) -> anyhow::Result<Backlog> {
        let (pending, given_up, given_up_at) =
            with!(readers of self, sql, pool => sqlx::query_as(sql(BACKLOG)).fetch_one(pool).await?);
        Ok(Backlog { pending, given_up, given_up_at })
    }

    /// Returns up to `count` dead letters, the latest first.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn dead_letters(&self, count: usize) -> anyhow::Result<Vec<DeadLetter>> {
        let count = i64::try_from(count)?;
        let rows: Vec<(Uuid, String, i64, String)> = with!(readers of self, sql, pool => {
            sqlx::query_as(sql(DEAD_LETTERS)).bind(count).fetch_all(pool).await?
        });
        Ok(rows.into_iter().map(|(id, address, at, reason)| DeadLetter { id, address, at, reason }).collect())
    }

    /// Makes the dead letter with this time of refusal due now. Returns true if it existed.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn send_again(&self, id: Uuid, given_up_at: i64) -> anyhow::Result<bool> {
        let revived = in_transaction!(self, sql, transaction => {
            let revived = sqlx::query(sql(ONE)).bind(id).bind(given_up_at).execute(&mut *transaction).await?;
            sqlx::query(sql(NOTIFY_COPIES)).execute(&mut *transaction).await?;
            revived.rows_affected()
        });
        self.wake_local();
        Ok(revived > 0)
    }

    /// Makes all dead letters refused up to this time due now. Returns their number.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn send_all_again(&self, given_up_by: i64) -> anyhow::Result<u64> {
        let revived = in_transaction!(self, sql, transaction => {
            let revived = sqlx::query(sql(ALL)).bind(given_up_by).execute(&mut *transaction).await?;
            sqlx::query(sql(NOTIFY_COPIES)).execute(&mut *transaction).await?;
            revived.rows_affected()
        });
        self.wake_local();
        Ok(revived)
    }
}
