//! Errors of the database: their messages, which ones are temporary, and the pauses between
//! retries.

use std::fmt;
use std::io;
use std::time::Duration;

use sqlx::error::DatabaseError;

use crate::frontier::database::Database;

/// Failure of a query or a connection.
#[derive(Debug)]
pub(in crate::frontier) struct StoreError {
    message: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Temporary: a lost connection, a restart, a conflict of two transactions.
    Passing,
    /// The lease of this worker is over.
    LeaseOver,
    /// Permanent: a wrong query or a missing privilege.
    Lasting,
}

/// True if a later attempt may succeed.
pub(in crate::frontier) fn is_passing(error: &anyhow::Error) -> bool {
    is(error, Kind::Passing)
}

/// True if the lease of this worker is over.
pub(in crate::frontier) fn is_lease_over(error: &anyhow::Error) -> bool {
    is(error, Kind::LeaseOver)
}

fn is(error: &anyhow::Error, kind: Kind) -> bool {
    error.downcast_ref::<StoreError>().is_some_and(|found| found.kind == kind)
}

impl StoreError {
    /// No answer arrived within the time limit.
    pub(super) fn silence(time: Duration) -> Self {
        Self { message: format!("no answer within {time:?}"), kind: Kind::Passing }
    }

    /// No connection could be established.
    pub(super) fn connecting(error: sqlx::Error, database: &Database) -> Self {
        let code = error.as_database_error().and_then(DatabaseError::code).unwrap_or_default();
        let more = match &*code {
            "28P01" if !database.has_password() => {
                ": there is none in the address or in PGPASSWORD, and none in ~/.pgpass that fits"
            }
            "3D000" => ": `createdb` makes one",
            _ => "",
        };
        let Self { message, kind } = Self::from(error);
        Self { message: message + more, kind }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let lasting = |message: String| Self { message, kind: Kind::Lasting };
        let passing = |message: String| Self { message, kind: Kind::Passing };
        match error {
            sqlx::Error::Database(error) => {
                Self { message: message(&*error), kind: kind(&error.code().unwrap_or_default()) }
            }
            sqlx::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                passing(format!("no Postgres listens there ({error})"))
            }
            sqlx::Error::Io(error) => passing(format!("the connection failed: {error}")),
            sqlx::Error::Protocol(message) => passing(format!("that is not what Postgres answers: {message}")),
            sqlx::Error::WorkerCrashed => passing("the connection is gone".into()),
            sqlx::Error::Tls(error) => lasting(format!("no TLS: {error}")),
            error => lasting(error.to_string()),
        }
    }
}

/// Message of Postgres with its detail and hint, without the line of its source code.
fn message(error: &dyn DatabaseError) -> String {
    let message = error.message();
    let Some(more) = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() else { return message.to_owned() };
    let more = [more.detail(), more.hint()].into_iter().flatten();
    more.fold(message.to_owned(), |text, more| format!("{text}: {more}"))
}

/// Kind by the class of the code, its first two letters: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn kind(code: &str) -> Kind {
    match code {
        "TL001" => Kind::LeaseOver,
        // A standby before its promotion, and a lock timeout.
        "25006" | "55P03" => Kind::Passing,
        // Connection, transaction rolled back, resources, operator intervention.
        _ if ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class)) => Kind::Passing,
        _ => Kind::Lasting,
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for StoreError {}

/// Longest pause between two attempts.
const LONGEST: Duration = Duration::from_secs(5);

/// Pauses between attempts, each twice as long as the one before.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::frontier) struct Backoff(u32);

impl Backoff {
    pub(in crate::frontier) fn next(&mut self) -> Duration {
        let pause = Duration::from_millis(100) * 2_u32.pow(self.0.min(10));
        self.0 += 1;
        pause.min(LONGEST)
    }
}
