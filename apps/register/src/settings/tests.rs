//! Tests of the settings: accepted values and error messages.

use super::*;

fn read(arguments: &[&str]) -> Result<Settings, String> {
    Settings::read(["register"].iter().chain(arguments)).map_err(|error| error.to_string())
}

fn refused(arguments: &[&str]) -> String {
    read(arguments).err().unwrap_or_else(|| panic!("{arguments:?} was taken"))
}

#[test]
fn the_defaults_are_loopback_a_file_and_a_development_mailbox() {
    let settings = read(&[]).unwrap();
    assert!(settings.listen.ip().is_loopback() && settings.ops_listen.ip().is_loopback());
    assert_eq!(settings.mail, MailMode::Dev);
    assert!(matches!(settings.database().unwrap().place, DatabasePlace::Sqlite(_)));
    assert_eq!(settings.database().unwrap().connections, 100);
    assert!(settings.hashers() >= 1);
}

#[test]
fn each_setting_has_a_variable_named_after_its_flag() {
    for argument in Settings::command().get_arguments().filter(|argument| argument.get_env().is_some()) {
        let flag = argument.get_long().unwrap();
        let variable = format!("REGISTER_{}", flag.to_uppercase().replace('-', "_"));
        assert_eq!(argument.get_env().unwrap(), variable.as_str());
        assert!(argument.get_help_heading().is_some(), "{flag}");
    }
}

#[test]
fn the_mailbox_is_not_shown_to_others_unless_told_to() {
    let error = refused(&["--listen", "192.0.2.1:3000"]);
    assert!(error.contains("192.0.2.1:3000") && error.contains("--dev-mail-on-public-address"), "{error}");
    assert!(read(&["--listen", "192.0.2.1:3000", "--dev-mail-on-public-address"]).is_ok());
    assert!(read(&["--listen", "192.0.2.1:3000", "--mail", "ses", "--mail-from", "a@b.example"]).is_ok());
}

#[test]
fn ses_needs_a_sender_that_can_be_one() {
    assert!(refused(&["--mail", "ses"]).contains("--mail-from"));
    let error = refused(&["--mail", "ses", "--mail-from", "a@b\r\nBcc: c@d"]);
    assert!(error.contains("Bcc: c@d") && error.contains("`Example <mail@example.com>`"), "{error}");
    for (flag, value) in [("--ses-endpoint", "http://127.0.0.1:1"), ("--aws-region", "eu-central-1")] {
        let error = refused(&[flag, value]);
        assert!(error.contains(flag) && error.contains("--mail ses"), "{error}");
    }
}

#[test]
fn an_address_that_stands_for_all_makes_no_links() {
    let error = refused(&["--listen", "0.0.0.0:80", "--mail", "ses", "--mail-from", "a@b.example"]);
    assert!(error.contains("--public-url"), "{error}");
    assert!(
        read(&[
            "--listen",
            "0.0.0.0:80",
            "--mail",
            "ses",
            "--mail-from",
            "a@b.example",
            "--public-url",
            "https://b.example"
        ])
        .is_ok()
    );
}

#[test]
fn an_error_names_the_setting_the_value_and_an_example() {
    for (flag, value, hint) in [
        ("--listen", "localhost:3000", "`127.0.0.1:3000`"),
        ("--ops-listen", "127.0.0.1", "`127.0.0.1:3000`"),
        ("--database-connections", "0", "from 2 to 10000"),
        ("--hash-queue", "many", "from 0 to 1000000"),
        ("--senders", "0", "1 or more"),
        ("--hashers", "two", "1 or more"),
        ("--session-limit", "0", "1 or more"),
        ("--connections", "0", "1 or more"),
        ("--token-lifetime", "24", "`2h`"),
        ("--address-limit", "five", "`5/1h`"),
        ("--mail", "smtp", "ses"),
        ("--public-url", "example.com", "`https://example.com`"),
        ("--lease", "10ms", "1s is the least"),
        ("--trust-proxy", "10.0.0.1,everyone", "`private`"),
        ("--mail-from", "nobody", "`mail@example.com`"),
        ("--mail-from", "Jörg <j@example.com>", "RFC 2047"),
        ("--aws-region", "Frankfurt", "`eu-central-1`"),
    ] {
        let error = refused(&[flag, value]);
        assert!(error.contains(flag) && error.contains(value) && error.contains(hint), "{error}");
    }
}

#[test]
fn error_help_and_debug_show_no_database_password() {
    let url = "postgres://me:geheim@127.0.0.1:70000/users";
    let error = refused(&["--database", url]);
    assert!(error.contains("--database") && !error.contains("geheim"), "{error}");
    let settings = read(&["--database", "postgres://me:geheim@127.0.0.1/users"]).unwrap();
    assert!(!format!("{settings:?}").contains("geheim"));
    let hidden = Settings::command();
    let database = hidden.get_arguments().find(|argument| argument.get_long() == Some("database")).unwrap();
    assert!(database.is_hide_env_values_set());
}

#[test]
fn a_password_in_a_url_is_refused_and_not_shown() {
    for flag in ["--public-url", "--ses-endpoint"] {
        let error = refused(&[flag, "https://me:geheim@mail.example.com"]);
        assert!(error.contains(flag) && error.contains("user name or password"), "{error}");
        assert!(error.contains("https://mail.example.com/") && !error.contains("geheim"), "{error}");
    }
}
