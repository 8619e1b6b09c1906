//! A start that cannot succeed says why, and leaves nothing behind.

use std::net::TcpListener;

use crate::support::{Database, Finished, Settings};

async fn fails(settings: &Settings) -> Finished {
    let finished = settings.spawn().finish().await;
    assert!(finished.code.is_some_and(|code| code != 0), "{finished:?}");
    assert!(!finished.log.contains("panicked"), "{}", finished.log);
    finished
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_refuses_is_named_and_the_session_released() {
    // Bound and not listening: nobody else takes it, and connections are refused.
    let refusing = tokio::net::TcpSocket::new_v4().unwrap();
    refusing.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("postgres://me:Geheim-Geheim@{}/users", refusing.local_addr().unwrap());
    let finished = fails(&Settings::new(&Database::sqlite()).with("--database", url)).await;
    assert!(finished.log.contains("database") && finished.log.contains("users"), "{}", finished.log);
    assert!(!finished.log.contains("Geheim"), "{}", finished.log);
    assert!(finished.log.contains("session closed: "), "what was open before is released: {}", finished.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_named_with_its_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for flag in ["--listen", "--ops-listen"] {
        let finished = fails(&Settings::new(&Database::sqlite()).with(flag, address)).await;
        assert!(finished.log.contains(&address.to_string()) && finished.log.contains(flag), "{}", finished.log);
        assert!(finished.log.contains("session closed: "), "what was open before is released: {}", finished.log);
    }
}
