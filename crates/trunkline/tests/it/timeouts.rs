//! Time limits: the span of each; none is re-armed, and all hold without polling.

use std::time::{Duration, Instant};

use bytes::Bytes;
use trunkline::{CloseReason, Error, Phase, Pool, RequestSent, Resolve, Resolving, Response, Session, Timeouts};

use crate::exchange::fed;
use crate::support::{Deaf, Gate, Rogue, Step};
use crate::{SOON, eventually, within};

const SHORT: Duration = Duration::from_millis(200);
/// Far longer than any test: it must not be what ends it.
const LONG: Duration = Duration::from_secs(100);
const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n";

fn session(timeouts: Timeouts) -> Session {
    Session::builder().timeouts(timeouts).build().unwrap()
}

fn one_connection(timeouts: Timeouts) -> Session {
    Session::builder().pool(Pool::builder().limit(1).build().unwrap()).timeouts(timeouts).build().unwrap()
}

async fn send(session: &Session, url: String) -> trunkline::Result<Response> {
    within(SOON, session.get(url).send()).await
}

/// It ended by a deadline, in that phase, and not before `after`.
fn is_timeout(error: &Error, phase: Phase, begun: Instant, after: Duration) {
    assert!(error.is_timeout() && !error.is_body() && !error.is_closed(), "{error:?}");
    assert_eq!(error.phase(), Some(phase), "{error:?}");
    let connecting = matches!(phase, Phase::Resolve | Phase::Connect | Phase::Tls);
    assert_eq!(error.is_connect(), connecting, "{error:?}");
    assert!(begun.elapsed() >= after, "after {:?}", begun.elapsed());
    assert!(error.to_string().contains("timed out"), "{error}");
}

#[tokio::test]
async fn total_ends_the_wait_for_a_head() {
    let rogue = Rogue::start(vec![Step::ReadHead, Step::Drain]).await;
    let session = session(Timeouts::new().total(SHORT));
    let begun = Instant::now();
    let error = send(&session, rogue.url("/path?token=secret")).await.unwrap_err();
    is_timeout(&error, Phase::Response, begun, SHORT);
    assert_eq!(error.request_sent(), RequestSent::Maybe);
    let text = error.to_string();
    assert!(text.starts_with(&format!("GET {}: ", rogue.url("/path"))) && text.contains("`total`"), "{text}");
    let stats = session.stats();
    assert_eq!((stats.open, stats.closed.by(CloseReason::Deadline)), (0, 1), "{stats:?}");
    rogue.wait_until(|log| log.open == 0).await;
}

#[tokio::test]
async fn total_ends_a_body_that_stops_and_one_that_never_does() {
    let stops = vec![Step::send(format!("{HEAD}half")), Step::Drain];
    let drips = vec![Step::send(HEAD), Step::send_slowly([b'x'; 99], Duration::from_millis(50)), Step::Drain];
    for rest in [stops, drips] {
        let rogue = Rogue::start([vec![Step::ReadHead], rest].concat()).await;
        let session = session(Timeouts::new().total(SHORT));
        let begun = Instant::now();
        let mut response = send(&session, rogue.url("/")).await.unwrap();
        let error = loop {
            match within(SOON, response.chunk()).await {
                Ok(chunk) => assert!(chunk.is_some()),
                Err(error) => break error,
            }
        };
        is_timeout(&error, Phase::Body, begun, SHORT);
        assert_eq!(error.request_sent(), RequestSent::Yes);
        assert_eq!(session.stats().open, 0);
    }
}

#[tokio::test]
async fn total_ends_an_upload_that_the_server_does_not_read() {
    let rogue = Rogue::start(vec![Step::ReadHead, Step::Hold]).await;
    let session = session(Timeouts::new().total(SHORT));
    let begun = Instant::now();
    let request = session.put(rogue.url("/")).body(vec![0; 64 << 20]);
    let error = within(SOON, request.send()).await.unwrap_err();
    is_timeout(&error, Phase::Response, begun, SHORT);
    assert_eq!(error.request_sent(), RequestSent::Maybe);
}

#[tokio::test]
async fn total_is_not_armed_again_by_redirects() {
    let hop = "HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n";
    let rogue = Rogue::start(vec![Step::Loop(vec![Step::ReadHead, Step::pause_ms(150), Step::send(hop)])]).await;
    let limit = Duration::from_millis(500);
    let begun = Instant::now();
    let error = send(&session(Timeouts::new().total(limit)), rogue.url("/")).await.unwrap_err();
    is_timeout(&error, Phase::Response, begun, limit);
    let hops = rogue.requests().len();
    assert!((2..=4).contains(&hops), "{hops}");
}

#[tokio::test]
async fn total_is_not_armed_again_by_the_head() {
    let body = [b'x'; 100];
    let steps = vec![Step::ReadHead, Step::pause_ms(300), Step::send(HEAD), Step::pause_ms(400), Step::send(body)];
    let rogue = Rogue::start([steps, vec![Step::Drain]].concat()).await;
    let limit = Duration::from_millis(500);
    let begun = Instant::now();
    let response = send(&session(Timeouts::new().total(limit)), rogue.url("/")).await.unwrap();
    let error = within(SOON, response.bytes()).await.unwrap_err();
    is_timeout(&error, Phase::Body, begun, limit);
}

#[tokio::test]
async fn read_ends_a_silent_head_and_a_silent_body() {
    let silent_head = vec![Step::ReadHead, Step::Drain];
    let half_a_head = vec![Step::ReadHead, Step::send("HTTP/1.1 200 OK\r\nContent-"), Step::Drain];
    let silent_body = vec![Step::ReadHead, Step::send(format!("{HEAD}half")), Step::Drain];
    for (steps, phase, sent) in [
        (silent_head, Phase::Response, RequestSent::Maybe),
        (half_a_head, Phase::Response, RequestSent::Yes),
        (silent_body, Phase::Body, RequestSent::Yes),
    ] {
        let rogue = Rogue::start(steps).await;
        let session = session(Timeouts::new().total(LONG).read(SHORT));
        let begun = Instant::now();
        let outcome = within(SOON, async { session.get(rogue.url("/")).await?.bytes().await }).await;
        let error = outcome.unwrap_err();
        is_timeout(&error, phase, begun, SHORT);
        assert_eq!(error.request_sent(), sent, "{error:?}");
        assert!(error.to_string().contains("`read`"), "{error}");
        let stats = session.stats();
        assert_eq!((stats.open, stats.closed.by(CloseReason::Silence)), (0, 1), "{stats:?}");
    }
}

#[tokio::test]
async fn read_leaves_a_slow_but_steady_body_alone() {
    let gap = Duration::from_millis(40);
    let steps = vec![Step::ReadHead, Step::send(HEAD), Step::send_slowly([b'x'; 30], gap), Step::send([b'x'; 70])];
    let rogue = Rogue::start([steps, vec![Step::Drain]].concat()).await;
    let session = session(Timeouts::new().read(Duration::from_millis(600)));
    let begun = Instant::now();
    let body = within(SOON, async { session.get(rogue.url("/")).await?.bytes().await }).await.unwrap();
    assert_eq!(body.len(), 100);
    assert!(begun.elapsed() > Duration::from_millis(1200));
}

#[tokio::test]
async fn read_leaves_a_slow_but_steady_upload_alone() {
    let rogue = Rogue::start(Step::serve("ok")).await;
    let session = session(Timeouts::new().read(Duration::from_millis(600)));
    let (upload, body) = fed();
    let feeding = tokio::spawn(async move {
        for _ in 0..30 {
            tokio::time::sleep(Duration::from_millis(40)).await;
            upload.send(Ok(Bytes::from_static(b"piece"))).unwrap();
        }
    });
    let begun = Instant::now();
    let request = session.post(rogue.url("/")).body(body);
    assert_eq!(within(SOON, async { request.await?.text().await }).await.unwrap(), "ok");
    assert!(begun.elapsed() > Duration::from_millis(1200));
    feeding.await.unwrap();
    assert_eq!(rogue.requests()[0].body.len(), 150);
}

#[tokio::test]
async fn connect_ends_a_dial_that_nobody_answers() {
    let deaf = Deaf::start().await;
    let session = session(Timeouts::new().total(LONG).connect(SHORT));
    let begun = Instant::now();
    let error = send(&session, deaf.url("/path?token=secret")).await.unwrap_err();
    is_timeout(&error, Phase::Connect, begun, SHORT);
    assert_eq!(error.request_sent(), RequestSent::No);
    assert!(error.to_string().contains(&format!("no answer from {}", deaf.address())), "{error}");
    let stats = session.stats();
    assert_eq!((stats.open, stats.dials_failed), (0, 1), "{stats:?}");
    let left = crate::support::sockets_to(deaf.port());
    assert!(left.len() <= deaf.queued(), "{left:?}");
}

#[tokio::test]
async fn total_ends_a_dial_too() {
    let deaf = Deaf::start().await;
    let begun = Instant::now();
    let error = send(&session(Timeouts::new().total(SHORT).connect(LONG)), deaf.url("/")).await.unwrap_err();
    is_timeout(&error, Phase::Connect, begun, SHORT);
}

#[tokio::test]
async fn connect_ends_a_tls_handshake_that_does_not_go_on() {
    let silent = Rogue::start(vec![Step::Drain]).await;
    let begun = Instant::now();
    let url = silent.url("/").replace("http://", "https://");
    // TLS reads the platform's roots once, which may take longer than `SHORT` by itself.
    let limit = Duration::from_millis(1500);
    let error = send(&session(Timeouts::new().connect(limit)), url).await.unwrap_err();
    is_timeout(&error, Phase::Tls, begun, limit);
    assert!(error.to_string().contains(&silent.address().to_string()), "{error}");
    silent.wait_until(|log| log.open == 0).await;
}

#[tokio::test]
async fn connect_ends_a_lookup_that_does_not_answer() {
    struct Silent;
    impl Resolve for Silent {
        fn resolve(&self, _: &str) -> Resolving {
            Box::pin(std::future::pending())
        }
    }
    let pool = Pool::builder().resolver(Silent).build().unwrap();
    let session = Session::builder().pool(pool).timeouts(Timeouts::new().connect(SHORT)).build().unwrap();
    let begun = Instant::now();
    let error = send(&session, "http://site.test/".into()).await.unwrap_err();
    is_timeout(&error, Phase::Resolve, begun, SHORT);
    assert!(error.to_string().contains("site.test"), "{error}");
}

#[tokio::test]
async fn p13_a_wait_that_ran_out_says_who_holds_the_connections() {
    for limits in [Timeouts::new().acquire(SHORT), Timeouts::new().total(SHORT)] {
        let gate = Gate::new();
        let rogue =
            Rogue::start(vec![Step::ReadHead, Step::WaitFor(gate.clone()), Step::ok("held"), Step::Drain]).await;
        let session = one_connection(Timeouts::new());
        let holder = tokio::spawn(session.delete(rogue.url("/held?token=secret")).send());
        gate.reached(1).await;
        let begun = Instant::now();
        let waiting = session.get(rogue.url("/waiting")).timeouts(limits);
        let error = within(SOON, waiting.send()).await.unwrap_err();
        is_timeout(&error, Phase::Acquire, begun, SHORT);
        assert_eq!(error.request_sent(), RequestSent::No);
        let text = error.to_string();
        for part in [
            "limit 1 (1 in use, 0 idle, 0 dialing, 1 waiting)",
            "limit per host none",
            "the oldest has been in use for ",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.contains(&format!("by DELETE {}", rogue.address())), "{text}");
        assert!(!text.contains("secret") && !text.contains("/held"), "{text}");
        assert_eq!(session.stats().waiting, 0);
        gate.open();
        assert_eq!(within(SOON, holder).await.unwrap().unwrap().text().await.unwrap(), "held");
    }
}

#[tokio::test]
async fn acquire_is_about_the_wait_alone() {
    let rogue = Rogue::start(vec![Step::Loop(vec![Step::ReadHead, Step::pause_ms(400), Step::ok("late")])]).await;
    let session = one_connection(Timeouts::new().acquire(SHORT));
    let response = send(&session, rogue.url("/")).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "late");
    // Neither does a wait that came to its end in time count against what follows.
    let (one, two) = within(SOON, async {
        let quick = session.get(rogue.url("/")).timeouts(Timeouts::new().acquire(LONG));
        tokio::join!(async { session.get(rogue.url("/")).await?.text().await }, async { quick.await?.text().await })
    })
    .await;
    assert_eq!((one.unwrap(), two.unwrap()), ("late".to_owned(), "late".to_owned()));
}

#[tokio::test]
async fn a_requests_limits_replace_the_sessions_one_by_one() {
    let rogue = Rogue::start(vec![Step::ReadHead, Step::Drain]).await;
    let cases = [
        // (the session's, the request's, which of them ends it)
        (Timeouts::new().total(SHORT), Timeouts::new().read(LONG), "`total`"),
        (Timeouts::new().total(LONG).read(LONG), Timeouts::new().read(SHORT), "`read`"),
        (Timeouts::new().read(LONG), Timeouts::new().total(SHORT), "`total`"),
        (Timeouts::new().read(SHORT), Timeouts::new().total(LONG), "`read`"),
    ];
    for (own, request, ended_by) in cases {
        let session = session(own);
        let error = within(SOON, session.get(rogue.url("/")).timeouts(request).send()).await.unwrap_err();
        assert!(error.is_timeout() && error.to_string().contains(ended_by), "{error:?}");
    }
    // Set twice, the later one holds, and what it leaves unset the earlier one.
    let request = session(Timeouts::new()).get(rogue.url("/"));
    let request = request.timeouts(Timeouts::new().read(SHORT).total(LONG)).timeouts(Timeouts::new().connect(LONG));
    assert!(within(SOON, request.send()).await.unwrap_err().to_string().contains("`read`"));
}

#[tokio::test]
async fn a_longer_limit_of_a_request_s_own_lets_it_finish() {
    let rogue = Rogue::start(vec![Step::ReadHead, Step::pause_ms(500), Step::ok("late"), Step::Drain]).await;
    let session = session(Timeouts::new().total(SHORT).read(SHORT));
    let patient = session.get(rogue.url("/")).timeouts(Timeouts::new().total(LONG).read(LONG));
    assert_eq!(within(SOON, async { patient.await?.text().await }).await.unwrap(), "late");
}

#[tokio::test]
async fn an_unread_response_ends_at_its_deadline_and_frees_its_slot() {
    let rogue = Rogue::start(|connection| match connection {
        0 => vec![Step::ReadHead, Step::send(format!("{HEAD}half")), Step::Drain],
        _ => Step::serve("next"),
    })
    .await;
    let session = one_connection(Timeouts::new());
    let begun = Instant::now();
    let unread = session.get(rogue.url("/unread")).timeouts(Timeouts::new().total(SHORT));
    let mut unread = within(SOON, unread.send()).await.unwrap();
    assert_eq!(session.stats().in_use, 1);
    let next = async { session.get(rogue.url("/next")).await?.text().await };
    assert_eq!(within(SOON, next).await.unwrap(), "next");
    assert!(begun.elapsed() >= SHORT);
    let stats = session.stats();
    assert_eq!((stats.in_use, stats.closed.by(CloseReason::Deadline)), (0, 1), "{stats:?}");
    let error = loop {
        match within(SOON, unread.chunk()).await {
            Ok(chunk) => assert_eq!(chunk.unwrap(), "half"),
            Err(error) => break error,
        }
    };
    is_timeout(&error, Phase::Body, begun, SHORT);
}

#[tokio::test]
async fn a_complete_unread_response_is_freed_at_its_deadline() {
    let rogue = Rogue::start(Step::serve("whole")).await;
    let session = one_connection(Timeouts::new().total(SHORT));
    let unread = send(&session, rogue.url("/")).await.unwrap();
    eventually("its place is free", || session.stats().in_use == 0).await;
    assert_eq!(session.stats().open, 0);
    drop(unread);
    assert_eq!(session.stats().closed.by(CloseReason::Deadline), 1);
}

#[tokio::test]
async fn no_limit_that_the_clock_can_hold_is_too_large() {
    let rogue = Rogue::start(Step::serve("ok")).await;
    let session = one_connection(Timeouts::none());
    for _ in 0..2 {
        let text = within(SOON, async { session.get(rogue.url("/")).await?.text().await }).await;
        assert_eq!(text.unwrap(), "ok");
    }
}

#[tokio::test]
async fn a_request_can_lift_the_limits_that_it_inherits() {
    let gate = Gate::new();
    let rogue = Rogue::start(vec![Step::ReadHead, Step::WaitFor(gate.clone()), Step::ok("late")]).await;
    let session = session(Timeouts::new().total(SHORT).read(SHORT).acquire(SHORT).connect(SHORT));
    let request = tokio::spawn(session.get(rogue.url("/")).timeouts(Timeouts::none()).send());
    gate.reached(1).await;
    tokio::time::sleep(3 * SHORT).await;
    assert!(!request.is_finished());
    gate.open();
    assert_eq!(within(SOON, request).await.unwrap().unwrap().text().await.unwrap(), "late");
}

#[tokio::test]
async fn a_limit_of_nothing_has_always_passed() {
    let rogue = Rogue::start(vec![Step::ReadHead, Step::Drain]).await;
    let session = session(Timeouts::new().total(Duration::ZERO));
    assert!(send(&session, rogue.url("/")).await.unwrap_err().is_timeout());
    assert_eq!(session.stats().open, 0);
}

#[tokio::test]
async fn read_is_about_the_server_and_not_about_a_slow_reader() {
    let nginx = crate::support::Nginx::start().await;
    let session = Session::new();
    let limit = Timeouts::new().read(Duration::from_millis(500));
    let mut response = session.get(nginx.url("/big")).timeouts(limit).await.unwrap();
    let mut size = 0;
    for _ in 0..3 {
        size += within(SOON, response.chunk()).await.unwrap().unwrap().len();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    while let Some(chunk) = within(SOON, response.chunk()).await.unwrap() {
        size += chunk.len();
    }
    assert_eq!(size as u64, crate::support::nginx::BIG);
}

#[tokio::test]
async fn nothing_is_sent_once_the_deadline_has_passed() {
    let moved = "HTTP/1.1 307 Moved\r\nLocation: /there\r\nContent-Length: 8\r\n\r\nhalf";
    let gate = Gate::new();
    let held = gate.clone();
    let rogue = Rogue::start(move |connection| match connection {
        // It is the last to be used, and so the first to be used again.
        0 => vec![
            Step::ReadHead,
            Step::WaitFor(held.clone()),
            Step::ok(""),
            Step::ReadHead,
            Step::send(moved),
            Step::Hold,
        ],
        _ => Step::serve(""),
    })
    .await;
    let session = session(Timeouts::new());
    let first = tokio::spawn(session.get(rogue.url("/first")).send());
    gate.reached(1).await;
    send(&session, rogue.url("/second")).await.unwrap().bytes().await.unwrap();
    gate.open();
    within(SOON, first).await.unwrap().unwrap().bytes().await.unwrap();
    assert_eq!(session.stats().idle, 2);
    let begun = Instant::now();
    let request = session.put(rogue.url("/here")).timeouts(Timeouts::new().total(SHORT));
    let error = within(SOON, request.send()).await.unwrap_err();
    assert!(error.is_timeout() && begun.elapsed() >= SHORT, "{error:?}");
    assert_eq!(error.request_sent(), RequestSent::Yes);
    // It would have been there by now.
    send(&session, rogue.url("/third")).await.unwrap();
    let paths: Vec<_> = rogue.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/first", "/second", "/here", "/third"]);
}
