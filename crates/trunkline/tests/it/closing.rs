//! The end of a session: drained, aborted, closed, awaited (P11); cancelled requests (P7).

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use trunkline::{Pool, Session, Timeouts};

use crate::support::{Gate, Rogue, Step, sockets_to};
use crate::{SOON, eventually, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p11_requests_within_the_grace_are_whole_and_the_rest_fail() {
    // Connections 0 to 24 answer after 300 ms, the others never.
    let server = Rogue::start(|connection| match connection {
        0..25 => vec![Step::ReadHead, Step::pause_ms(300), Step::ok("whole"), Step::Drain],
        _ => vec![Step::ReadHead, Step::send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), Step::Hold],
    })
    .await;
    let session = Session::new();
    let mut running = JoinSet::new();
    for _ in 0..50 {
        let request = session.get(server.url("/"));
        running.spawn(async move { request.await?.text().await });
    }
    server.wait_until(|log| log.requests.len() == 50).await;
    let unread = session.get(server.url("/held")).await.unwrap();
    let begun = Instant::now();
    let (one, other) = tokio::join!(session.close_within(Duration::from_secs(1)), session.close());
    let took = begun.elapsed();
    assert_eq!(one, other);
    assert_eq!((one.drained, one.aborted), (25, 26), "{one}");
    assert!(took >= Duration::from_millis(950) && took < Duration::from_secs(4), "{took:?}");
    assert_eq!(sockets_to(server.port()), []);
    assert_eq!(session.close().await, one);
    let (mut whole, mut closed) = (0, 0);
    while let Some(done) = running.join_next().await {
        match done.unwrap() {
            Ok(text) => {
                assert_eq!(text, "whole");
                whole += 1;
            }
            Err(error) => {
                assert!(error.is_closed(), "{error}");
                closed += 1;
            }
        }
    }
    assert_eq!((whole, closed), (25, 25));
    assert!(unread.text().await.unwrap_err().is_closed());
    let begun = Instant::now();
    assert!(session.get(server.url("/")).await.unwrap_err().is_closed());
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert_eq!(session.stats().open, 0);
}

#[tokio::test]
async fn p11_waiters_fail_at_once() {
    let server = Rogue::start(vec![Step::ReadHead, Step::Hold]).await;
    let session = Session::builder().pool(Pool::builder().limit(1).build().unwrap()).build().unwrap();
    let holder = tokio::spawn(session.get(server.url("/")).send());
    server.wait_until(|log| log.requests.len() == 1).await;
    let waiter = tokio::spawn(session.get(server.url("/")).send());
    eventually("it waits", || session.stats().waiting == 1).await;
    let closing = tokio::spawn({
        let session = session.clone();
        async move { session.close_within(Duration::from_secs(3)).await }
    });
    let begun = Instant::now();
    assert!(within(SOON, waiter).await.unwrap().unwrap_err().is_closed());
    // Long before the grace has passed.
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert!(within(SOON, holder).await.unwrap().unwrap_err().is_closed());
    // The waiter, too, was under way when the session was closed, and left by itself.
    assert_eq!(within(SOON, closing).await.unwrap().aborted, 1);
}

#[tokio::test]
async fn p11_a_dial_under_way_is_ended() {
    let deaf = crate::support::Deaf::start().await;
    let session = Session::new();
    let dialing = tokio::spawn(session.get(deaf.url("/")).send());
    eventually("it dials", || session.stats().dialing == 1).await;
    within(SOON, session.close_within(Duration::from_millis(50))).await;
    let error = dialing.await.unwrap().unwrap_err();
    assert!(error.is_closed(), "{error:#}");
    let left = sockets_to(deaf.port());
    assert!(left.len() <= deaf.queued(), "{left:?}");
}

#[tokio::test]
async fn p11_idle_connections_end_properly() {
    let server = Rogue::start(Step::serve("x")).await;
    let session = Session::new();
    session.get(server.url("/")).await.unwrap().bytes().await.unwrap();
    let report = within(SOON, session.close()).await;
    assert_eq!((report.drained, report.aborted, report.closed), (0, 0, 1));
    assert!(report.elapsed < Duration::from_secs(5), "{report}");
    server.wait_until(|log| log.open == 0).await;
}

#[tokio::test]
async fn p11_the_pool_closes_with_its_last_session() {
    let server = Rogue::start(Step::serve("x")).await;
    let pool = Pool::new();
    let open = || Session::builder().pool(pool.clone()).build().unwrap();
    let (one, other) = (open(), open());
    let held = one.get(server.url("/")).await.unwrap();
    let unread = tokio::spawn({
        let request = one.get(server.url("/never")).timeouts(Timeouts::new().total(Duration::from_secs(60)));
        async move { request.await }
    });
    assert_eq!(held.text().await.unwrap(), "x");
    unread.await.unwrap().unwrap();
    within(SOON, one.close()).await;
    assert!(one.get(server.url("/")).await.unwrap_err().is_closed());
    assert_eq!(other.get(server.url("/")).await.unwrap().text().await.unwrap(), "x");
    within(SOON, other.close()).await;
    assert_eq!(sockets_to(server.port()), []);
    assert!(Session::builder().pool(pool).build().unwrap_err().is_closed());
}

#[tokio::test]
async fn p11_a_session_ends_its_own_requests_and_no_others() {
    let server = Rogue::start(vec![Step::ReadHead, Step::Hold]).await;
    let pool = Pool::new();
    let open = || Session::builder().pool(pool.clone()).build().unwrap();
    let (one, other) = (open(), open());
    let ended = tokio::spawn(one.get(server.url("/one")).send());
    let spared = tokio::spawn(other.get(server.url("/other")).send());
    server.wait_until(|log| log.requests.len() == 2).await;
    let report = within(SOON, one.close_within(Duration::from_millis(100))).await;
    assert_eq!((report.aborted, report.closed), (1, 1), "{report}");
    assert!(ended.await.unwrap().unwrap_err().is_closed());
    assert!(!spared.is_finished());
    assert_eq!(pool.stats().in_use, 1);
}

#[tokio::test]
async fn p11_a_redirect_under_way_is_followed_to_its_end() {
    let gate = Gate::new();
    let held = gate.clone();
    let redirect = "HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n";
    let server = Rogue::start(move |connection| match connection {
        0 => vec![Step::ReadHead, Step::WaitFor(held.clone()), Step::send(redirect), Step::Drain],
        _ => Step::serve("there"),
    })
    .await;
    let session = Session::new();
    let request = session.get(server.url("/"));
    let under_way = tokio::spawn(async move { request.await?.text().await });
    gate.reached(1).await;
    let closing = tokio::spawn({
        let session = session.clone();
        async move { session.close().await }
    });
    eventually("it is closing", || {
        // A new session cannot be made of a closed pool.
        Session::builder().pool(session.pool().clone()).build().is_err()
    })
    .await;
    gate.open();
    assert_eq!(within(SOON, under_way).await.unwrap().unwrap(), "there");
    assert_eq!(within(SOON, closing).await.unwrap().drained, 1);
}

#[tokio::test]
async fn p11_scope_closes_on_success_error_and_panic() {
    let server = Rogue::start(Step::serve("x")).await;
    let url = server.url("/");
    let fetch = async |session: &Session| session.get(&url).await?.text().await;

    let session = Session::new();
    assert_eq!(session.clone().scope(fetch).await.unwrap(), "x");
    assert_eq!(sockets_to(server.port()), []);
    assert!(session.get(&url).await.unwrap_err().is_closed());

    let failed: Result<(), _> = Session::new()
        .scope(async |session| {
            fetch(session).await.map_err(|_| "not this")?;
            Err("this")
        })
        .await;
    assert_eq!(failed, Err("this"));
    assert_eq!(sockets_to(server.port()), []);

    let panicking = Session::new().scope(async |session| {
        fetch(session).await.unwrap();
        panic!("as planned");
    });
    let caught = futures_catch(panicking).await.unwrap_err();
    assert_eq!(caught.downcast_ref::<&str>(), Some(&"as planned"));
    assert_eq!(sockets_to(server.port()), []);
}

async fn futures_catch<T>(future: impl Future<Output = T>) -> std::thread::Result<T> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| match std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => std::task::Poll::Ready(Err(panic)),
    })
    .await
}

#[tokio::test]
async fn p7_a_waiter_that_is_given_up_delays_nobody() {
    let gate = Gate::new();
    let held = gate.clone();
    let server = Rogue::start(move |_| {
        let mut steps = vec![Step::ReadHead, Step::WaitFor(held.clone()), Step::ok("x")];
        steps.extend(Step::serve("x"));
        steps
    })
    .await;
    let session = Session::builder().pool(Pool::builder().limit(1).build().unwrap()).build().unwrap();
    let holder = tokio::spawn({
        let request = session.get(server.url("/holder"));
        async move { request.await?.text().await }
    });
    gate.reached(1).await;
    let given_up = tokio::spawn(session.get(server.url("/given-up")).send());
    eventually("one waits", || session.stats().waiting == 1).await;
    let next = tokio::spawn(session.get(server.url("/next")).send());
    eventually("two wait", || session.stats().waiting == 2).await;
    // Chosen and given up in the same instant: this thread runs both before the waiter is polled.
    gate.open();
    given_up.abort();
    within(SOON, holder).await.unwrap().unwrap();
    assert_eq!(within(SOON, next).await.unwrap().unwrap().text().await.unwrap(), "x");
    assert!(within(SOON, given_up).await.unwrap_err().is_cancelled());
    let paths: Vec<_> = server.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/holder", "/next"]);
}

#[tokio::test]
async fn p7_a_request_that_is_given_up_frees_its_slot_wherever_it_was() {
    let server = Rogue::start(vec![Step::ReadHead, Step::Hold]).await;
    let deaf = crate::support::Deaf::start().await;
    let session = Session::builder().pool(Pool::builder().limit(1).build().unwrap()).build().unwrap();
    for url in [server.url("/"), deaf.url("/")] {
        let cut_short = tokio::time::timeout(Duration::from_millis(60), session.get(url).send()).await;
        assert!(cut_short.is_err());
        let stats = session.stats();
        assert_eq!((stats.open, stats.waiting), (0, 0), "{stats:?}");
    }
    assert_eq!(sockets_to(server.port()), []);
}
