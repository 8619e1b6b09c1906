//! Failed start: the error names the reason, and nothing is left behind.

use std::net::TcpListener;

use tokio::net::TcpSocket;

use crate::support::{Database, Finished, Settings};

async fn fails(settings: &Settings) -> Finished {
    let finished = settings.spawn().finish().await;
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(!finished.log.contains("panicked"), "{}", finished.log);
    finished
}

/// A port that is bound but does not listen: it stays reserved, and connections are refused.
fn refusing() -> TcpSocket {
    let refusing = TcpSocket::new_v4().unwrap();
    refusing.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    refusing
}

fn last_line(finished: &Finished) -> &str {
    finished.log.lines().last().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_refuses_is_named_and_the_session_released() {
    let refusing = refusing();
    let url = format!("postgres://me:Geheim-Geheim@{}/users", refusing.local_addr().unwrap());
    let finished = fails(&Settings::new(&Database::sqlite()).with("--database", url)).await;
    assert!(finished.log.contains("database") && finished.log.contains("users"), "{}", finished.log);
    assert!(!finished.log.contains("Geheim"), "{}", finished.log);
    assert!(finished.log.contains("session closed: "), "what was open before is released: {}", finished.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named_with_its_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for flag in ["--listen", "--ops-listen"] {
        let finished = fails(&Settings::new(&Database::sqlite()).with(flag, address)).await;
        let last = last_line(&finished);
        assert!(last.contains(&address.to_string()) && last.contains(flag), "{}", finished.log);
        assert!(finished.log.contains("session closed: "), "what was open before is released: {}", finished.log);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_line_of_the_log_is_the_error() {
    let settings = Settings::new(&Database::sqlite()).with("--database", "sqlite:/nowhere/register.db");
    let because = "failed to open \"database\": cannot open the SQLite file /nowhere/register.db: ";
    let finished = fails(&settings.clone().with("--log-format", "human")).await;
    assert!(last_line(&finished).starts_with(&format!("error: {because}")), "{}", finished.log);
    let finished = fails(&settings.with("--log-format", "json")).await;
    let last: serde_json::Value = serde_json::from_str(last_line(&finished)).unwrap();
    assert_eq!(last["level"], "ERROR");
    assert!(last["message"].as_str().unwrap().starts_with(because), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn database_errors_are_reported_once_in_plain_words() {
    let (sqlite, postgres, refusing) = (Database::sqlite(), Database::postgres().await, refusing());
    let file = sqlite.url().replace("sqlite:", "");
    std::fs::write(&file, "Einkaufen: Milch, Eier, Mehl.\n".repeat(100)).unwrap();
    let missing = format!("{}/nowhere", postgres.url().rsplit_once('/').unwrap().0);
    for (url, because) in [
        (sqlite.url(), format!("{file}: it is no SQLite database (SQLite: file is not a database, code 26)")),
        (missing, ": database \"nowhere\" does not exist: `createdb` makes one".to_owned()),
        (
            format!("postgres://me@{}/users", refusing.local_addr().unwrap()),
            ", as \"me\": no Postgres listens there (Connection refused (os error 111))".to_owned(),
        ),
    ] {
        let finished = fails(&Settings::new(&sqlite).with("--database", url).with("--log-format", "human")).await;
        assert!(last_line(&finished).ends_with(&because), "{because}: {}", finished.log);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_settings_are_reported_before_anything_opens() {
    for (flag, value) in [("--trust-proxy", "everyone"), ("--mail-from", "nobody"), ("--aws-region", "Frankfurt")] {
        let finished = Settings::new(&Database::sqlite()).with(flag, value).spawn().finish().await;
        assert_eq!(finished.code, Some(2), "{finished:?}");
        assert!(finished.log.starts_with(&format!("error: invalid value '{value}' for '{flag} ")), "{}", finished.log);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_credentials_are_reported_once() {
    let (database, refusing) = (Database::sqlite(), refusing());
    let settings = Settings::new(&database).with("--mail", "ses").with("--mail-from", "register@example.com");
    let metadata = format!("http://{}", refusing.local_addr().unwrap());
    let settings = settings.environment("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata);
    let finished = fails(&settings).await;
    assert!(last_line(&finished).contains("no AWS credentials"), "{}", finished.log);
    assert!(!finished.log.contains("WARN"), "{}", finished.log);
}
