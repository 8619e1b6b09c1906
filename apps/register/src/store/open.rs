//! Database setup: connection options of SQLite and Postgres, and migrations.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, Executor as _, PgConnection, SqlitePool};
use tokio::time::{sleep, timeout};

use super::Database;
use super::error::{connection_error, is_busy, migration_error};
use crate::settings::DatabasePlace;

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// Time limit for a connection to the database.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// Pause between two attempts to open a file that another copy has locked.
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// Time limit of the ping before a connection is used and after it is returned.
const PING_WITHIN: Duration = Duration::from_secs(1);

/// Server-side limits of a session. They end the statements and transactions of a copy that has
/// stopped waiting or has crashed, and free their locks.
const LIMITS: &str =
    "SET statement_timeout = '15s'; SET lock_timeout = '15s'; SET idle_in_transaction_session_timeout = '15s'";

/// Pools of a SQLite file: one connection for writers, which queue for it, and several for readers.
#[derive(Clone, Debug)]
pub(super) struct Sqlite {
    pub(super) writer: SqlitePool,
    pub(super) readers: SqlitePool,
}

impl Sqlite {
    pub(super) async fn close(&self) {
        self.readers.close().await;
        // The last connection takes what is in the log into the file.
        self.writer.close().await;
    }
}

pub(super) async fn open(place: &DatabasePlace, connections: u32) -> anyhow::Result<Database> {
    Ok(match place {
        DatabasePlace::Sqlite(path) => Database::Sqlite(open_sqlite(path, connections).await?),
        DatabasePlace::Postgres(options) => {
            // A single connection first: the pool retries a refused connection and does not report
            // why.
            let first = timeout(CONNECT_WITHIN, PgConnection::connect_with(options));
            let first =
                first.await.map_err(|_| anyhow!("no answer within {CONNECT_WITHIN:?}"))?.map_err(connection_error)?;
            first.close().await.map_err(connection_error)?;
            Database::Postgres(postgres(connections).connect_lazy_with(*options.clone()))
        }
    })
}

/// Pool options that detect dead connections within a second. sqlx sets no keep-alive, and its own
/// ping waits until TCP gives up, which takes a quarter of an hour or more.
fn postgres(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections)
        // A full pool fails the request instead of growing its queue.
        .acquire_timeout(CONNECT_WITHIN)
        .after_connect(|connection, _| Box::pin(async { connection.execute(LIMITS).await.map(drop) }))
        .test_before_acquire(false)
        .before_acquire(|connection, _| Box::pin(async { Ok(answers(connection).await) }))
        // Drains the response of a cancelled statement. sqlx's own ping follows it without a limit
        // (sqlx issue 4349): a connection lost between the two pings keeps its slot until TCP gives
        // up.
        .after_release(|connection, _| Box::pin(async { Ok(answers(connection).await) }))
}

/// Returns true if the connection answers a ping in time. The pool closes it otherwise.
pub(super) async fn answers(connection: &mut PgConnection) -> bool {
    let error = match timeout(PING_WITHIN, connection.ping()).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {PING_WITHIN:?}"),
    };
    tracing::info!(error, "closing a dead connection to the database");
    false
}

async fn open_sqlite(path: &Path, connections: u32) -> anyhow::Result<Sqlite> {
    make(path)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        // An acknowledged registration survives a power failure.
        .synchronous(SqliteSynchronous::Full)
        // Overwrites deleted content with zeros.
        .pragma("secure_delete", "on")
        // For other programs that look into the file; this one has one writer.
        .busy_timeout(Duration::from_secs(10));
    let pool = SqlitePoolOptions::new().acquire_timeout(Duration::from_secs(30)).idle_timeout(None).max_lifetime(None);
    let writer = connect(&pool.clone().max_connections(1), &options).await.map_err(connection_error)?;
    // More readers would not read faster.
    let readers = pool.max_connections((connections - 1).clamp(1, 8)).connect_lazy_with(options);
    Ok(Sqlite { writer, readers })
}

/// Connects, and retries while the file is locked: SQLite needs exclusive access to set up the log
/// of a new file, and `busy_timeout` does not cover that.
async fn connect(pool: &SqlitePoolOptions, options: &SqliteConnectOptions) -> sqlx::Result<SqlitePool> {
    let begun = Instant::now();
    loop {
        match pool.clone().connect_with(options.clone()).await {
            Err(error) if is_busy(&error) && begun.elapsed() < CONNECT_WITHIN => sleep(BETWEEN_TRIES).await,
            other => return other,
        }
    }
}

/// Creates the file with mode 0600, because it holds addresses and hashes. SQLite gives its log
/// files the same mode.
fn make(path: &Path) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Applies the migrations. Copies that start together wait for each other; migrations of a newer
/// version are ignored.
pub(super) async fn migrate(database: &Database) -> anyhow::Result<()> {
    let migrator = |migrator: &'static Migrator| {
        let mut migrator = Migrator { migrations: migrator.migrations.clone(), ..Migrator::DEFAULT };
        migrator.set_ignore_missing(true);
        migrator
    };
    let migrated = match database {
        Database::Sqlite(sqlite) => migrate_sqlite(&migrator(&SQLITE), sqlite).await,
        Database::Postgres(pool) => {
            // A pool without the session limits: a migration may be slow, and waits for other
            // copies.
            let patient = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_WITHIN);
            let patient = patient.connect_lazy_with(PgConnectOptions::clone(&pool.connect_options()));
            let migrated = migrator(&POSTGRES).run(&patient).await;
            patient.close().await;
            migrated
        }
    };
    migrated.map_err(migration_error)
}

/// Migrates in one `BEGIN IMMEDIATE` transaction, because sqlx takes no lock of its own on SQLite.
async fn migrate_sqlite(migrator: &Migrator, sqlite: &Sqlite) -> Result<(), MigrateError> {
    let mut transaction = sqlite.writer.begin_with("BEGIN IMMEDIATE").await?;
    // `run_direct` is not meant for callers, but the future of `run` on a transaction is not
    // `Send`.
    migrator.run_direct(None, &mut *transaction, false).await?;
    Ok(transaction.commit().await?)
}

/// The version of the tables that this program was written for.
pub(super) fn latest(database: &Database) -> Option<i64> {
    let migrator = match database {
        Database::Sqlite(_) => &SQLITE,
        Database::Postgres(_) => &POSTGRES,
    };
    migrator.iter().map(|migration| migration.version).max()
}
