//! The frontier's tables, and what is asked of them. What has several steps is a function of the database (`schema.sql`): one trip for each.

mod add;
mod claim;
mod logins;
mod status;
mod trouble;

use std::borrow::Cow;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::types::PgInterval;
use sqlx::{Connection as _, PgConnection, SqlSafeStr as _};
use tokio::time::timeout;

use super::address::Address;

pub(super) use self::claim::{Claimed, Outcome, Rest, Settlement, Terms, is_lease_over};
pub(super) use self::logins::LoginTurn;
pub(super) use self::status::Status;
#[cfg(test)]
pub(super) use self::status::{HostFigures, WorkerFigures};
pub(super) use self::trouble::{Backoff, is_passing};

/// How long to wait for a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// How long the database may take to answer. One that has vanished from the network would never do.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The versions of the tables, the oldest first. What was released is not changed any more: another version is added.
const VERSIONS: [&str; 1] = [include_str!("schema.sql")];

/// A connection to the frontier.
pub(super) struct Store {
    connection: PgConnection,
}

impl Store {
    /// Connects. For those who know that the tables are there.
    ///
    /// # Errors
    ///
    /// There is no answer, or not the one that was hoped for. The password is not told.
    pub(super) async fn connect(address: &Address) -> anyhow::Result<Self> {
        let connecting = timeout(CONNECT_WITHIN, PgConnection::connect_with(address.options()));
        let connected = connecting.await.map_err(|_| anyhow!("no answer within {CONNECT_WITHIN:?}"));
        let connection = connected.and_then(|connected| Ok(connected?));
        Ok(Self { connection: connection.with_context(|| format!("cannot open the frontier in {address}"))? })
    }

    /// Connects, and makes the tables if need be. Who comes at the same time waits.
    ///
    /// # Errors
    ///
    /// As above, and if the tables are of a newer version, or cannot be made.
    pub(super) async fn open(address: &Address) -> anyhow::Result<Self> {
        let mut store = Self::connect(address).await?;
        let made = store.make_tables().await;
        made.with_context(|| format!("cannot use the frontier in {address}"))?;
        Ok(store)
    }

    async fn make_tables(&mut self) -> anyhow::Result<()> {
        // Who may only read and write may still work, once the tables are there.
        if self.version().await? == Some(VERSIONS.len().try_into()?) {
            return Ok(());
        }
        let migrations = (1..).zip(VERSIONS).map(|(version, sql)| {
            Migration::new(version, Cow::Borrowed("frontier"), MigrationType::Simple, sql.into_sql_str(), false)
        });
        let mut migrator = Migrator::with_migrations(migrations.collect());
        migrator.create_schema("trunkline");
        migrator.dangerous_set_table_name("trunkline.versions");
        match timeout(ANSWER_WITHIN, migrator.run_direct(None, &mut self.connection, false)).await {
            Err(_) => Err(anyhow!("the tables could not be made within {ANSWER_WITHIN:?}")),
            Ok(Err(MigrateError::VersionMissing(_))) => {
                Err(anyhow!("its tables are those of a newer trunkline: use that one"))
            }
            Ok(Err(MigrateError::VersionMismatch(_))) => {
                Err(anyhow!("its schema \"trunkline\" has other tables: use another database"))
            }
            Ok(made) => made.context("the tables could not be made"),
        }
    }

    /// None if there are no tables.
    async fn version(&mut self) -> anyhow::Result<Option<i64>> {
        let there = "SELECT to_regclass('trunkline.versions') IS NOT NULL";
        if !answered(sqlx::query_scalar::<_, bool>(there).fetch_one(&mut self.connection)).await? {
            return Ok(None);
        }
        let version = "SELECT max(version) FROM trunkline.versions WHERE success";
        answered(sqlx::query_scalar(version).fetch_one(&mut self.connection)).await
    }

    /// Closes the connection, if that is done at once.
    pub(super) async fn close(self) {
        // Who is not heard any more is not missed.
        let _ = timeout(Duration::from_secs(1), self.connection.close()).await;
    }
}

/// What the database answers, if it does.
async fn answered<T>(question: impl Future<Output = sqlx::Result<T>>) -> anyhow::Result<T> {
    match timeout(ANSWER_WITHIN, question).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(anyhow!("the database does not answer")),
    }
}

fn interval(time: Duration) -> PgInterval {
    let microseconds = time.as_micros().try_into().unwrap_or(i64::MAX);
    PgInterval { months: 0, days: 0, microseconds }
}

fn millis(time: Duration) -> i64 {
    time.as_millis().try_into().unwrap_or(i64::MAX)
}
