//! Sessions made outside of a runtime, used in several, and outliving them.

use std::time::Duration;

use trunkline::{Pool, Session};

use crate::support::{Rogue, Step, sockets_to};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn fetch(session: &Session, url: &str) -> String {
    let fetched = async { session.get(url).await?.text().await };
    tokio::time::timeout(crate::SOON, fetched).await.expect("it hangs").unwrap()
}

#[test]
fn a_session_outlives_the_runtime_it_was_used_in() {
    let outside = Session::new();
    let servers = runtime();
    let server = servers.block_on(Rogue::start(Step::serve("x")));
    let first = runtime();
    assert_eq!(first.block_on(fetch(&outside, &server.url("/"))), "x");
    assert_eq!(outside.stats().idle, 1);
    drop(first);
    // The connection's task ended with its runtime.
    assert_eq!(outside.stats().open, 0);
    assert_eq!(sockets_to(server.port()), []);
    let second = runtime();
    assert_eq!(second.block_on(fetch(&outside, &server.url("/"))), "x");
    let report = second.block_on(outside.close());
    assert_eq!(report.closed, 1);
}

#[test]
fn p2_a_parked_runtimes_idle_connections_only_make_way() {
    let session = Session::builder().pool(Pool::builder().limit(1).build().unwrap()).build().unwrap();
    let servers = runtime();
    let server = servers.block_on(Rogue::start(Step::serve("x")));
    let (parked, running) = (runtime(), runtime());
    parked.block_on(fetch(&session, &server.url("/parked")));
    assert_eq!(session.stats().idle, 1);
    // From here on `parked` is not driven: a connection of its would never wake.
    for _ in 0..3 {
        assert_eq!(running.block_on(fetch(&session, &server.url("/running"))), "x");
    }
    let connections: Vec<_> = server.requests().into_iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 1, 1, 1]);
    assert_eq!(parked.block_on(fetch(&session, &server.url("/parked"))), "x");
    running.block_on(session.close());
    assert_eq!(sockets_to(server.port()), []);
}

#[test]
fn p7_leases_of_a_runtime_that_ends_are_freed() {
    let session = Session::builder().pool(Pool::builder().limit(2).build().unwrap()).build().unwrap();
    let servers = runtime();
    let server = servers.block_on(Rogue::start(|connection| match connection {
        0..2 => vec![Step::ReadHead, Step::Hold],
        _ => Step::serve("x"),
    }));
    let first = runtime();
    first.block_on(async {
        for _ in 0..4 {
            tokio::spawn(session.get(server.url("/")).send());
        }
        server.wait_until(|log| log.requests.len() == 2).await;
    });
    assert_eq!((session.stats().in_use, session.stats().waiting), (2, 2));
    drop(first);
    assert_eq!((session.stats().open, session.stats().waiting), (0, 0));
    assert_eq!(runtime().block_on(fetch(&session, &server.url("/"))), "x");
}

#[test]
fn a_request_without_a_runtime_is_an_error_and_no_panic() {
    let session = Session::new();
    let mut request = std::pin::pin!(session.get("http://127.0.0.1:1/").send());
    let cx = &mut std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Err(error)) = request.as_mut().poll(cx) else { panic!("it went on") };
    assert!(error.to_string().contains("tokio runtime"), "{error}");
}

#[test]
fn one_lookup_or_dial_in_a_parked_runtime_holds_up_nobody() {
    let session = Session::new();
    let servers = runtime();
    let server = servers.block_on(Rogue::start(Step::serve("x")));
    let url = format!("http://localhost:{}/", server.port());
    let (parked, running) = (runtime(), runtime());
    // Begun, and left alone while its name is looked up.
    let begun = parked.spawn(session.get(&url).send());
    parked.block_on(tokio::task::yield_now());
    assert_eq!(running.block_on(fetch(&session, &url)), "x");
    parked.block_on(async { tokio::time::timeout(Duration::from_secs(10), begun).await.unwrap().unwrap().unwrap() });
}
