//! Database of the frontier, parsed from its URL.

use std::env;
use std::fmt;

use anyhow::anyhow;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use url::Url;

use crate::args::DatabaseUrl;

/// Advice on a wrong URL.
const ADVICE: &str =
    "write `postgres://user:password@host/database`; the password may also be in PGPASSWORD or in ~/.pgpass";

/// Checked connection options.
#[derive(Clone)]
pub(super) struct Database {
    options: PgConnectOptions,
    has_password: bool,
}

/// True if the text has the scheme of a Postgres URL.
pub(super) fn is_postgres_url(text: &str) -> bool {
    matches!(text.split_once("://"), Some(("postgres" | "postgresql", _)))
}

impl Database {
    /// Parses the URL of a Postgres database.
    ///
    /// # Errors
    ///
    /// The URL is not one of a Postgres database. The message does not repeat it.
    pub(super) fn parse(url: &DatabaseUrl) -> anyhow::Result<Self> {
        let text = url.as_str();
        let unusable = |why: &str| anyhow!("the frontier's address cannot be used: {why}: {ADVICE}");
        match text.split_once(':') {
            Some(("postgres" | "postgresql", _)) => {}
            // Other text before the colon may be a password.
            Some((scheme, rest)) if rest.starts_with("//") && scheme.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
                return Err(unusable(&format!("it begins with `{scheme}://`, and the frontier is kept in Postgres")));
            }
            _ => return Err(unusable("it does not begin with `postgres://`")),
        }
        postgres_url::check(text).map_err(|reason| unusable(&reason))?;
        // The driver's messages do not repeat the URL.
        let options: PgConnectOptions = text.parse().map_err(|error| match error {
            sqlx::Error::Configuration(why) => unusable(&why.to_string()),
            error => unusable(&error.to_string()),
        })?;
        let options = options.application_name("trunkline").disable_statement_logging();
        Ok(Self { options, has_password: has_password(text) })
    }
}

fn has_password(address: &str) -> bool {
    let address = Url::parse(address).ok();
    let has_one = |url: &Url| url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password");
    address.as_ref().is_some_and(has_one) || env::var_os("PGPASSWORD").is_some()
}

impl Database {
    pub(super) fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// True if the URL or PGPASSWORD has a password.
    pub(super) fn has_password(&self) -> bool {
        self.has_password
    }
}

/// Description without the password.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.options;
        let (host, port, user) = (options.get_host(), options.get_port(), options.get_username());
        write!(f, "the database {:?} on {host}:{port}, as {user:?}", options.get_database().unwrap_or(user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> anyhow::Result<Database> {
        Database::parse(&text.parse().unwrap())
    }

    #[test]
    fn a_password_is_shown_nowhere() {
        let address = check("postgres://me:geheim@db.example:5433/pages").unwrap();
        assert_eq!(address.to_string(), r#"the database "pages" on db.example:5433, as "me""#);
        assert_eq!(format!("{:?}", "postgres://me:geheim@db".parse::<DatabaseUrl>()), "Ok(a database)");
        for text in [
            "postgres://me:geheim@db/pages?sslmod=require",
            "postgres://me:geheim@db:99999/pages",
            "postgrez://me:geheim@db/pages",
            "mysql://me:geheim@db/pages",
            "me:geheim@db",
            "geheim",
            "postgres://me:geheim@db/pages?sslmode=maybe",
            "postgres://me:/geheim@db/pages",
            "postgres://me:1?geheim@db/pages",
            "postgres://me:1#geheim@db/pages",
            "postgres:me:geheim@db/pages",
        ] {
            let error = format!("{:#}", check(text).err().unwrap());
            assert!(!error.contains("geheim") && error.contains("postgres://user:password@host/database"), "{error}");
        }
    }

    #[test]
    fn a_password_may_have_any_character_if_encoded() {
        let address = check("postgresql://me:%2Fge%40h%3Fe%23im@db.example/pages").unwrap();
        assert_eq!(address.to_string(), r#"the database "pages" on db.example:5432, as "me""#);
        assert!(check("postgres:///pages?user=me&password=ge@heim").is_ok());
    }
}
