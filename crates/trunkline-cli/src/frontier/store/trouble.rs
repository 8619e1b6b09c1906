//! A database that fails: what is said of it, and whether it is worth to try again, and when.

use std::fmt;
use std::io;
use std::time::Duration;

use sqlx::error::DatabaseError;

use crate::frontier::database::Database;

/// Why the database did not do what it was asked for, in words for people.
#[derive(Debug)]
pub(in crate::frontier) struct Trouble {
    told: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It may be otherwise soon: the connection, a restart, two who were in each other's way.
    Passing,
    /// Nothing is this worker's own any more.
    LeaseOver,
    /// What is wrong with the request, or with the right to make it, does not pass.
    Lasting,
}

/// Whether it may be otherwise soon.
pub(in crate::frontier) fn is_passing(error: &anyhow::Error) -> bool {
    is(error, Kind::Passing)
}

/// Whether it is this that the database says: nothing is this worker's own any more.
pub(in crate::frontier) fn is_lease_over(error: &anyhow::Error) -> bool {
    is(error, Kind::LeaseOver)
}

fn is(error: &anyhow::Error, kind: Kind) -> bool {
    error.downcast_ref::<Trouble>().is_some_and(|trouble| trouble.kind == kind)
}

impl Trouble {
    /// It did not answer in that time.
    pub(super) fn silence(time: Duration) -> Self {
        Self { told: format!("no answer within {time:?}"), kind: Kind::Passing }
    }

    /// No connection came about.
    pub(super) fn connecting(error: sqlx::Error, database: &Database) -> Self {
        let code = error.as_database_error().and_then(DatabaseError::code).unwrap_or_default();
        let more = match &*code {
            "28P01" if !database.has_password() => {
                ": there is none in the address or in PGPASSWORD, and none in ~/.pgpass that fits"
            }
            "3D000" => ": `createdb` makes one",
            _ => "",
        };
        let Self { told, kind } = Self::from(error);
        Self { told: told + more, kind }
    }
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        let lasting = |told: String| Self { told, kind: Kind::Lasting };
        let passing = |told: String| Self { told, kind: Kind::Passing };
        match error {
            sqlx::Error::Database(error) => Self { told: said(&*error), kind: kind(&error.code().unwrap_or_default()) },
            sqlx::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                passing(format!("no Postgres listens there ({error})"))
            }
            sqlx::Error::Io(error) => passing(format!("the connection failed: {error}")),
            sqlx::Error::Protocol(told) => passing(format!("that is not what Postgres answers: {told}")),
            sqlx::Error::WorkerCrashed => passing("the connection is gone".into()),
            sqlx::Error::Tls(error) => lasting(format!("no TLS: {error}")),
            error => lasting(error.to_string()),
        }
    }
}

/// In Postgres' own words, without the line of its source code.
fn said(error: &dyn DatabaseError) -> String {
    let message = error.message();
    let Some(more) = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>() else { return message.to_owned() };
    let more = [more.detail(), more.hint()].into_iter().flatten();
    more.fold(message.to_owned(), |told, more| format!("{told}: {more}"))
}

/// By its class, the first two letters: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn kind(code: &str) -> Kind {
    match code {
        "TL001" => Kind::LeaseOver,
        // A standby that is to be the next primary, and a lock that was not to be had in the time that somebody has
        // set.
        "25006" | "55P03" => Kind::Passing,
        // Connection, transaction rolled back, resources, operator intervention.
        _ if ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class)) => Kind::Passing,
        _ => Kind::Lasting,
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told)
    }
}

impl std::error::Error for Trouble {}

/// The longest pause between two tries.
const LONGEST: Duration = Duration::from_secs(5);

/// The pauses between tries: they double.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::frontier) struct Backoff(u32);

impl Backoff {
    pub(in crate::frontier) fn next(&mut self) -> Duration {
        let pause = Duration::from_millis(100) * 2_u32.pow(self.0.min(10));
        self.0 += 1;
        pause.min(LONGEST)
    }
}
