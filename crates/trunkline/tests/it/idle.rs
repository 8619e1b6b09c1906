//! Idle connections: lifetime, supervision, and removal when the server closes them (P8, P9).

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use trunkline::{CloseReason, Pool, Session};

use crate::support::{Gate, Nginx, Rogue, Step, TcpState, TestCa, sockets_to};
use crate::{SOON, eventually, within};

fn session(pool: Pool) -> Session {
    Session::builder().pool(pool).build().unwrap()
}

/// As many connections as that, all idle.
async fn warm_up(session: &Session, url: &str, connections: usize) {
    let mut responses = JoinSet::new();
    for _ in 0..connections {
        responses.spawn(session.get(url).send());
    }
    // All of them are held before the first is read, so none can serve two.
    let held: Vec<_> = within(SOON, responses.join_all()).await.into_iter().map(|response| response.unwrap()).collect();
    for response in held {
        response.bytes().await.unwrap();
    }
    assert_eq!(session.stats().idle, connections);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p9_connections_the_server_closed_are_closed_within_a_second() {
    let nginx = Nginx::builder().keepalive_timeout("1500ms").start().await;
    // nginx says nothing of its timeout with one argument: the pool has to find out.
    let session = session(Pool::builder().limit(None).build().unwrap());
    warm_up(&session, &nginx.url("/slow"), 0).await;
    warm_up(&session, &nginx.url("/big"), 0).await;
    let url = nginx.url("/small");
    let mut responses = JoinSet::new();
    while session.stats().idle < 200 {
        for _ in session.stats().idle..200 {
            let request = session.get(&url);
            responses.spawn(async move {
                let response = request.await.unwrap();
                // Held for a moment, so that the others need connections of their own.
                tokio::time::sleep(Duration::from_millis(300)).await;
                response.bytes().await.unwrap()
            });
        }
        while responses.join_next().await.is_some() {}
    }
    assert!(sockets_to(nginx.port()).len() >= 200);
    let is_close_wait = |state| state == TcpState::CloseWait;
    eventually("nginx closes them", || {
        let sockets = sockets_to(nginx.port());
        sockets.is_empty() || sockets.iter().any(|socket| is_close_wait(socket.state))
    })
    .await;
    // nginx closes them all within its timer's grain; a second after the last none is left.
    eventually("nginx has closed all", || nginx.stub_status().waiting == 0).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(sockets_to(nginx.port()), []);
    let stats = session.stats();
    assert_eq!(stats.open, 0, "{stats:?}");
    assert!(stats.closed.by(CloseReason::PeerClosed) >= 200, "{stats:?}");
}

#[tokio::test]
async fn p9_an_idle_tls_connection_is_reused_and_its_end_is_noticed() {
    // Long enough for the maintenance task to have taken its engine down.
    const REST: Duration = Duration::from_millis(150);
    let ca = TestCa::new();
    let late = Step::send("HTTP/1.1 408 Request Timeout\r\n\r\n");
    for end in [&[Step::Fin, Step::Hold][..], &[Step::Close], &[Step::Reset], &[late, Step::Hold]] {
        let go = Gate::new();
        let serve = [Step::ReadHead, Step::ReadBody, Step::ok("x")];
        let rogue = Rogue::tls(&ca, [&serve, &serve, &serve, &[Step::WaitFor(go.clone())][..], end].concat()).await;
        let session = session(Pool::builder().add_root_certificate(ca.pem()).build().unwrap());
        for _ in 0..3 {
            let request = session.post(rogue.url("/")).body("order");
            assert_eq!(within(SOON, async { request.await?.text().await }).await.unwrap(), "x");
            tokio::time::sleep(REST).await;
        }
        assert_eq!((session.stats().created, session.stats().idle), (1, 1));
        go.open();
        eventually("its end is noticed", || session.stats().open == 0).await;
        assert_eq!(session.stats().closed.by(CloseReason::PeerClosed), 1, "{end:?}");
    }
}

#[tokio::test]
async fn p9_an_idle_connection_is_closed_at_its_timeout() {
    let server = Rogue::start(Step::serve("x")).await;
    for (idle, least) in [(Duration::from_millis(150), 145), (Duration::from_millis(400), 390)] {
        let session = session(Pool::builder().idle_timeout(idle).build().unwrap());
        // Before the request, so that a slow first answer cannot shorten the measured time.
        let begun = Instant::now();
        warm_up(&session, &server.url("/"), 1).await;
        eventually("it is closed", || sockets_to(server.port()).is_empty()).await;
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(least), "{took:?}");
        // 0.1 s by the rule, the rest for a busy machine.
        assert!(took < idle + Duration::from_secs(3), "{took:?}");
        assert_eq!(session.stats().closed.by(CloseReason::IdleTimeout), 1);
    }
}

#[tokio::test]
async fn p9_the_servers_keep_alive_shortens_it() {
    let answer = "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=2\r\nContent-Length: 1\r\n\r\nx";
    let server = Rogue::start(vec![Step::Loop(vec![Step::ReadHead, Step::send(answer)])]).await;
    let session = session(Pool::builder().build().unwrap());
    warm_up(&session, &server.url("/"), 1).await;
    let begun = Instant::now();
    eventually("it is closed", || session.stats().open == 0).await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(900) && took < Duration::from_secs(8), "{took:?}");
}

#[tokio::test]
async fn p8_a_connection_past_its_lifetime_serves_no_request() {
    let server = Rogue::start(Step::serve("x")).await;
    let lifetime = Duration::from_millis(200);
    let session = session(Pool::builder().max_lifetime(lifetime).build().unwrap());
    let begun = Instant::now();
    while begun.elapsed() < 3 * lifetime {
        session.get(server.url("/")).await.unwrap().bytes().await.unwrap();
    }
    let stats = session.stats();
    assert!(stats.closed.by(CloseReason::Lifetime) >= 2, "{stats:?}");
    assert!(server.accepted() >= 3);
}

#[tokio::test]
async fn p8_after_a_refresh_new_connections_are_made() {
    let server = Rogue::start(Step::serve("x")).await;
    let session = session(Pool::builder().build().unwrap());
    let held = session.get(server.url("/")).await.unwrap();
    warm_up(&session, &server.url("/"), 0).await;
    session.pool().refresh();
    assert_eq!(held.text().await.unwrap(), "x");
    let next = session.get(server.url("/")).await.unwrap();
    assert!(!next.connection().reused);
    assert_eq!(session.stats().closed.by(CloseReason::Refreshed), 1);
}

#[tokio::test]
async fn p8_a_request_not_sent_to_its_end_spoils_its_connection() {
    // The server refuses at once; the body never ends. (A success would be awaited: see `duplex`.)
    let server = Rogue::start(|connection| match connection {
        0 => vec![Step::ReadHead, Step::respond(403, "early"), Step::Drain],
        _ => Step::serve("next"),
    })
    .await;
    let session = session(Pool::builder().build().unwrap());
    let endless = trunkline::Body::wrap(PendingBody);
    let response = within(SOON, session.post(server.url("/")).body(endless).send()).await.unwrap();
    assert_eq!(within(SOON, response.text()).await.unwrap(), "early");
    let stats = session.stats();
    assert_eq!((stats.open, stats.closed.by(CloseReason::Incomplete)), (0, 1), "{stats:?}");
    assert_eq!(session.get(server.url("/")).await.unwrap().text().await.unwrap(), "next");
}

/// A body that is never ready.
struct PendingBody;

impl http_body::Body for PendingBody {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
        std::task::Poll::Pending
    }
}
