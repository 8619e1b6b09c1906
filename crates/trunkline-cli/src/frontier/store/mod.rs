//! The frontier's tables, and what is asked of them. What has several steps is a function of the
//! database (`schema.sql`): one trip for each.

mod add;
mod claim;
mod logins;
mod retry;
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

pub(super) use self::claim::{Claimed, Outcome, Rest, Settlement, Terms};
pub(super) use self::logins::LoginTurn;
pub(super) use self::retry::Failed;
pub(super) use self::status::Status;
#[cfg(test)]
pub(super) use self::status::{HostFigures, WorkerFigures};
use self::trouble::Trouble;
pub(super) use self::trouble::{Backoff, is_lease_over, is_passing};

/// How long to wait for a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// How long the database may take to answer. One that has vanished from the network would never do.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The versions of the tables, the oldest first. What was released is not changed any more: another
/// version is added.
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
        let connection = match timeout(CONNECT_WITHIN, PgConnection::connect_with(address.options())).await {
            Ok(connected) => connected.map_err(|error| Trouble::connecting(error, address)),
            Err(_) => Err(Trouble::silence(CONNECT_WITHIN)),
        };
        Ok(Self { connection: connection.with_context(|| format!("cannot open the frontier in {address}"))? })
    }

    /// Connects, and makes the tables if need be. Who comes at the same time waits.
    ///
    /// # Errors
    ///
    /// As above, and if the tables are of a newer version, or cannot be made.
    pub(super) async fn open(address: &Address) -> anyhow::Result<Self> {
        Self::opened(address, true).await
    }

    /// The same for those who have no use for an empty one, and need not make one where none was
    /// meant to be.
    ///
    /// # Errors
    ///
    /// As above, and if there are no tables.
    pub(super) async fn open_existing(address: &Address) -> anyhow::Result<Self> {
        Self::opened(address, false).await
    }

    async fn opened(address: &Address, make: bool) -> anyhow::Result<Self> {
        let mut store = Self::connect(address).await?;
        let ready = store.ready(make).await;
        ready.with_context(|| format!("cannot use the frontier in {address}"))?;
        Ok(store)
    }

    async fn ready(&mut self, make: bool) -> anyhow::Result<()> {
        match self.version().await? {
            None if !make => Err(anyhow!("there is none yet: `trunkline frontier add` makes it")),
            // Who may only read and write may still work, once the tables are there.
            Some(version) if version == i64::try_from(VERSIONS.len())? => Ok(()),
            _ => self.make_tables().await,
        }
    }

    async fn make_tables(&mut self) -> anyhow::Result<()> {
        let migrations = (1..).zip(VERSIONS).map(|(version, sql)| {
            Migration::new(version, Cow::Borrowed("frontier"), MigrationType::Simple, sql.into_sql_str(), false)
        });
        let mut migrator = Migrator::with_migrations(migrations.collect());
        // Not everybody who may make tables may make a schema as well.
        if !self.asked("SELECT to_regnamespace('trunkline') IS NOT NULL").await? {
            migrator.create_schema("trunkline");
        }
        migrator.dangerous_set_table_name("trunkline.versions");
        match timeout(ANSWER_WITHIN, migrator.run_direct(None, &mut self.connection, false)).await {
            Err(_) => Err(anyhow!("the tables could not be made within {ANSWER_WITHIN:?}")),
            Ok(Err(MigrateError::VersionMissing(_))) => {
                Err(anyhow!("its tables are those of a newer trunkline: use that one"))
            }
            Ok(Err(MigrateError::VersionMismatch(_))) => {
                Err(anyhow!("its schema \"trunkline\" has other tables: use another database"))
            }
            Ok(Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _))) => {
                Err(Trouble::from(error)).context("the tables could not be made")
            }
            Ok(made) => made.context("the tables could not be made"),
        }
    }

    /// None if there are no tables.
    async fn version(&mut self) -> anyhow::Result<Option<i64>> {
        if !self.asked("SELECT to_regclass('trunkline.versions') IS NOT NULL").await? {
            return Ok(None);
        }
        let version = "SELECT max(version) FROM trunkline.versions WHERE success";
        answered(sqlx::query_scalar(version).fetch_one(&mut self.connection)).await
    }

    async fn asked(&mut self, question: &'static str) -> anyhow::Result<bool> {
        answered(sqlx::query_scalar(question).fetch_one(&mut self.connection)).await
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
        Ok(answer) => Ok(answer.map_err(Trouble::from)?),
        Err(_) => Err(Trouble::silence(ANSWER_WITHIN).into()),
    }
}

fn interval(time: Duration) -> PgInterval {
    let microseconds = time.as_micros().try_into().unwrap_or(i64::MAX);
    PgInterval { months: 0, days: 0, microseconds }
}

fn millis(time: Duration) -> i64 {
    time.as_millis().try_into().unwrap_or(i64::MAX)
}
