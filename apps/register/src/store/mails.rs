//! The questions of `outbox`: which mails are due, whose they are, and what became of them.
//!
//! A mail that is being sent is its sender's for a lease: it is claimed, and not due again before
//! the lease is over.

use std::time::Duration;

use uuid::Uuid;

use super::dialect::{Sql, in_transaction, sql, with};
use super::{Store, duration, millis};

/// A mail that is this sender's to send, until its lease is over.
#[derive(Clone, Copy, Debug)]
pub struct Claimed {
    /// The same on each attempt.
    pub id: Uuid,
    /// Names the lease.
    pub claim: Uuid,
    /// Which attempt this is, from 1.
    pub attempt: u32,
}

/// Who gets a mail, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// A link to activate their request. Its token is stored.
    Inactive {
        /// As it was typed.
        address: String,
    },
    /// That they have an account already.
    Active {
        /// As it was typed.
        address: String,
    },
}

/// Chosen once and for all, before anything is changed: a planner that may choose again could claim
/// more. No row is locked when this is done: the claim is what holds it.
const CLAIM: Sql = sql!(
    "WITH due AS MATERIALIZED (
         SELECT id FROM outbox WHERE sent_at IS NULL AND dead_at IS NULL AND due_at <=" NOW
        "ORDER BY due_at LIMIT $3" LOCK_FREE
    ") UPDATE outbox SET claim = $1, due_at =" NOW "+ $2, attempts = attempts + 1
     WHERE id IN (SELECT id FROM due) RETURNING id, attempts"
);

/// Whom it is for, if the lease is not over.
const RECIPIENT: Sql = sql!(
    "SELECT users.address, users.activated_at IS NOT NULL OR outbox.request_id IS NULL
     FROM outbox JOIN users ON users.id = outbox.user_id
     WHERE outbox.id = $1 AND outbox.claim = $2 AND outbox.due_at >" NOW
);
const TOKEN: Sql = sql!(
    "INSERT INTO tokens (digest, request_id, expires_at)
     SELECT $3, request_id," NOW "+ $4 FROM outbox WHERE id = $1 AND claim = $2 AND due_at >" NOW
);

/// Whoever's it is by now: it has been sent.
const SENT: Sql = sql!(
    "UPDATE outbox SET sent_at =" NOW ", message_id = $2, claim = NULL WHERE id = $1 AND sent_at IS NULL"
);
const LATER_ON: Sql = sql!(
    "UPDATE outbox SET due_at =" NOW "+ $3, last_error = $4, claim = NULL WHERE id = $1 AND claim = $2"
);
const GIVE_UP: Sql = sql!(
    "UPDATE outbox SET dead_at =" NOW ", last_error = $3, claim = NULL WHERE id = $1 AND claim = $2"
);
/// As if it had not been claimed.
const HAND_BACK: Sql = sql!(
    "UPDATE outbox SET due_at =" NOW ", attempts = attempts - 1, claim = NULL WHERE id = $1 AND claim = $2"
);

const NEXT: Sql = sql!("SELECT min(due_at) -" NOW "FROM outbox WHERE sent_at IS NULL AND dead_at IS NULL");

impl Store {
    /// Takes up to so many mails that are due, the longest due first. They are nobody else's until
    /// the lease is over.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn claim(&self, count: usize, lease: Duration) -> anyhow::Result<Vec<Claimed>> {
        let (claim, count) = (Uuid::now_v7(), i64::try_from(count)?);
        let rows: Vec<(Uuid, i64)> = with!(self, sql, pool => {
            sqlx::query_as(sql(CLAIM)).bind(claim).bind(millis(lease)).bind(count).fetch_all(pool).await?
        });
        let claimed = |(id, attempts)| Claimed { id, claim, attempt: u32::try_from(attempts).unwrap_or(u32::MAX) };
        Ok(rows.into_iter().map(claimed).collect())
    }

    /// Whom a mail is for. If it is to hold a token, this is the moment from which that is good,
    /// and for how long; only its digest is stored. None if the lease is over.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn address(
        &self,
        mail: Claimed,
        token: &[u8; 32],
        lifetime: Duration,
    ) -> anyhow::Result<Option<Recipient>> {
        Ok(in_transaction!(self, sql, transaction => {
            let found = sqlx::query_as(sql(RECIPIENT)).bind(mail.id).bind(mail.claim);
            let found: Option<(String, bool)> = found.fetch_optional(&mut *transaction).await?;
            match found {
                None => None,
                Some((address, true)) => Some(Recipient::Active { address }),
                Some((address, false)) => {
                    let stored = sqlx::query(sql(TOKEN)).bind(mail.id).bind(mail.claim).bind(token.as_slice());
                    let stored = stored.bind(millis(lifetime)).execute(&mut *transaction).await?;
                    (stored.rows_affected() == 1).then_some(Recipient::Inactive { address })
                }
            }
        }))
    }

    /// It has been sent, under this id of SES's.
    ///
    /// # Errors
    ///
    /// If the database fails. It will be sent again then.
    pub async fn sent(&self, mail: Claimed, message_id: &str) -> anyhow::Result<()> {
        with!(self, sql, pool => sqlx::query(sql(SENT)).bind(mail.id).bind(message_id).execute(pool).await?.rows_affected());
        Ok(())
    }

    /// It is due again after this time, because of a failure of this class.
    ///
    /// # Errors
    ///
    /// If the database fails. It is due when the lease is over then.
    pub async fn later(&self, mail: Claimed, after: Duration, class: &str) -> anyhow::Result<()> {
        with!(self, sql, pool => {
            let later = sqlx::query(sql(LATER_ON)).bind(mail.id).bind(mail.claim);
            later.bind(millis(after)).bind(class).execute(pool).await?.rows_affected()
        });
        Ok(())
    }

    /// It is given up, for this reason: nobody tries it again unless somebody
    /// [asks](Self::send_again).
    ///
    /// # Errors
    ///
    /// If the database fails. It is tried again then.
    pub async fn give_up(&self, mail: Claimed, reason: &str) -> anyhow::Result<()> {
        with!(self, sql, pool => {
            sqlx::query(sql(GIVE_UP)).bind(mail.id).bind(mail.claim).bind(reason).execute(pool).await?.rows_affected()
        });
        Ok(())
    }

    /// It is due now, for whoever takes it.
    ///
    /// # Errors
    ///
    /// If the database fails. It is due when the lease is over then.
    pub async fn hand_back(&self, mail: Claimed) -> anyhow::Result<()> {
        with!(self, sql, pool => {
            sqlx::query(sql(HAND_BACK)).bind(mail.id).bind(mail.claim).execute(pool).await?.rows_affected()
        });
        Ok(())
    }

    /// In what time the next mail is due, also one whose lease may run out. None if there is none.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn next_due(&self) -> anyhow::Result<Option<Duration>> {
        let next: Option<i64> =
            with!(readers of self, sql, pool => sqlx::query_scalar(sql(NEXT)).fetch_one(pool).await?);
        Ok(next.map(duration))
    }
}
