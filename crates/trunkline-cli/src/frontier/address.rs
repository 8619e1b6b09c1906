//! Where the frontier is.

use std::convert::Infallible;
use std::env;
use std::fmt;
use std::str::FromStr;

use anyhow::anyhow;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use url::Url;

/// What would be right.
const RIGHT: &str =
    "write `postgres://user:password@host/database`; the password may also be in PGPASSWORD or in ~/.pgpass";

/// A database's address as it was given. It may hold a password, so it is shown nowhere, and what
/// is wrong with it is said by [`check`](Self::check), which does not repeat it, and not by the
/// parser of arguments, which does.
#[derive(Clone)]
pub(crate) struct Given(String);

impl FromStr for Given {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a database")
    }
}

/// A database's address that can be used.
#[derive(Clone)]
pub(super) struct Address {
    options: PgConnectOptions,
    has_password: bool,
}

impl Given {
    /// Does it look like one?
    pub(super) fn is_one(text: &str) -> bool {
        matches!(text.split_once("://"), Some(("postgres" | "postgresql", _)))
    }

    /// # Errors
    ///
    /// It is no address of a Postgres database.
    pub(super) fn check(&self) -> anyhow::Result<Address> {
        let unusable = |why: &str| anyhow!("the frontier's address cannot be used: {why}: {RIGHT}");
        match self.0.split_once(':') {
            Some(("postgres" | "postgresql", _)) => {}
            // A text that is not a scheme may be a password.
            Some((scheme, rest)) if rest.starts_with("//") && scheme.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
                return Err(unusable(&format!("it begins with `{scheme}://`, and the frontier is kept in Postgres")));
            }
            _ => return Err(unusable("it does not begin with `postgres://`")),
        }
        postgres_url::check(&self.0).map_err(|fault| unusable(&fault))?;
        // The driver's errors do not repeat the URL.
        let options: PgConnectOptions = self.0.parse().map_err(|error| match error {
            sqlx::Error::Configuration(why) => unusable(&why.to_string()),
            error => unusable(&error.to_string()),
        })?;
        let options = options.application_name("trunkline").disable_statement_logging();
        Ok(Address { options, has_password: has_password(&self.0) })
    }
}

fn has_password(address: &str) -> bool {
    let address = Url::parse(address).ok();
    let has_one = |url: &Url| url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password");
    address.as_ref().is_some_and(has_one) || env::var_os("PGPASSWORD").is_some()
}

impl Address {
    pub(super) fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// Is there one in it, or in PGPASSWORD?
    pub(super) fn has_password(&self) -> bool {
        self.has_password
    }
}

/// Without the password, for people.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.options;
        let (host, port, user) = (options.get_host(), options.get_port(), options.get_username());
        write!(f, "the database {:?} on {host}:{port}, as {user:?}", options.get_database().unwrap_or(user))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> anyhow::Result<Address> {
        text.parse::<Given>().unwrap().check()
    }

    #[test]
    fn a_password_is_shown_nowhere() {
        let address = check("postgres://me:geheim@db.example:5433/pages").unwrap();
        assert_eq!(address.to_string(), r#"the database "pages" on db.example:5433, as "me""#);
        assert_eq!(format!("{:?}", "postgres://me:geheim@db".parse::<Given>()), "Ok(a database)");
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
    fn a_password_may_have_any_letter_if_it_is_encoded() {
        let address = check("postgresql://me:%2Fge%40h%3Fe%23im@db.example/pages").unwrap();
        assert_eq!(address.to_string(), r#"the database "pages" on db.example:5432, as "me""#);
        assert!(check("postgres:///pages?user=me&password=ge@heim").is_ok());
    }
}
