//! Queue of outgoing mails: claims due mails under a lease, and records their outcome.
//!
//! A claimed mail is not due again before its lease ends.

use std::time::Duration;

use uuid::Uuid;

use super::dialect::{Sql, in_transaction, sql, with};
use super::{Store, duration, millis};

/// A mail claimed by this sender until the lease ends.
#[derive(Clone, Copy, Debug)]
pub struct Claimed {
    /// Id of the mail, the same on each attempt.
    pub id: Uuid,
    /// Id of the lease.
    pub claim: Uuid,
    /// Number of the attempt, from 1.
    pub attempt: u32,
}

/// Recipient of a mail; the variant selects the mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// Recipient of an activation link, whose token is stored.
    Inactive {
        /// Address as typed.
        address: String,
    },
    /// Recipient who has an account, and gets a notice of it.
    Active {
        /// Address as typed.
        address: String,
    },
}

/// Claims due mails. The selection is materialized, because a planner that evaluates it again could
/// claim more. No row lock outlives the statement: the claim protects the mail.
const CLAIM: Sql = sql!(
    "WITH due AS MATERIALIZED (
         SELECT id FROM outbox WHERE sent_at IS NULL AND dead_at IS NULL AND due_at <=" NOW
        "ORDER BY due_at LIMIT $3" LOCK_FREE
    ") UPDATE outbox SET claim = $1, due_at =" NOW "+ $2, attempts = attempts + 1
     WHERE id IN (SELECT id FROM due) RETURNING id, attempts"
);

/// Recipient of a mail whose lease has not ended.
const RECIPIENT: Sql = sql!(
    "SELECT users.address, users.activated_at IS NOT NULL OR outbox.request_id IS NULL
     FROM outbox JOIN users ON users.id = outbox.user_id
     WHERE outbox.id = $1 AND outbox.claim = $2 AND outbox.due_at >" NOW
);
const TOKEN: Sql = sql!(
    "INSERT INTO tokens (digest, request_id, expires_at)
     SELECT $3, request_id," NOW "+ $4 FROM outbox WHERE id = $1 AND claim = $2 AND due_at >" NOW
);

/// Marks a mail as sent, whichever sender holds the claim by now.
const SENT: Sql = sql!(
    "UPDATE outbox SET sent_at =" NOW ", message_id = $2, claim = NULL WHERE id = $1 AND sent_at IS NULL"
);
const RETRY_LATER: Sql = sql!(
    "UPDATE outbox SET due_at =" NOW "+ $3, last_error = $4, claim = NULL WHERE id = $1 AND claim = $2"
);
const GIVE_UP: Sql = sql!(
    "UPDATE outbox SET dead_at =" NOW ", last_error = $3, claim = NULL WHERE id = $1 AND claim = $2"
);
/// Undoes a claim, and does not count the attempt.
const HAND_BACK: Sql = sql!(
    "UPDATE outbox SET due_at =" NOW ", attempts = attempts - 1, claim = NULL WHERE id = $1 AND claim = $2"
);

const NEXT: Sql = sql!("SELECT min(due_at) -" NOW "FROM outbox WHERE sent_at IS NULL AND dead_at IS NULL");

impl Store {
    /// Claims up to `count` due mails, the longest due first, until the lease ends.
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

    /// Returns the recipient of a mail, or None if the lease has ended. Stores the digest of the
    /// token of an activation mail, which is valid for `lifetime` from now.
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

    /// Records that a mail was sent, with the message id of SES.
    ///
    /// # Errors
    ///
    /// If the database fails. The mail is sent again then.
    pub async fn sent(&self, mail: Claimed, message_id: &str) -> anyhow::Result<()> {
        with!(self, sql, pool => sqlx::query(sql(SENT)).bind(mail.id).bind(message_id).execute(pool).await?.rows_affected());
        Ok(())
    }

    /// Makes a mail due again after this time, because of a failure of this class.
    ///
    /// # Errors
    ///
    /// If the database fails. The mail is due when the lease ends then.
    pub async fn later(&self, mail: Claimed, after: Duration, class: &str) -> anyhow::Result<()> {
        with!(self, sql, pool => {
            let later = sqlx::query(sql(RETRY_LATER)).bind(mail.id).bind(mail.claim);
            later.bind(millis(after)).bind(class).execute(pool).await?.rows_affected()
        });
        Ok(())
    }

    /// Turns a mail into a dead letter with this reason. It stays unsent until an operator calls
    /// [`send_again`](Self::send_again).
    ///
    /// # Errors
    ///
    /// If the database fails. The mail is retried then.
    pub async fn give_up(&self, mail: Claimed, reason: &str) -> anyhow::Result<()> {
        with!(self, sql, pool => {
            sqlx::query(sql(GIVE_UP)).bind(mail.id).bind(mail.claim).bind(reason).execute(pool).await?.rows_affected()
        });
        Ok(())
    }

    /// Releases a claim: the mail is due now, and the attempt does not count.
    ///
    /// # Errors
    ///
    /// If the database fails. The mail is due when the lease ends then.
    pub async fn hand_back(&self, mail: Claimed) -> anyhow::Result<()> {
        with!(self, sql, pool => {
            sqlx::query(sql(HAND_BACK)).bind(mail.id).bind(mail.claim).execute(pool).await?.rows_affected()
        });
        Ok(())
    }

    /// Time until the next mail is due, leased mails included. None if no mail is pending.
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
