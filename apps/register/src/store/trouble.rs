//! A database that cannot be opened: what is said of it, once and in plain words. sqlx's own errors
//! say it in one another's words, and again.

use std::io::ErrorKind;

use anyhow::anyhow;
use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;

/// Why no connection came about, or a statement at the start was not done.
pub(super) fn plain(error: sqlx::Error) -> anyhow::Error {
    match error {
        sqlx::Error::Database(said) => match said.try_downcast_ref::<PgDatabaseError>() {
            Some(said) => anyhow!(postgres(said)),
            None => anyhow!(sqlite(&*said)),
        },
        sqlx::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => {
            anyhow!("no Postgres listens there ({error})")
        }
        sqlx::Error::Io(error) => anyhow!("the connection failed: {error}"),
        sqlx::Error::Protocol(told) => anyhow!("that is not what Postgres answers: {told}"),
        sqlx::Error::Tls(error) => anyhow!("no TLS: {error}"),
        sqlx::Error::PoolTimedOut => anyhow!("no connection was to be had in time"),
        error => anyhow!("{error}"),
    }
}

/// Why the tables were not brought up to date.
pub(super) fn migrating(error: MigrateError) -> anyhow::Error {
    match error {
        MigrateError::VersionMismatch(version) => {
            anyhow!("its migration {version} is not the one that this program has: is it another program's?")
        }
        MigrateError::Execute(error) => plain(error),
        MigrateError::ExecuteMigration(error, version) => plain(error).context(format!("migration {version}")),
        error => anyhow!("{error}"),
    }
}

/// Whether somebody else has a SQLite file locked.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlite_code) == Some(BUSY)
}

/// In Postgres' own words, without the line of its source code.
fn postgres(said: &PgDatabaseError) -> String {
    let ours = match said.code() {
        "3D000" => Some("`createdb` makes one"),
        _ => None,
    };
    let more = [said.detail(), said.hint(), ours].into_iter().flatten();
    more.fold(said.message().to_owned(), |told, more| format!("{told}: {more}"))
}

const BUSY: u32 = 5;

/// By the first byte of its code, as SQLite's own words are few: <https://www.sqlite.org/rescode.html>.
fn sqlite(said: &dyn DatabaseError) -> String {
    let plain = match sqlite_code(said) {
        Some(BUSY) => "another program has it locked",
        Some(8) => "it may not be written to",
        Some(10) => "it cannot be read or written: is the disk full?",
        Some(11) => "it is damaged",
        Some(13) => "the disk is full",
        Some(14) => "it, or one of the files beside it, cannot be opened",
        Some(26) => "it is no SQLite database",
        _ => return said.message().to_owned(),
    };
    format!("{plain} (SQLite: {}, code {})", said.message(), said.code().unwrap_or_default())
}

fn sqlite_code(said: &dyn DatabaseError) -> Option<u32> {
    Some(said.code()?.parse::<u32>().ok()? & 0xff)
}
