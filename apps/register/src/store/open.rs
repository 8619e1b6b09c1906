//! Opening the database: how each is set up, and its tables brought up to date.

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
use super::trouble::{is_busy, migrating, plain};
use crate::settings::DatabasePlace;

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// How long to wait for a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// How long to leave a file alone that another copy has for itself.
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// How long a connection that was or will be used may take to show that it can be.
const PING_WITHIN: Duration = Duration::from_secs(1);

/// What a copy that has given up on an answer, or has vanished itself, leaves behind in the server:
/// a statement that runs, a transaction that holds locks. By then nobody waits for them.
const LIMITS: &str =
    "SET statement_timeout = '15s'; SET lock_timeout = '15s'; SET idle_in_transaction_session_timeout = '15s'";

/// SQLite has one writer at a time, so those who want to write wait in order for one connection.
/// Readers do not wait for it.
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
            // One first, by itself: the pool would try again and again where nobody listens, and not say why.
            let first = timeout(CONNECT_WITHIN, PgConnection::connect_with(options));
            let first = first.await.map_err(|_| anyhow!("no answer within {CONNECT_WITHIN:?}"))?.map_err(plain)?;
            first.close().await.map_err(plain)?;
            Database::Postgres(postgres(connections).connect_lazy_with(*options.clone()))
        }
    })
}

/// sqlx sets no keep-alive and waits for the answer to its own pings for as long as TCP does, a
/// quarter of an hour and more, and whoever was to get that connection waits too. Ours take a
/// second: a network that has lost its connections is one to connect over again.
fn postgres(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections)
        // Who gets no connection in that time is told so: the longer the line, the less it helps to join it.
        .acquire_timeout(CONNECT_WITHIN)
        .after_connect(|connection, _| Box::pin(async { connection.execute(LIMITS).await.map(drop) }))
        .test_before_acquire(false)
        .before_acquire(|connection, _| Box::pin(async { Ok(answers(connection).await) }))
        // Waits for what a statement that was given up still brings. sqlx's own ping comes after it, without a limit
        // (its issue 4349): what is lost between the two keeps its place until TCP gives up.
        .after_release(|connection, _| Box::pin(async { Ok(answers(connection).await) }))
}

/// If not, the connection is closed.
pub(super) async fn answers(connection: &mut PgConnection) -> bool {
    let error = match timeout(PING_WITHIN, connection.ping()).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {PING_WITHIN:?}"),
    };
    tracing::info!(error, "closing a connection to the database that is of no use any more");
    false
}

async fn open_sqlite(path: &Path, connections: u32) -> anyhow::Result<Sqlite> {
    make(path)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        // A registration that was answered is on the disk, also if the power fails.
        .synchronous(SqliteSynchronous::Full)
        // What is deleted is not left in the file.
        .pragma("secure_delete", "on")
        // For other programs that look into the file; this one has one writer.
        .busy_timeout(Duration::from_secs(10));
    let pool = SqlitePoolOptions::new().acquire_timeout(Duration::from_secs(30)).idle_timeout(None).max_lifetime(None);
    let writer = connect(&pool.clone().max_connections(1), &options).await.map_err(plain)?;
    // Readers are few, and more do not read faster.
    let readers = pool.max_connections((connections - 1).clamp(1, 8)).connect_lazy_with(options);
    Ok(Sqlite { writer, readers })
}

/// Connects. To set up the log of a new file SQLite needs it for itself, and does not wait if
/// another copy is about to do the same.
async fn connect(pool: &SqlitePoolOptions, options: &SqliteConnectOptions) -> sqlx::Result<SqlitePool> {
    let begun = Instant::now();
    loop {
        match pool.clone().connect_with(options.clone()).await {
            Err(error) if is_busy(&error) && begun.elapsed() < CONNECT_WITHIN => sleep(BETWEEN_TRIES).await,
            other => return other,
        }
    }
}

/// Makes the file for its owner alone: it will hold addresses and hashes. SQLite gives the files
/// beside it the same rights.
fn make(path: &Path) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Copies that start together wait for each other. What a newer version has added is let be.
pub(super) async fn migrate(database: &Database) -> anyhow::Result<()> {
    let migrator = |migrator: &'static Migrator| {
        let mut migrator = Migrator { migrations: migrator.migrations.clone(), ..Migrator::DEFAULT };
        migrator.set_ignore_missing(true);
        migrator
    };
    let migrated = match database {
        Database::Sqlite(sqlite) => migrate_sqlite(&migrator(&SQLITE), sqlite).await,
        Database::Postgres(pool) => {
            // Without the pool's limits: it takes as long as it takes, and waits for other copies.
            let patient = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_WITHIN);
            let patient = patient.connect_lazy_with(PgConnectOptions::clone(&pool.connect_options()));
            let migrated = migrator(&POSTGRES).run(&patient).await;
            patient.close().await;
            migrated
        }
    };
    migrated.map_err(migrating)
}

/// In one transaction that begins as the writer: on SQLite, sqlx takes no other lock.
async fn migrate_sqlite(migrator: &Migrator, sqlite: &Sqlite) -> Result<(), MigrateError> {
    let mut transaction = sqlite.writer.begin_with("BEGIN IMMEDIATE").await?;
    // sqlx has this one for itself; but the compiler cannot tell that what `run` makes of a transaction
    // is `Send`.
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
