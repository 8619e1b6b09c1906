//! Tables of the frontier and their queries. An operation of several steps is a function of the
//! database (`schema.sql`), which takes one round trip.

mod add;
mod claim;
mod error;
mod logins;
mod retry;
mod status;

use std::borrow::Cow;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::types::PgInterval;
use sqlx::{Connection as _, PgConnection, SqlSafeStr as _};
use tokio::time::timeout;

use super::database::Database;

pub(super) use self::claim::{ClaimTerms, ClaimedUrl, QueueState, Settlement, SettlementKind};
use self::error::StoreError;
pub(super) use self::error::{Backoff, is_lease_over, is_passing};
pub(super) use self::logins::StoredLogin;
pub(super) use self::retry::FailedUrls;
pub(super) use self::status::FrontierStatus;
#[cfg(test)]
pub(super) use self::status::{HostStatus, WorkerStatus};

/// Time limit of connecting.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// Time limit of a query. A database that vanished from the network would never answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Versions of the tables, the oldest first. A released version never changes; a change adds a new
/// one.
const VERSIONS: [&str; 1] = [include_str!("schema.sql")];

/// Connection to the frontier's database.
pub(super) struct FrontierStore {
    connection: PgConnection,
}

impl FrontierStore {
    /// Connects, without a check of the tables.
    ///
    /// # Errors
    ///
    /// The connection failed. The message does not contain the password.
    pub(super) async fn connect(database: &Database) -> anyhow::Result<Self> {
        let connection = match timeout(CONNECT_WITHIN, PgConnection::connect_with(database.options())).await {
            Ok(connected) => connected.map_err(|error| StoreError::connecting(error, database)),
            Err(_) => Err(StoreError::silence(CONNECT_WITHIN)),
        };
        Ok(Self { connection: connection.with_context(|| format!("cannot open the frontier in {database}"))? })
    }

    /// Connects, and creates the tables if they do not exist. Concurrent calls wait for each other.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect); the tables have a newer version, or cannot be created.
    pub(super) async fn open(database: &Database) -> anyhow::Result<Self> {
        Self::opened(database, true).await
    }

    /// Connects to a frontier that has its tables.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), or there are no tables.
    pub(super) async fn open_existing(database: &Database) -> anyhow::Result<Self> {
        Self::opened(database, false).await
    }

    async fn opened(database: &Database, create: bool) -> anyhow::Result<Self> {
        let mut store = Self::connect(database).await?;
        let prepared = store.prepare(create).await;
        prepared.with_context(|| format!("cannot use the frontier in {database}"))?;
        Ok(store)
    }

    async fn prepare(&mut self, create: bool) -> anyhow::Result<()> {
        match self.version().await? {
            None if !create => Err(anyhow!("there is none yet: `trunkline frontier add` creates it")),
            // Existing tables need no privilege to create any.
            Some(version) if version == i64::try_from(VERSIONS.len())? => Ok(()),
            _ => self.create_tables().await,
        }
    }

    async fn create_tables(&mut self) -> anyhow::Result<()> {
        let migrations = (1..).zip(VERSIONS).map(|(version, sql)| {
            Migration::new(version, Cow::Borrowed("frontier"), MigrationType::Simple, sql.into_sql_str(), false)
        });
        let mut migrator = Migrator::with_migrations(migrations.collect());
        // The privilege to create tables does not include the one to create a schema.
        if !self.query_bool("SELECT to_regnamespace('trunkline') IS NOT NULL").await? {
            migrator.create_schema("trunkline");
        }
        migrator.dangerous_set_table_name("trunkline.versions");
        match timeout(ANSWER_WITHIN, migrator.run_direct(None, &mut self.connection, false)).await {
            Err(_) => Err(anyhow!("the tables could not be created within {ANSWER_WITHIN:?}")),
            Ok(Err(MigrateError::VersionMissing(_))) => {
                Err(anyhow!("its tables are those of a newer trunkline: use that one"))
            }
            Ok(Err(MigrateError::VersionMismatch(_))) => {
                Err(anyhow!("its schema \"trunkline\" has other tables: use another database"))
            }
            Ok(Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _))) => {
                Err(StoreError::from(error)).context("the tables could not be created")
            }
            Ok(made) => made.context("the tables could not be created"),
        }
    }

    /// Version of the tables; `None` if there are none.
    async fn version(&mut self) -> anyhow::Result<Option<i64>> {
        if !self.query_bool("SELECT to_regclass('trunkline.versions') IS NOT NULL").await? {
            return Ok(None);
        }
        let version = "SELECT max(version) FROM trunkline.versions WHERE success";
        answered(sqlx::query_scalar(version).fetch_one(&mut self.connection)).await
    }

    async fn query_bool(&mut self, query: &'static str) -> anyhow::Result<bool> {
        answered(sqlx::query_scalar(query).fetch_one(&mut self.connection)).await
    }

    /// Closes the connection, within a second.
    pub(super) async fn close(self) {
        // A server that does not answer notices the closed socket later.
        let _ = timeout(Duration::from_secs(1), self.connection.close()).await;
    }
}

/// Waits for the answer to a query, with a time limit.
async fn answered<T>(query: impl Future<Output = sqlx::Result<T>>) -> anyhow::Result<T> {
    match timeout(ANSWER_WITHIN, query).await {
        Ok(answer) => Ok(answer.map_err(StoreError::from)?),
        Err(_) => Err(StoreError::silence(ANSWER_WITHIN).into()),
    }
}

fn interval(time: Duration) -> PgInterval {
    let microseconds = time.as_micros().try_into().unwrap_or(i64::MAX);
    PgInterval { months: 0, days: 0, microseconds }
}

fn millis(time: Duration) -> i64 {
    time.as_millis().try_into().unwrap_or(i64::MAX)
}
