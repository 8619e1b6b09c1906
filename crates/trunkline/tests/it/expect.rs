//! `Expect: 100-continue`: the wait before the body, and its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::stream;
use http::StatusCode;
use trunkline::{Body, Session, Timeouts};

use crate::support::{Gate, Httpbin, Nginx, Rogue, Step};
use crate::{SOON, within};

const SECOND: Duration = Duration::from_secs(1);

/// A body that can be sent once, and whether it was begun.
fn noted() -> (Body, Arc<AtomicBool>) {
    let begun = Arc::new(AtomicBool::new(false));
    let noting = begun.clone();
    let body = Body::stream(stream::once(async move {
        noting.store(true, Ordering::Relaxed);
        Ok::<_, std::io::Error>("the body")
    }));
    (body, begun)
}

#[tokio::test]
async fn the_body_waits_for_the_100() {
    let go = Gate::new();
    let rogue = Rogue::start(vec![
        Step::ReadHead,
        Step::send("HTTP/1.1 103 Early Hints\r\n\r\n"),
        Step::WaitFor(go.clone()),
        Step::send("HTTP/1.1 100 Continue\r\n\r\n"),
        Step::ReadBody,
        Step::ok("done"),
        Step::Drain,
    ])
    .await;
    let session = Session::new();
    let (body, sent) = noted();
    let begun = Instant::now();
    let response = tokio::spawn(session.post(rogue.url("/")).body(body).expect_continue(true).send());
    within(SOON, go.reached(1)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!sent.load(Ordering::Relaxed));
    go.open();
    let response = within(SOON, response).await.unwrap().unwrap();
    assert!(begun.elapsed() < SECOND, "it did not wait for the time to pass");
    assert_eq!(response.text().await.unwrap(), "done");
    let seen = rogue.requests().pop().unwrap();
    assert_eq!((seen.header("expect"), seen.body.as_slice()), (Some("100-continue"), &b"the body"[..]));
    assert_eq!(session.stats().idle, 1);
}

#[tokio::test]
async fn the_body_goes_after_a_second_and_that_is_no_silence() {
    let rogue = Rogue::start(Step::serve("done")).await;
    let session = Session::builder().timeouts(Timeouts::new().read(Duration::from_millis(700))).build().unwrap();
    for _ in 0..2 {
        let begun = Instant::now();
        let (body, _) = noted();
        // A header set by hand does the same.
        let request = session.post(rogue.url("/")).body(body).header("expect", "100-Continue");
        let response = within(SOON, request.send()).await.unwrap();
        assert!(begun.elapsed() >= SECOND && begun.elapsed() < SECOND * 3, "{:?}", begun.elapsed());
        assert_eq!(response.text().await.unwrap(), "done");
    }
    assert_eq!(session.stats().created, 1);

    let rogue = Rogue::start(vec![Step::ReadHead, Step::Hold]).await;
    let begun = Instant::now();
    let error = within(SOON, session.post(rogue.url("/")).body("x").expect_continue(true).send()).await.unwrap_err();
    assert!(error.is_timeout() && begun.elapsed() >= SECOND, "{error:?}");
}

#[tokio::test]
async fn a_final_status_comes_at_once_and_the_body_never_goes() {
    for status in [400, 401, 403, 413, 500] {
        let rogue = Rogue::start(move |connection| match connection {
            // Its body comes after the time at which the request's would go.
            0 => vec![
                Step::ReadHead,
                Step::send(format!("HTTP/1.1 {status} No\r\nContent-Length: 4\r\n\r\nno")),
                Step::pause_ms(1200),
                Step::send("no"),
                Step::ReadBody,
            ],
            _ => Step::serve("next"),
        })
        .await;
        let session = Session::new();
        let (body, sent) = noted();
        let begun = Instant::now();
        let request = session.post(rogue.url("/")).body(body).expect_continue(true);
        let response = within(SOON, request.send()).await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        assert!(begun.elapsed() < SECOND);
        assert_eq!(within(SOON, response.text()).await.unwrap(), "nono");
        assert!(!sent.load(Ordering::Relaxed), "{status}");
        // The server may take the next bytes for the body: the connection is not reusable.
        assert_eq!((session.stats().open, session.stats().closed.total()), (0, 1));
        within(SOON, session.get(rogue.url("/")).send()).await.unwrap();
        let seen = rogue.requests();
        assert_eq!((seen[0].length, seen[1].connection), (0, 1));
    }
}

#[tokio::test]
async fn after_417_the_request_is_sent_without() {
    let rogue = Rogue::start(|connection| match connection {
        0 => vec![Step::ReadHead, Step::respond(417, "not here"), Step::Hold],
        _ => Step::serve("done"),
    })
    .await;
    let session = Session::new();
    // Even one that can be sent only once: not a byte of it has gone.
    let (body, _) = noted();
    let request = session.post(rogue.url("/")).body(body).expect_continue(true);
    let response = within(SOON, request.send()).await.unwrap();
    assert!(response.history().is_empty());
    assert_eq!(response.text().await.unwrap(), "done");
    let seen = rogue.requests();
    assert_eq!((seen.len(), seen[0].header("expect"), seen[1].header("expect")), (2, Some("100-continue"), None));
    assert_eq!(seen[1].body, b"the body");

    // A 417 that answers something else is an answer like any other.
    let rogue = Rogue::start(vec![Step::Loop(vec![Step::ReadHead, Step::ReadBody, Step::respond(417, "")])]).await;
    let response = within(SOON, session.post(rogue.url("/")).body("x").send()).await.unwrap();
    assert_eq!((response.status(), rogue.requests().len()), (StatusCode::EXPECTATION_FAILED, 1));
    // Nor is it tried a third time.
    let response = within(SOON, session.post(rogue.url("/")).body("x").expect_continue(true).send()).await.unwrap();
    assert_eq!((response.status(), rogue.requests().len()), (StatusCode::EXPECTATION_FAILED, 3));
}

#[tokio::test]
async fn a_redirect_takes_along_a_body_that_has_not_gone() {
    let moved = "HTTP/1.1 307 Moved\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n";
    let rogue = Rogue::start(move |connection| match connection {
        0 => vec![Step::ReadHead, Step::send(moved), Step::Hold],
        _ => vec![Step::ReadHead, Step::send("HTTP/1.1 100 Continue\r\n\r\n"), Step::ReadBody, Step::ok("there")],
    })
    .await;
    let (body, _) = noted();
    let request = Session::new().post(rogue.url("/")).body(body).expect_continue(true);
    let begun = Instant::now();
    assert_eq!(within(SOON, async { request.await?.text().await }).await.unwrap(), "there");
    assert!(begun.elapsed() < SECOND);
    assert_eq!(rogue.requests()[1].body, b"the body");
    assert_eq!(rogue.requests()[1].header("expect"), Some("100-continue"));
}

#[tokio::test]
async fn a_request_without_a_body_expects_nothing() {
    let moved = "HTTP/1.1 303 Moved\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n";
    let rogue =
        Rogue::start([vec![Step::ReadHead, Step::ReadBody, Step::send(moved)], Step::serve("there")].concat()).await;
    let session = Session::new();
    let request = session.post(rogue.url("/")).body("x").expect_continue(true);
    within(SOON, request.send()).await.unwrap();
    let dir = crate::support::TempDir::new("empty");
    let empty = Body::file(dir.write("empty", ""));
    within(SOON, session.post(rogue.url("/")).body(empty).expect_continue(true).send()).await.unwrap();
    within(SOON, session.get(rogue.url("/")).expect_continue(true).send()).await.unwrap();
    within(SOON, session.get(rogue.url("/")).header("expect", "100-continue").send()).await.unwrap();
    let expected: Vec<_> = rogue.requests().iter().map(|request| request.header("expect").is_some()).collect();
    assert_eq!(expected, [true, false, false, false, false]);
}

#[tokio::test]
async fn success_before_the_100_lets_the_body_go() {
    let rogue = Rogue::start(vec![
        Step::ReadHead,
        Step::send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf"),
        Step::ReadBody,
        Step::send("half"),
        Step::Drain,
    ])
    .await;
    let session = Session::new();
    let (body, _) = noted();
    let begun = Instant::now();
    let request = session.post(rogue.url("/")).body(body).expect_continue(true);
    assert_eq!(within(SOON, async { request.await?.text().await }).await.unwrap(), "halfhalf");
    assert!(begun.elapsed() < SECOND);
    assert_eq!(rogue.requests()[0].body, b"the body");
    assert_eq!(session.stats().idle, 1);
}

#[tokio::test]
async fn nginx_and_gunicorn_ask_for_the_body_or_refuse_it() {
    let (nginx, httpbin) = (Nginx::start().await, Httpbin::shared().await);
    let session = Session::new();
    let begun = Instant::now();
    let upload = |size: usize| session.post(nginx.url("/upload")).body(vec![0; size]).expect_continue(true);
    assert_eq!(within(SOON, async { upload(1 << 20).await?.text().await }).await.unwrap(), "took 1048576 bytes\n");
    assert_eq!(within(SOON, upload(2 << 20).send()).await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
    let echo = session.post(httpbin.url("/post")).body("to gunicorn").expect_continue(true);
    let seen: serde_json::Value = within(SOON, async { echo.await?.json().await }).await.unwrap();
    assert_eq!((&seen["data"], &seen["headers"]["Expect"]), (&"to gunicorn".into(), &"100-continue".into()));
    assert!(begun.elapsed() < SECOND * 2, "the wait for 100 ran out");
}
