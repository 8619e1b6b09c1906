//! Account queries: register, resend, activate. Each is one transaction.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::dialect::{Sql, in_transaction, sql};
use super::{Store, duration, millis};
use crate::settings::Limit;

/// Registration to be stored.
#[derive(Debug)]
pub struct Registration<'a> {
    /// Address as typed.
    pub typed: &'a str,
    /// Normalized address, unique per account.
    pub key: &'a str,
    /// Hash of the password.
    pub password_hash: &'a str,
}

/// Limits on mails to one address.
#[derive(Clone, Copy, Debug)]
pub struct SignUpLimits {
    /// Minimum time between two mails.
    pub mail_interval: Duration,
    /// Maximum number of mails.
    pub address_limit: Limit,
}

/// The address has reached its limit.
#[derive(Clone, Copy, Debug)]
pub struct TooOften {
    /// Time until another mail is allowed.
    pub retry_after: Duration,
}

/// Result of an activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activated {
    /// The account is active from now on.
    Now,
    /// The token has expired, or the account was active already.
    Over,
    /// The token is unknown.
    Never,
}

/// Takes one from the allowance of an address, unless it is used up. By the generic cell rate
/// algorithm, one time per address is enough: the time at which the allowance is full again. Each
/// use moves it one step later, up to one period ahead.
const TAKE: Sql = sql!(
    "INSERT INTO limits (key_digest, full_at) VALUES ($1," NOW "+ $2)
     ON CONFLICT (key_digest) DO UPDATE SET full_at =" LATER "(limits.full_at," NOW ") + $2
     WHERE" LATER "(limits.full_at," NOW ") + $2 <=" NOW "+ $3
     RETURNING 0"
);
const WAIT: Sql = sql!("SELECT full_at + $2 - $3 -" NOW "FROM limits WHERE key_digest = $1");

/// Finds or creates the user, and plans the next mail. The row stays locked until the end of the
/// transaction.
const USER: Sql = sql!(
    "INSERT INTO users (id, address, address_key, created_at, next_mail_at) VALUES ($1, $2, $3," NOW "," NOW "+ $4)
     ON CONFLICT (address_key) DO UPDATE SET next_mail_at =" LATER "(users.next_mail_at," NOW ") + $4
     RETURNING id, activated_at IS NOT NULL, next_mail_at - $4"
);
/// An active user gets no new request.
const REQUEST: Sql = sql!(
    "INSERT INTO requests (id, user_id, password_hash, created_at)
     SELECT $1, id, $3," NOW "FROM users WHERE id = $2 AND activated_at IS NULL"
);
const MAIL: Sql = sql!(
    "INSERT INTO outbox (id, user_id, request_id, created_at, due_at) VALUES ($1, $2, $3," NOW ", $4)"
);
/// Postgres delivers the notification at the commit.
pub(super) const NOTIFY_COPIES: Sql =
    Sql { sqlite: "SELECT ''", postgres: "SELECT CAST(pg_notify('register_outbox', '') AS text)" };

const LATEST: Sql = sql!(
    "SELECT id, activated_at IS NOT NULL,
            (SELECT id FROM requests WHERE user_id = users.id ORDER BY created_at DESC, id DESC LIMIT 1)
     FROM users WHERE address_key = $1" LOCK_USER
);
/// Queues a mail unless the same mail is already pending.
const ANOTHER_MAIL: Sql = sql!(
    "INSERT INTO outbox (id, user_id, request_id, created_at, due_at)
     SELECT $1, id, $3," NOW "," LATER "(next_mail_at," NOW ") FROM users
     WHERE id = $2 AND ($3 IS NOT NULL OR activated_at IS NOT NULL) AND NOT EXISTS (
         SELECT 1 FROM outbox WHERE user_id = $2 AND request_id IS NOT DISTINCT FROM $3
         AND sent_at IS NULL AND dead_at IS NULL
     )"
);
const PLAN: Sql = sql!("UPDATE users SET next_mail_at =" LATER "(next_mail_at," NOW ") + $2 WHERE id = $1");

const REDEEM: Sql = sql!(
    "SELECT users.id, requests.id, users.activated_at IS NOT NULL OR tokens.expires_at <=" NOW
    "FROM tokens JOIN requests ON requests.id = tokens.request_id JOIN users ON users.id = requests.user_id
     WHERE tokens.digest = $1" LOCK_USER
);
const ACTIVATE: Sql = sql!(
    "UPDATE users SET activated_at =" NOW ", password_hash = (SELECT password_hash FROM requests WHERE id = $2)
     WHERE id = $1"
);
/// Erases the hashes of all requests of the user: the account has the activated one.
const FORGET: Sql = sql!("UPDATE requests SET password_hash = NULL WHERE user_id = $1");

/// Takes one from the allowance; `Some` if it is used up. Stores only a digest of the address,
/// which may never register.
macro_rules! take {
    ($sql:ident, $transaction:ident, $key:expr, $limit:expr) => {
        match $limit {
            Limit::Off => None,
            Limit::Per(count, time) => {
                let key = Sha256::digest($key).to_vec();
                let (period, step) = (millis(time), millis(time / count));
                let taken = sqlx::query($sql(TAKE)).bind(&key).bind(step).bind(period);
                if taken.fetch_optional(&mut *$transaction).await?.is_some() {
                    None
                } else {
                    let wait = sqlx::query_scalar($sql(WAIT)).bind(&key).bind(step).bind(period);
                    let wait: i64 = wait.fetch_one(&mut *$transaction).await?;
                    Some(TooOften { retry_after: duration(wait.max(1)) })
                }
            }
        }
    };
}

impl Store {
    /// Stores a registration and its mail. Known and unknown addresses take the same statements.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn register(
        &self,
        new: &Registration<'_>,
        limits: &SignUpLimits,
    ) -> anyhow::Result<Result<(), TooOften>> {
        let (request, mail) = (Uuid::now_v7(), Uuid::now_v7());
        let too_often = in_transaction!(self, sql, transaction => {
            let too_often = take!(sql, transaction, new.key, limits.address_limit);
            if too_often.is_none() {
                let user = sqlx::query_as(sql(USER)).bind(Uuid::now_v7()).bind(new.typed).bind(new.key);
                let user = user.bind(millis(limits.mail_interval)).fetch_one(&mut *transaction);
                let (user, active, due_at): (Uuid, bool, i64) = user.await?;
                let requested = sqlx::query(sql(REQUEST)).bind(request).bind(user).bind(new.password_hash);
                requested.execute(&mut *transaction).await?;
                let written = sqlx::query(sql(MAIL)).bind(mail).bind(user).bind((!active).then_some(request));
                written.bind(due_at).execute(&mut *transaction).await?;
                sqlx::query(sql(NOTIFY_COPIES)).fetch_one(&mut *transaction).await?;
            }
            too_often
        });
        Ok(self.rung(too_often))
    }

    /// Stores another mail for the latest request of this address, or, for an active account, the
    /// notice that it exists. For an unknown address the same statements change nothing.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn resend(&self, key: &str, limits: &SignUpLimits) -> anyhow::Result<Result<(), TooOften>> {
        let too_often = in_transaction!(self, sql, transaction => {
            let too_often = take!(sql, transaction, key, limits.address_limit);
            if too_often.is_none() {
                let found = sqlx::query_as(sql(LATEST)).bind(key).fetch_optional(&mut *transaction).await?;
                let (user, active, latest): (Uuid, bool, Option<Uuid>) = found.unwrap_or_default();
                let request = latest.filter(|_| !active);
                let written = sqlx::query(sql(ANOTHER_MAIL)).bind(Uuid::now_v7()).bind(user).bind(request);
                let written = written.execute(&mut *transaction).await?.rows_affected();
                let interval = millis(limits.mail_interval) * i64::from(written > 0);
                sqlx::query(sql(PLAN)).bind(user).bind(interval).execute(&mut *transaction).await?;
                sqlx::query(sql(NOTIFY_COPIES)).fetch_one(&mut *transaction).await?;
            }
            too_often
        });
        Ok(self.rung(too_often))
    }

    /// Activates the request of the token with this digest, and ends all other requests of the
    /// user.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn activate(&self, digest: &[u8; 32]) -> anyhow::Result<Activated> {
        Ok(in_transaction!(self, sql, transaction => {
            let redeemed = sqlx::query_as(sql(REDEEM)).bind(digest.as_slice()).fetch_optional(&mut *transaction);
            let redeemed: Option<(Uuid, Uuid, bool)> = redeemed.await?;
            match redeemed {
                None => Activated::Never,
                Some((_, _, true)) => Activated::Over,
                Some((user, request, false)) => {
                    sqlx::query(sql(ACTIVATE)).bind(user).bind(request).execute(&mut *transaction).await?;
                    sqlx::query(sql(FORGET)).bind(user).execute(&mut *transaction).await?;
                    Activated::Now
                }
            }
        }))
    }

    fn rung(&self, too_often: Option<TooOften>) -> Result<(), TooOften> {
        match too_often {
            Some(too_often) => Err(too_often),
            None => {
                self.wake_local();
                Ok(())
            }
        }
    }
}
