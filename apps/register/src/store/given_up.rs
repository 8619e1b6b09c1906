//! The questions of operators: which mails were given up, and that they are to be sent after all.

use std::time::SystemTime;

use serde::Serialize;
use uuid::Uuid;

use super::accounts::RING;
use super::dialect::{Sql, in_transaction, sql, with};
use super::{Store, duration};

/// A mail that SES refused, and that nobody tries again.
#[derive(Clone, Debug)]
pub struct GivenUp {
    /// The same on each attempt.
    pub id: Uuid,
    /// To whom, as it was typed.
    pub address: String,
    /// When it was given up, by the database's clock: tells this time from another.
    pub at: i64,
    /// Why, in one line.
    pub reason: String,
}

/// Mails that are not sent, of all copies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Backlog {
    /// They wait to be sent, or are being sent.
    pub pending: i64,
    /// They were given up.
    pub given_up: i64,
    /// When the last of these was.
    pub given_up_at: Option<i64>,
}

const BACKLOG: Sql = sql!(
    "SELECT (SELECT count(*) FROM outbox WHERE sent_at IS NULL AND dead_at IS NULL), count(*), max(dead_at)
     FROM outbox WHERE dead_at IS NOT NULL"
);
const GIVEN_UP: Sql = sql!(
    "SELECT outbox.id, users.address, outbox.dead_at, coalesce(outbox.last_error, '')
     FROM outbox JOIN users ON users.id = outbox.user_id
     WHERE outbox.dead_at IS NOT NULL ORDER BY outbox.dead_at DESC, outbox.id DESC LIMIT $1"
);

/// As if it had never been tried. Given up another time, it is not meant.
const ONE: Sql = sql!("UPDATE outbox SET dead_at = NULL, attempts = 0, due_at =" NOW "WHERE id = $1 AND dead_at = $2");
/// What is given up later, nobody has seen yet.
const ALL: Sql = sql!("UPDATE outbox SET dead_at = NULL, attempts = 0, due_at =" NOW "WHERE dead_at <= $1");

impl GivenUp {
    /// When it was given up.
    pub fn time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + duration(self.at)
    }
}

impl Store {
    /// How many mails are not sent.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn backlog(&self) -> anyhow::Result<Backlog> {
        let (pending, given_up, given_up_at) =
            with!(readers of self, sql, pool => sqlx::query_as(sql(BACKLOG)).fetch_one(pool).await?);
        Ok(Backlog { pending, given_up, given_up_at })
    }

    /// Mails that were given up, up to so many, the last first.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn given_up(&self, count: usize) -> anyhow::Result<Vec<GivenUp>> {
        let count = i64::try_from(count)?;
        let rows: Vec<(Uuid, String, i64, String)> = with!(readers of self, sql, pool => {
            sqlx::query_as(sql(GIVEN_UP)).bind(count).fetch_all(pool).await?
        });
        Ok(rows.into_iter().map(|(id, address, at, reason)| GivenUp { id, address, at, reason }).collect())
    }

    /// A mail that was given up at that time is due now. Returns whether it was.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn send_again(&self, id: Uuid, given_up_at: i64) -> anyhow::Result<bool> {
        let revived = in_transaction!(self, sql, transaction => {
            let revived = sqlx::query(sql(ONE)).bind(id).bind(given_up_at).execute(&mut *transaction).await?;
            sqlx::query(sql(RING)).execute(&mut *transaction).await?;
            revived.rows_affected()
        });
        self.ring();
        Ok(revived > 0)
    }

    /// All mails that were given up by that time are due now. Returns how many there were.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn send_all_again(&self, given_up_by: i64) -> anyhow::Result<u64> {
        let revived = in_transaction!(self, sql, transaction => {
            let revived = sqlx::query(sql(ALL)).bind(given_up_by).execute(&mut *transaction).await?;
            sqlx::query(sql(RING)).execute(&mut *transaction).await?;
            revived.rows_affected()
        });
        self.ring();
        Ok(revived)
    }
}
