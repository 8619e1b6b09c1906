//! Parameters of a Postgres URL. sqlx ignores unknown ones; a typo in `sslmode` would turn TLS off.

use url::Url;

/// The parameters that sqlx knows, with their other spellings:
/// <https://docs.rs/sqlx/0.9/sqlx/postgres/struct.PgConnectOptions.html>.
const KNOWN: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// Parameters of libpq that providers put into their URLs. sqlx ignores them.
const IGNORED: [&str; 10] = [
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "fallback_application_name",
    "gssencmode",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "target_session_attrs",
];

const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// Finds the first bad parameter.
pub(crate) fn check(url: &Url) -> Result<(), String> {
    let shown = |text: &str| if may_hold_secrets(url) { "…".to_owned() } else { text.escape_debug().to_string() };
    for (name, value) in url.query_pairs() {
        if !is_known(&name) {
            return Err(format!("there is no parameter `{}`, {}", shown(&name), instead(&name)));
        }
        let is_mode = || SSL_MODES.contains(&&*value.to_ascii_lowercase());
        if matches!(&*name, "sslmode" | "ssl-mode") && !is_mode() {
            return Err(format!("`{name}` is `{}`, and can be {}", shown(&value), SSL_MODES.join(", ")));
        }
    }
    Ok(())
}

fn is_known(name: &str) -> bool {
    KNOWN.contains(&name) || IGNORED.contains(&name) || name.starts_with("options[") && name.ends_with(']')
}

/// The nearest parameter, or all if none is near.
fn instead(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let near = KNOWN.map(|known| (strsim::jaro_winkler(&name, known), known)).into_iter();
    match near.max_by(|(a, _), (b, _)| a.total_cmp(b)) {
        Some((nearness, known)) if nearness > 0.8 => format!("but there is `{known}`"),
        _ => format!("but there are {}", KNOWN.join(", ")),
    }
}

/// True if a part of a password may be among the parameters: it has a `?` or `&` that is not encoded.
fn may_hold_secrets(url: &Url) -> bool {
    url.query().is_some_and(|query| query.contains('@')) || url.query_pairs().any(|(name, _)| name == "password")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(query: &str) -> String {
        check(&Url::parse(&format!("postgres://me:1@db/users?{query}")).unwrap()).expect_err(query)
    }

    #[test]
    fn a_typo_is_named_with_the_nearest_parameter() {
        for (query, typed, nearest) in [
            ("sslmod=require", "`sslmod`", "`sslmode`"),
            ("SSLMODE=require", "`SSLMODE`", "`sslmode`"),
            ("user=me&applicationname=x", "`applicationname`", "`application_name`"),
            ("sslmode=require&sslrootcrt=/ca.pem", "`sslrootcrt`", "`sslrootcert`"),
            ("schema=public", "`schema`", "sslmode, ssl-mode, sslrootcert"),
            ("options[lock_timeout=1s", "`options[lock_timeout`", "`options`"),
            ("sslmode=requir", "`requir`", "disable, allow, prefer, require, verify-ca, verify-full"),
            ("ssl-mode=1", "`1`", "verify-full"),
        ] {
            let error = refused(query);
            assert!(error.contains(typed) && error.contains(nearest), "{error}");
        }
    }

    #[test]
    fn a_possible_part_of_a_password_is_not_shown() {
        for query in ["password=1&geheim", "a=b&geheim@db/users", "sslmode=geheim@db/users", "geheim&password=1"] {
            assert!(!refused(query).contains("geheim"), "{query}");
        }
    }

    #[test]
    fn known_parameters_are_accepted() {
        let known =
            "sslmode=Verify-Full&ssl-ca=/ca.pem&options=-c%20a=b&options[lock_timeout]=1s&host=/run&user=me&password=1";
        for query in [known, "sslmode=require&channel_binding=require&connect_timeout=10", ""] {
            assert_eq!(check(&Url::parse(&format!("postgres://db/users?{query}")).unwrap()), Ok(()));
        }
    }
}
