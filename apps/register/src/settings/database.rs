//! Location of the database: a SQLite file or a Postgres server.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

/// Database settings, for [`Store::open`](crate::store::Store::open).
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    /// Location of the database.
    pub place: DatabasePlace,
    /// Maximum number of open connections.
    pub connections: u32,
}

/// Location of a database.
#[derive(Clone)]
pub enum DatabasePlace {
    /// A SQLite file, created if it does not exist.
    Sqlite(PathBuf),
    /// A Postgres server.
    Postgres(Box<PgConnectOptions>),
}

impl FromStr for DatabasePlace {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        const RIGHT: &str = "write `sqlite:register.db`, or `postgres://user:password@host/database`";
        match url.split_once(':') {
            Some(("sqlite", path)) => match path.strip_prefix("//").unwrap_or(path) {
                "" => Err(format!("it names no file: {RIGHT}")),
                // Each connection would open its own database.
                path if path.contains(":memory:") => Err(format!("a database in memory cannot be shared: {RIGHT}")),
                path if path.contains('?') => Err(format!("a file's path has no `?`: {RIGHT}")),
                path => Ok(Self::Sqlite(path.into())),
            },
            // The driver's errors do not repeat the URL.
            Some(("postgres" | "postgresql", _)) => match postgres(url) {
                Ok(options) => Ok(Self::Postgres(Box::new(options.application_name("register")))),
                Err(error) => Err(format!("not an address of a database ({error}): {RIGHT}")),
            },
            Some((scheme, _)) if scheme.chars().all(|char| char.is_ascii_alphanumeric()) => {
                Err(format!("there is no support for `{scheme}:`: {RIGHT}"))
            }
            _ => Err(format!("not an address of a database: {RIGHT}")),
        }
    }
}

fn postgres(url: &str) -> Result<PgConnectOptions, String> {
    postgres_url::check(url)?;
    url.parse().map_err(|error: sqlx::Error| error.to_string())
}

/// Omits the password.
impl fmt::Display for DatabasePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "the SQLite file {}", path.display()),
            Self::Postgres(options) => {
                let (host, port) = (options.get_host(), options.get_port());
                let database = options.get_database().unwrap_or(options.get_username());
                write!(f, "the Postgres database {database:?} on {host}:{port}, as {:?}", options.get_username())
            }
        }
    }
}

impl fmt::Debug for DatabasePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The parsed database URL, or the reason why it is wrong. clap's errors would repeat the value,
/// which may hold a password, so [`Settings::check`](super::Settings) reports the reason instead.
#[derive(Clone)]
pub(super) struct DatabaseArgument(pub(super) Result<DatabasePlace, String>);

impl FromStr for DatabaseArgument {
    type Err = Infallible;

    fn from_str(url: &str) -> Result<Self, Infallible> {
        Ok(Self(url.parse()))
    }
}

impl fmt::Debug for DatabaseArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> String {
        url.parse::<DatabasePlace>().expect_err(url)
    }

    #[test]
    fn a_file_is_named_with_and_without_slashes() {
        for (url, path) in [
            ("sqlite:a.db", "a.db"),
            ("sqlite://a.db", "a.db"),
            ("sqlite:///var/a.db", "/var/a.db"),
            ("sqlite:/var/a.db", "/var/a.db"),
        ] {
            assert!(
                matches!(url.parse().unwrap(), DatabasePlace::Sqlite(file) if file.to_str() == Some(path)),
                "{url}"
            );
        }
    }

    #[test]
    fn a_password_is_shown_nowhere() {
        let place: DatabasePlace = "postgres://me:geheim@db.example:5433/users".parse().unwrap();
        assert_eq!(place.to_string(), r#"the Postgres database "users" on db.example:5433, as "me""#);
        assert!(!format!("{place:?}").contains("geheim"));
        for url in [
            "postgres://me:geheim@db:99999/users",
            "postgrez://me:geheim@db/users",
            "me:geheim@db",
            "postgres://me:geheim@db/users?sslmode=maybe",
            "postgres://me:/geheim@db/users",
            "postgres://me:1/geheim=@db/users",
            "postgres://me:1?geheim@db/users",
            "postgres://me:1#geheim@db/users",
            "postgres://me:p@1/geheim@db/users",
            "postgres:me:geheim@db/users",
        ] {
            let error = refused(url);
            assert!(!error.contains("geheim") && error.contains("postgres://user:password@host/database"), "{error}");
        }
    }

    #[test]
    fn a_password_may_have_any_encoded_character() {
        let place: DatabasePlace = "postgres://me:%2Fge%40h%3Fe%23im@db.example/users".parse().unwrap();
        assert_eq!(place.to_string(), r#"the Postgres database "users" on db.example:5432, as "me""#);
        assert!("postgres:///users?user=me&password=ge@heim".parse::<DatabasePlace>().is_ok());
    }

    #[test]
    fn an_unusable_url_is_refused_with_an_example() {
        assert!(refused("sqlite:").contains("names no file"));
        assert!(refused("sqlite::memory:").contains("cannot be shared"));
        assert!(refused("mysql://localhost/x").contains("no support for `mysql:`"));
        assert!(refused("").contains("sqlite:register.db"));
    }
}
