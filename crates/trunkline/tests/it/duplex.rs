//! Responses read while the request's body is still being sent.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use trunkline::{Body, Pool, Session, Timeouts};

use crate::exchange::fed;
use crate::support::{Gate, Nginx, Rogue, Step, TestCa};
use crate::{SOON, within};

const PIECE: usize = 64 * 1024;

/// Pieces that differ, so that none can take another's place.
fn pieces(count: usize) -> impl Iterator<Item = Bytes> {
    (0..count).map(|n| Bytes::from([&n.to_le_bytes()[..], &vec![n as u8; PIECE - 8]].concat()))
}

fn body(count: usize) -> Body {
    Body::stream(stream::iter(pieces(count)).map(Ok::<_, io::Error>))
}

/// Reads the echo with a pause after each chunk and compares it with the pieces sent.
async fn comes_back(mut response: trunkline::Response, count: usize, pause: Duration) {
    let mut expected = pieces(count).flatten();
    let mut length = 0;
    while let Some(chunk) = within(SOON, response.chunk()).await.unwrap() {
        assert!(chunk.iter().copied().eq(expected.by_ref().take(chunk.len())), "after {length} bytes");
        length += chunk.len();
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
    assert_eq!(length, count * PIECE);
}

#[tokio::test]
async fn both_directions_flow_at_once_through_an_echo() {
    // Far more than both sockets' buffers hold: either direction alone would stand still.
    const COUNT: usize = 256;
    let ca = TestCa::new();
    let echo = || vec![Step::Loop(vec![Step::ReadHead, Step::Echo])];
    for rogue in [Rogue::start(echo()).await, Rogue::tls(&ca, echo()).await] {
        let pool = Pool::builder().add_root_certificate(ca.pem()).build().unwrap();
        let session = Session::builder().pool(pool).build().unwrap();
        for body in [body(COUNT), body(COUNT).with_length((COUNT * PIECE) as u64)] {
            let response = within(SOON, session.post(rogue.url("/")).body(body).send()).await.unwrap();
            comes_back(response, COUNT, Duration::ZERO).await;
        }
        assert_eq!((session.stats().created, session.stats().idle), (1, 1));
    }
}

#[tokio::test]
async fn a_slow_reader_slows_the_upload_down_and_loses_nothing() {
    let rogue = Rogue::start(vec![Step::ReadHead, Step::Echo, Step::Drain]).await;
    let session = Session::new();
    let response = within(SOON, session.post(rogue.url("/")).body(body(128)).send()).await.unwrap();
    // The connection is not polled meanwhile.
    tokio::time::sleep(Duration::from_millis(100)).await;
    comes_back(response, 128, Duration::from_micros(200)).await;
    assert_eq!(session.stats().idle, 1);
}

#[tokio::test]
async fn a_conversation_goes_back_and_forth_within_one_exchange() {
    let rogue = Rogue::start(vec![Step::ReadHead, Step::Echo, Step::Drain]).await;
    let (upload, body) = fed();
    let mut response = within(SOON, Session::new().post(rogue.url("/")).body(body).send()).await.unwrap();
    for turn in 0..50 {
        let said = Bytes::from(format!("turn {turn}"));
        upload.send(Ok(said.clone())).unwrap();
        assert_eq!(within(SOON, response.chunk()).await.unwrap().unwrap(), said);
    }
    drop(upload);
    assert_eq!(within(SOON, response.chunk()).await.unwrap(), None);
}

#[tokio::test]
async fn one_response_can_be_the_body_of_another_request() {
    let source = Rogue::start(vec![Step::ReadHead, Step::ok(vec![b'x'; 3 << 20]), Step::Drain]).await;
    let target = Rogue::start(vec![Step::ReadHead, Step::CountBody, Step::ok("taken"), Step::Drain]).await;
    let session = Session::new();
    let from = within(SOON, session.get(source.url("/")).send()).await.unwrap();
    let to = session.put(target.url("/")).body(Body::wrap(from.into_body()));
    assert_eq!(within(SOON, async { to.await?.text().await }).await.unwrap(), "taken");
    let seen = target.requests().pop().unwrap();
    assert_eq!((seen.header("content-length"), seen.length), (Some("3145728"), 3 << 20));
    assert_eq!(session.stats().idle, 2);
}

/// Far more than both sockets' buffers hold.
const UPLOAD: usize = 256;

/// Answers without waiting for the body, and reads that when it may.
fn hasty(answer: &str, go: &Gate) -> Vec<Step> {
    vec![Step::Loop(vec![Step::ReadHead, Step::send(answer), Step::WaitFor(go.clone()), Step::CountBody])]
}

#[tokio::test]
async fn a_success_before_the_body_has_gone_does_not_cut_it_off() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n0\r\n\r\n",
        "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 204 No\r\n\r\n",
    ] {
        let go = Gate::new();
        let rogue = Rogue::start(hasty(answer, &go)).await;
        let session = Session::new();
        for number in 1..=2 {
            let request = session.put(rogue.url("/")).body(body(UPLOAD));
            let sending = tokio::spawn(async move { request.await?.bytes().await });
            within(SOON, go.reached(number)).await;
            go.open();
            within(SOON, sending).await.unwrap().unwrap();
            let log =
                within(SOON, rogue.wait_until(|log| log.requests.len() == number && log.requests[number - 1].whole));
            assert_eq!(log.await.requests[number - 1].length, (UPLOAD * PIECE) as u64, "{answer}");
        }
        assert_eq!((session.stats().created, session.stats().idle), (1, 1), "{answer}");
    }
}

#[tokio::test]
async fn an_answer_that_has_no_need_of_the_rest_ends_it() {
    for answer in [
        "HTTP/1.1 400 No\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nyes",
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    ] {
        let rogue = Rogue::start(vec![Step::ReadHead, Step::send(answer), Step::Hold]).await;
        let session = Session::new();
        let response = within(SOON, session.put(rogue.url("/")).body(body(UPLOAD)).send()).await.unwrap();
        within(SOON, response.bytes()).await.unwrap();
        assert_eq!((session.stats().open, session.stats().closed.total()), (0, 1), "{answer}");
    }
}

#[tokio::test]
async fn a_server_that_leaves_after_its_success_has_had_enough() {
    let (close, reset, fin) = (&[Step::Close][..], &[Step::Reset][..], &[Step::Fin, Step::Hold][..]);
    for (answer, leaves) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes", &[close, reset, fin][..]),
        ("HTTP/1.1 204 No\r\n\r\n", &[close, reset, fin]),
        ("HTTP/1.1 204 No\r\n\r\nbut more", &[close, reset]),
    ] {
        for leave in leaves {
            let rogue = Rogue::start([&[Step::ReadHead, Step::send(answer)], *leave].concat()).await;
            let session = Session::new();
            let request = session.put(rogue.url("/")).body(body(UPLOAD));
            within(SOON, async { request.await?.bytes().await }).await.unwrap();
            assert_eq!((session.stats().open, session.stats().closed.total()), (0, 1), "{leave:?} {answer}");
        }
    }
}

#[tokio::test]
async fn a_successful_upload_arrives_though_the_session_closes() {
    const STEP: usize = 16 * 1024;
    let ca = TestCa::new();
    // Bisects the number of steps that both sockets' buffers take while the server reads nothing.
    let (mut gone, mut stuck) = (0, 1024);
    while stuck - gone > 1 {
        let (size, go) = ((gone + stuck) / 2, Gate::new());
        let script = [&hasty("HTTP/1.1 204 No\r\n\r\n", &go)[..], &[Step::Drain]].concat();
        let rogue = Rogue::tls(&ca, script).await;
        let pool = Pool::builder().add_root_certificate(ca.pem()).build().unwrap();
        let session = Session::builder().pool(pool).build().unwrap();
        let mut sending = tokio::spawn(session.put(rogue.url("/")).body(vec![b'x'; size * STEP]).send());
        within(SOON, go.reached(1)).await;
        let Ok(sent) = tokio::time::timeout(Duration::from_millis(250), &mut sending).await else {
            sending.abort();
            stuck = size;
            continue;
        };
        gone = size;
        sent.unwrap().unwrap();
        within(SOON, session.pool().close()).await;
        go.open();
        within(SOON, rogue.wait_until(|log| log.requests.first().is_some_and(|request| request.whole))).await;
    }
    assert!(gone > 0);
}

#[tokio::test]
async fn a_response_that_is_dropped_drops_the_rest_of_its_request() {
    let rogue = Rogue::start(hasty("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes", &Gate::new())).await;
    let session = Session::new();
    drop(within(SOON, session.put(rogue.url("/")).body(body(UPLOAD)).send()).await.unwrap());
    assert_eq!((session.stats().open, session.stats().closed.total()), (0, 1));
}

#[tokio::test]
async fn a_body_that_fails_after_a_success_is_told_all_the_same() {
    for answer in ["HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes", "HTTP/1.1 204 No\r\n\r\n"] {
        let go = Gate::new();
        let rogue = Rogue::start(hasty(answer, &go)).await;
        let session = Session::new();
        let (upload, body) = fed();
        let request = session.put(rogue.url("/")).body(body);
        let sending = tokio::spawn(async move { request.await?.bytes().await });
        within(SOON, go.reached(1)).await;
        upload.send(Err(io::Error::other("the disk is on fire"))).unwrap();
        let error = within(SOON, sending).await.unwrap().unwrap_err();
        assert!(error.is_body() && error.to_string().contains("could not be sent"), "{error:?}");
        assert_eq!(session.stats().open, 0, "{answer}");
    }
}

#[tokio::test]
async fn a_server_that_stops_reading_is_awaited_for_the_read_limit() {
    let read = Timeouts::new().read(Duration::from_millis(300));
    for answer in ["HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes", "HTTP/1.1 204 No\r\n\r\n"] {
        let rogue = Rogue::start(vec![Step::ReadHead, Step::send(answer), Step::Hold]).await;
        let session = Session::builder().timeouts(read).build().unwrap();
        let request = session.put(rogue.url("/")).body(body(UPLOAD));
        let error = within(SOON, async { request.await?.bytes().await }).await.unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
        assert_eq!(session.stats().open, 0, "{answer}");
    }
}

#[tokio::test]
async fn nginx_answers_before_it_has_read_a_body_and_gets_all_of_it() {
    let nginx = Nginx::start().await;
    let session = Session::new();
    for _ in 0..3 {
        let response = within(SOON, session.put(nginx.url("/sink")).body(body(UPLOAD)).send()).await.unwrap();
        assert_eq!(within(SOON, response.text()).await.unwrap(), "ok\n");
    }
    assert_eq!((session.stats().created, session.stats().idle), (1, 1));
}
