//! Stale reused connections: replaced, replayed once, or reported as an error (P10).

use std::time::Duration;

use trunkline::{Pool, RequestSent, Session};

use crate::support::{Gate, Rogue, Step, TcpState, TestCa, sockets_to};
use crate::{SOON, eventually, within};

/// A session with one idle connection to the server.
async fn warm(server: &Rogue, pool: Pool) -> Session {
    let session = Session::builder().pool(pool).build().unwrap();
    session.get(server.url("/warm")).await.unwrap().bytes().await.unwrap();
    assert_eq!(session.stats().idle, 1);
    session
}

fn counted(server: &Rogue, line: &str) -> usize {
    server.requests().iter().filter(|request| request.line() == line).count()
}

#[tokio::test]
async fn p10_a_fin_already_received_is_found_before_anything_is_sent() {
    let ca = TestCa::new();
    for (secure, method) in [(false, "GET"), (false, "POST"), (true, "GET"), (true, "POST")] {
        let gate = Gate::new();
        let held = gate.clone();
        let script = move |connection| match connection {
            0 => vec![Step::ReadHead, Step::ok("warm"), Step::WaitFor(held.clone()), Step::Close],
            _ => Step::serve("fresh"),
        };
        let server = if secure { Rogue::tls(&ca, script).await } else { Rogue::start(script).await };
        let session = warm(&server, Pool::builder().add_root_certificate(ca.pem()).build().unwrap()).await;
        gate.open();
        // The FIN comes while this thread is busy: the runtime has not been told of it, the kernel
        // has.
        while sockets_to(server.port()).iter().any(|socket| socket.state == TcpState::Established) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let method: http::Method = method.parse().unwrap();
        let response = within(SOON, session.request(method.clone(), server.url("/x")).send()).await.unwrap();
        let connection = response.connection();
        assert!(!connection.reused && connection.waited > Duration::ZERO, "{connection:?}");
        assert_eq!(response.text().await.unwrap(), "fresh");
        assert_eq!(counted(&server, &format!("{method} /x")), 1);
    }
}

/// The connection closes once it has read the second request, before a byte of an answer.
fn closes_on_second(connection: usize) -> Vec<Step> {
    match connection {
        0 => vec![Step::ReadHead, Step::ok("warm"), Step::ReadHead, Step::Close],
        _ => Step::serve("again"),
    }
}

#[tokio::test]
async fn p10_a_get_that_crosses_the_servers_fin_is_sent_again_once() {
    let server = Rogue::start(closes_on_second).await;
    let session = warm(&server, Pool::new()).await;
    let text = within(SOON, async { session.get(server.url("/x")).await?.text().await }).await.unwrap();
    assert_eq!(text, "again");
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn p10_a_post_that_crosses_the_servers_fin_is_an_honest_error() {
    let server = Rogue::start(closes_on_second).await;
    let session = warm(&server, Pool::new()).await;
    let error = within(SOON, session.post(server.url("/x")).body("order").send()).await.unwrap_err();
    assert_eq!(error.request_sent(), RequestSent::Maybe, "{error}");
    assert_eq!(counted(&server, "POST /x"), 1);
    assert_eq!(session.stats().in_use, 0);
}

#[tokio::test]
async fn p10_a_put_is_sent_again_with_its_whole_body() {
    let server = Rogue::start(closes_on_second).await;
    let session = warm(&server, Pool::new()).await;
    let response = within(SOON, session.put(server.url("/x")).body("whole").send()).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "again");
    let last = server.requests().pop().unwrap();
    assert_eq!((last.line().as_str(), last.body.as_slice()), ("PUT /x", b"whole".as_slice()));
}

#[tokio::test]
async fn p10_nothing_is_sent_twice_from_a_fresh_connection() {
    for line in ["GET /", "PUT /"] {
        let server = Rogue::start(vec![Step::ReadHead, Step::Close]).await;
        let session = Session::new();
        let method = line.split(' ').next().unwrap().parse().unwrap();
        let error = within(SOON, session.request(method, server.url("/")).send()).await.unwrap_err();
        assert_eq!(error.request_sent(), RequestSent::Maybe, "{error}");
        assert_eq!((counted(&server, line), server.accepted()), (1, 1));
    }
}

#[tokio::test]
async fn p10_never_after_a_byte_of_the_response() {
    let server = Rogue::start(|connection| match connection {
        0 => vec![Step::ReadHead, Step::ok("warm"), Step::ReadHead, Step::send("HTTP/1.1 2"), Step::Close],
        _ => Step::serve("again"),
    })
    .await;
    let session = warm(&server, Pool::new()).await;
    let error = within(SOON, session.get(server.url("/x")).send()).await.unwrap_err();
    assert_eq!(error.request_sent(), RequestSent::Yes, "{error}");
    assert_eq!(counted(&server, "GET /x"), 1);
}

#[tokio::test]
async fn p10_never_twice() {
    let server = Rogue::start(|connection| match connection {
        0 => vec![Step::ReadHead, Step::ok("warm"), Step::ReadHead, Step::Close],
        _ => vec![Step::ReadHead, Step::Close],
    })
    .await;
    let session = warm(&server, Pool::new()).await;
    within(SOON, session.get(server.url("/x")).send()).await.unwrap_err();
    assert_eq!(counted(&server, "GET /x"), 2);
}

#[tokio::test]
async fn p10_replay_can_be_switched_off() {
    let server = Rogue::start(closes_on_second).await;
    let session = warm(&server, Pool::builder().replay(false).build().unwrap()).await;
    let error = within(SOON, session.get(server.url("/x")).send()).await.unwrap_err();
    assert_eq!(error.request_sent(), RequestSent::Maybe, "{error}");
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn p10_a_replay_takes_the_failed_connections_slot_unqueued() {
    let gate = Gate::new();
    let held = gate.clone();
    let server = Rogue::start(move |connection| match connection {
        0 => vec![Step::ReadHead, Step::ok("warm"), Step::ReadHead, Step::WaitFor(held.clone()), Step::Close],
        _ => Step::serve("again"),
    })
    .await;
    let session = warm(&server, Pool::builder().limit(1).build().unwrap()).await;
    let first = session.get(server.url("/first")).send();
    let second = async {
        eventually("the first has the connection", || session.stats().in_use == 1).await;
        session.get(server.url("/second")).send().await
    };
    let fail_first = async {
        eventually("the second waits", || session.stats().waiting == 1).await;
        gate.open();
    };
    let (first, second, ()) = within(SOON, async {
        let read = async |response: trunkline::Response| response.text().await;
        tokio::join!(async { read(first.await?).await }, async { read(second.await?).await }, fail_first)
    })
    .await;
    assert_eq!((first.unwrap(), second.unwrap()), ("again".to_owned(), "again".to_owned()));
    let order: Vec<_> = server.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(order, ["/warm", "/first", "/first", "/second"]);
}
