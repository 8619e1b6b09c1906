//! Diagnosis of a bad Postgres URL, in an error that shows no password.
//!
//! sqlx ignores parameters that it does not know, so a typo in `sslmode` would turn TLS off. It also
//! takes the rest of a password that is not encoded for the name of a database, and shows it.

mod parameters;

use url::Url;

/// The encoding of the characters that end the host of a URL, for messages.
pub const ENCODING: &str = "in a password, `%40` stands for `@`, `%2F` for `/`, `%3F` for `?`, `%23` for `#`";

/// Checks a URL that begins with `postgres:` or `postgresql:`.
///
/// ```
/// assert!(postgres_url::check("postgres://ann:secret@db/users?sslmode=require").is_ok());
/// let error = postgres_url::check("postgres://ann:secret@db/users?sslmod=require").unwrap_err();
/// assert_eq!(error, "there is no parameter `sslmod`, but there is `sslmode`");
/// let error = postgres_url::check("postgres://ann:sec/ret@db/users").unwrap_err();
/// assert!(error.starts_with("there is an `@` after the end of the host"));
/// ```
///
/// # Errors
///
/// A password that is not encoded, a malformed URL, a parameter that the driver does not know, or a
/// value of `sslmode` that does not exist. The message names the fault and what would be right; it
/// shows no part of a password.
pub fn check(url: &str) -> Result<(), String> {
    let (_, after_scheme) = url.split_once(':').unwrap_or_default();
    if is_torn(after_scheme) {
        return Err(format!("there is an `@` after the end of the host ({ENCODING})"));
    }
    let url = Url::parse(url).map_err(|error| error.to_string())?;
    parameters::check(&url)
}

/// True if the host ends before the last `@`, at a `/`, `?` or `#` of a password that is not encoded.
/// The driver would take the text after it for the name of the database, which is shown.
fn is_torn(after_scheme: &str) -> bool {
    let after_host = match after_scheme.strip_prefix("//") {
        Some(rest) => rest.find(['/', '?', '#']).map_or("", |end| &rest[end..]),
        None => after_scheme,
    };
    let (path, query) = after_host.split_once('?').unwrap_or((after_host, ""));
    let parameter = query.split('=').next().unwrap_or_default();
    path.contains('@') || parameter.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_is_not_encoded_is_found_and_not_shown() {
        for url in [
            "postgres://me:/geheim@db/users",
            "postgres://me:1/geheim=@db/users",
            "postgres://me:1?geheim@db/users",
            "postgres://me:1#geheim@db/users",
            "postgres://me:p@1/geheim@db/users",
            "postgres:me:geheim@db/users",
        ] {
            let error = check(url).expect_err(url);
            assert!(!error.contains("geheim") && error.contains("%2F"), "{error}");
        }
        assert_eq!(check("postgres:///users?user=me&password=ge@heim"), Ok(()));
        assert_eq!(check("postgres://me:%2Fge%40h%3Fe%23im@db.example/users"), Ok(()));
    }
}
