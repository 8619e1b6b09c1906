//! Database access: the same queries for SQLite and Postgres.
//!
//! `accounts.rs` has the queries of [`accounts`](crate::accounts), `mails.rs` those of
//! [`outbox`](crate::outbox), `dead_letters.rs` those of operators; `sweep.rs` removes expired
//! rows. Each statement is written once (`dialect.rs`). No transaction stays open during other
//! waits.

mod accounts;
mod dead_letters;
mod dialect;
mod mails;
mod sweep;

mod error;
mod open;
mod wake_ups;

use std::ops::Add;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use sqlx::{PgPool, Pool};
use tokio::sync::Notify;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

pub use self::accounts::{Activated, Registration, SignUpLimits, TooOften};
pub use self::dead_letters::{Backlog, DeadLetter};
use self::dialect::{sql, with};
use self::error::connection_error;
pub use self::mails::{Claimed, Recipient};
use self::open::Sqlite;
pub use self::wake_ups::WakeUps;
use crate::settings::DatabaseSettings;

/// Time limit of a query. An unreachable database would block for ever. Postgres gets the same
/// limit (`open.rs`).
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// Handle to the database. A clone is a handle to the same.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
    /// Notified when this copy has put a mail into the outbox.
    local_wakeups: Arc<Notify>,
}

#[derive(Clone, Debug)]
enum Database {
    Sqlite(Sqlite),
    Postgres(PgPool),
}

/// Connection counts of the database pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatabaseFigures {
    /// Connections that are open.
    pub size: u32,
    /// Idle connections.
    pub idle: u32,
    /// Maximum number of connections.
    pub limit: u32,
}

impl Store {
    /// Opens the database and migrates its tables.
    ///
    /// # Errors
    ///
    /// The database cannot be reached or used. The error names its location, without the password.
    pub async fn open(settings: &DatabaseSettings) -> anyhow::Result<Self> {
        let place = &settings.place;
        let database = open::open(place, settings.connections).await;
        let database = database.with_context(|| format!("cannot open {place}"))?;
        let migrated = open::migrate(&database).await;
        let store = Self { database, local_wakeups: Arc::default() };
        if let Err(error) = migrated {
            store.close().await;
            return Err(error.context(format!("cannot bring the tables of {place} up to date")));
        }
        Ok(store)
    }

    /// Checks that the database answers within two seconds and that its tables are not older than
    /// this program.
    ///
    /// # Errors
    ///
    /// If the check fails.
    pub async fn ready(&self) -> anyhow::Result<()> {
        let version = sql!("SELECT max(version) FROM _sqlx_migrations WHERE success");
        let asked =
            async { with!(readers of self, sql, pool => sqlx::query_scalar(sql(version)).fetch_one(pool).await) };
        let found: Option<i64> = timeout(Duration::from_secs(2), asked)
            .await
            .context("the database does not answer")?
            .map_err(connection_error)?;
        // A newer copy may have migrated further; this copy works with that version.
        ensure!(found >= open::latest(&self.database), "the tables are those of an older version");
        Ok(())
    }

    /// Closes all connections and waits until they are closed.
    pub async fn close(&self) {
        match &self.database {
            Database::Sqlite(sqlite) => sqlite.close().await,
            Database::Postgres(pool) => pool.close().await,
        }
    }

    /// Returns the connection counts of the database pool.
    pub fn figures(&self) -> DatabaseFigures {
        match &self.database {
            Database::Sqlite(Sqlite { writer, readers }) => figures(writer) + figures(readers),
            Database::Postgres(pool) => figures(pool),
        }
    }
}

/// Runs a query under [`ANSWER_WITHIN`]. A cancelled query has changed everything or nothing.
pub(crate) async fn answered<T>(question: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    timeout(ANSWER_WITHIN, question).await.context("the database does not answer")?
}

/// Returns true if the database was unreachable, so that the operation can be retried.
pub(crate) fn is_away(error: &anyhow::Error) -> bool {
    match error.downcast_ref() {
        Some(sqlx::Error::PoolTimedOut | sqlx::Error::Io(_)) => true,
        // Postgres shuts down or starts, or has cancelled the statement.
        Some(sqlx::Error::Database(said)) => said.code().is_some_and(|code| code.starts_with("57")),
        _ => error.is::<Elapsed>(),
    }
}

fn figures<DB: sqlx::Database>(pool: &Pool<DB>) -> DatabaseFigures {
    let size = pool.size();
    let idle = pool.num_idle().try_into().unwrap_or(size);
    DatabaseFigures { size, idle, limit: pool.options().get_max_connections() }
}

impl Add for DatabaseFigures {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { size: self.size + other.size, idle: self.idle + other.idle, limit: self.limit + other.limit }
    }
}

/// Milliseconds, the database's unit of time.
fn millis(time: Duration) -> i64 {
    time.as_millis().try_into().unwrap_or(i64::MAX / 4)
}

fn duration(millis: i64) -> Duration {
    Duration::from_millis(millis.try_into().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silent_database_is_away_and_a_failing_one_is_not() {
        assert!(is_away(&answered(std::future::pending::<anyhow::Result<()>>()).await.unwrap_err()));
        for (error, away) in [(sqlx::Error::PoolTimedOut, true), (sqlx::Error::RowNotFound, false)] {
            assert_eq!(is_away(&anyhow::Error::new(error).context("asking")), away);
        }
    }
}
