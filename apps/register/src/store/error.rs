//! Error messages for a database that cannot be opened. sqlx's own errors repeat their causes.

use std::io::ErrorKind;

use anyhow::anyhow;
use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;

/// Describes a failed connection, or a failed statement at the start.
pub(super) fn connection_error(error: sqlx::Error) -> anyhow::Error {
    match error {
        sqlx::Error::Database(error) => match error.try_downcast_ref::<PgDatabaseError>() {
            Some(error) => anyhow!(postgres(error)),
            None => anyhow!(sqlite(&*error)),
        },
        sqlx::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => {
            anyhow!("no Postgres listens there ({error})")
        }
        sqlx::Error::Io(error) => anyhow!("the connection failed: {error}"),
        sqlx::Error::Protocol(message) => anyhow!("that is not what Postgres answers: {message}"),
        sqlx::Error::Tls(error) => anyhow!("no TLS: {error}"),
        sqlx::Error::PoolTimedOut => anyhow!("no connection was to be had in time"),
        error => anyhow!("{error}"),
    }
}

/// Describes a failed migration.
pub(super) fn migration_error(error: MigrateError) -> anyhow::Error {
    match error {
        MigrateError::VersionMismatch(version) => {
            anyhow!("its migration {version} is not the one that this program has: is it another program's?")
        }
        MigrateError::Execute(error) => connection_error(error),
        MigrateError::ExecuteMigration(error, version) => {
            connection_error(error).context(format!("migration {version}"))
        }
        error => anyhow!("{error}"),
    }
}

/// Returns true if another connection has the SQLite file locked.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlite_code) == Some(BUSY)
}

/// Postgres' message, detail and hint, without the position in its source code.
fn postgres(error: &PgDatabaseError) -> String {
    let ours = match error.code() {
        "3D000" => Some("`createdb` makes one"),
        _ => None,
    };
    let more = [error.detail(), error.hint(), ours].into_iter().flatten();
    more.fold(error.message().to_owned(), |message, more| format!("{message}: {more}"))
}

const BUSY: u32 = 5;

/// Message for the primary result code (<https://www.sqlite.org/rescode.html>).
fn sqlite(error: &dyn DatabaseError) -> String {
    let plain = match sqlite_code(error) {
        Some(BUSY) => "another program has it locked",
        Some(8) => "it may not be written to",
        Some(10) => "it cannot be read or written: is the disk full?",
        Some(11) => "it is damaged",
        Some(13) => "the disk is full",
        Some(14) => "it, or one of the files beside it, cannot be opened",
        Some(26) => "it is no SQLite database",
        _ => return error.message().to_owned(),
    };
    format!("{plain} (SQLite: {}, code {})", error.message(), error.code().unwrap_or_default())
}

fn sqlite_code(error: &dyn DatabaseError) -> Option<u32> {
    Some(error.code()?.parse::<u32>().ok()? & 0xff)
}
