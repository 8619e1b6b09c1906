//! One exchange on one connection: valid and invalid answers, and reuse of the connection (P8).

use std::convert::Infallible;
use std::error::Error as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{Method, Request, StatusCode, Version};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, Empty, Full};
use tokio::sync::mpsc;
use trunkline::{Body, CloseReason, Phase, Pool, PoolBuilder, RequestSent, Response, Session, Timeouts};

use crate::support::{Gate, Nginx, Rogue, Step};
use crate::{SOON, within};

/// A request body and the sender that feeds it. The body ends when the sender is dropped.
pub(crate) fn fed() -> (mpsc::UnboundedSender<io::Result<Bytes>>, Body) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, Body::wrap(ChannelBody(receiver)))
}

struct ChannelBody(mpsc::UnboundedReceiver<io::Result<Bytes>>);

impl http_body::Body for ChannelBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

fn session(pool: PoolBuilder) -> Session {
    Session::builder().pool(pool.build().unwrap()).build().unwrap()
}

/// The first connection goes by these steps, the others answer `next`.
async fn first_then_next(first: Vec<Step>) -> Rogue {
    Rogue::start(move |connection| if connection == 0 { first.clone() } else { Step::serve("next") }).await
}

async fn get(session: &Session, rogue: &Rogue) -> trunkline::Result<Response> {
    within(SOON, session.get(rogue.url("/")).send()).await
}

async fn text(response: Response) -> String {
    within(SOON, response.text()).await.unwrap()
}

/// The next request is answered, on the connection with that number.
async fn next_goes_to(connection: usize, session: &Session, rogue: &Rogue) {
    let response = get(session, rogue).await.unwrap();
    assert_eq!(response.connection().reused, connection == 0);
    assert_eq!(text(response).await, "next");
    assert_eq!(rogue.requests().last().unwrap().connection, connection);
}

/// The texts of an error's causes, outermost first.
pub(crate) fn causes(error: &trunkline::Error) -> Vec<String> {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    causes
}

/// The head of a response.
fn head(status: &str, headers: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}\r\n")
}

#[tokio::test]
async fn an_early_413_ends_a_stalled_upload_and_not_the_pool() {
    let rogue = first_then_next(vec![Step::ReadHead, Step::respond(413, "too much"), Step::Hold]).await;
    let session = session(Pool::builder().limit(1));
    let (upload, body) = fed();
    upload.send(Ok(vec![0; 1 << 20].into())).unwrap();
    let response = within(SOON, session.post(rogue.url("/")).body(body).send()).await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(text(response).await, "too much");
    let stats = session.stats();
    assert_eq!((stats.in_use, stats.open, stats.closed.by(CloseReason::Incomplete)), (0, 0, 1), "{stats:?}");
    next_goes_to(1, &session, &rogue).await;
}

#[tokio::test]
async fn an_early_413_is_seen_although_the_server_then_resets() {
    // Unread data at close makes the kernel send a reset.
    let rogue = Rogue::start(vec![Step::ReadHead, Step::respond(413, "too much"), Step::Close]).await;
    let session = session(Pool::builder());
    for _ in 0..20 {
        let request = session.post(rogue.url("/")).body(vec![0; 8 << 20]);
        let response = within(SOON, request.send()).await.unwrap();
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(text(response).await, "too much");
    }
    assert_eq!(session.stats().in_use, 0);
}

#[tokio::test]
async fn nginx_refuses_an_upload_and_serves_the_next() {
    let nginx = Nginx::start().await;
    let session = session(Pool::builder().limit(1));
    for _ in 0..5 {
        let request = session.post(nginx.url("/upload")).body(vec![0; 16 << 20]);
        let response = within(SOON, request.send()).await.unwrap();
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        within(SOON, response.bytes()).await.unwrap();
        let request = session.post(nginx.url("/upload")).body(vec![0; 1 << 20]);
        assert_eq!(text(within(SOON, request.send()).await.unwrap()).await, "took 1048576 bytes\n");
    }
    let stats = session.stats();
    assert_eq!((stats.created, stats.closed.total()), (6, 5), "{stats:?}");
}

#[tokio::test]
async fn an_early_answer_does_not_cut_off_the_upload_while_read() {
    let (gate, reading) = (Gate::new(), Gate::new());
    let rogue = first_then_next(vec![
        Step::ReadHead,
        Step::send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf"),
        Step::WaitFor(reading.clone()),
        Step::ReadBody,
        Step::send("half"),
        Step::WaitFor(gate.clone()),
        Step::Loop(vec![Step::ReadHead, Step::ok("next")]),
    ])
    .await;
    let session = session(Pool::builder());
    let (upload, body) = fed();
    let mut response = within(SOON, session.post(rogue.url("/")).body(body).send()).await.unwrap();
    assert_eq!(within(SOON, response.chunk()).await.unwrap().unwrap(), "half");
    reading.open();
    upload.send(Ok("the body".into())).unwrap();
    drop(upload);
    assert_eq!(text(response).await, "half");
    assert_eq!(rogue.requests()[0].body, b"the body");
    gate.open();
    next_goes_to(0, &session, &rogue).await;
}

#[tokio::test]
async fn informational_responses_are_skipped() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n";
    let rogue = first_then_next(vec![
        Step::ReadHead,
        Step::send(format!("{interim}HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfinal")),
        Step::ReadHead,
        Step::send_slowly(interim, Duration::from_micros(100)),
        Step::ok("final"),
        Step::ReadHead,
        Step::ok("next"),
        Step::Drain,
    ])
    .await;
    let session = session(Pool::builder());
    for _ in 0..2 {
        let response = get(&session, &rogue).await.unwrap();
        assert_eq!((response.status(), response.headers().get("link")), (StatusCode::OK, None));
        assert_eq!(text(response).await, "final");
    }
    next_goes_to(0, &session, &rogue).await;
}

#[tokio::test]
async fn a_switch_of_protocols_nobody_asked_for_ends_the_connection() {
    let switch = head("101 Switching Protocols", "Connection: upgrade\r\nUpgrade: foo\r\n");
    let rogue = first_then_next(vec![Step::ReadHead, Step::send(switch), Step::Hold]).await;
    let session = session(Pool::builder());
    if let Ok(response) = get(&session, &rogue).await {
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(text(response).await, "");
    }
    next_goes_to(1, &session, &rogue).await;
    assert_eq!(session.stats().in_use, 0);
}

#[tokio::test]
async fn answers_without_a_body_leave_the_connection_reusable() {
    let answers = [
        (Method::HEAD, head("200 OK", "Content-Length: 1000\r\n")),
        (Method::HEAD, head("200 OK", "Transfer-Encoding: chunked\r\n")),
        (Method::GET, head("204 No Content", "")),
        (Method::GET, head("304 Not Modified", "Content-Length: 1000\r\nETag: \"x\"\r\n")),
        (Method::POST, head("205 Reset Content", "Content-Length: 0\r\n")),
        (Method::DELETE, head("200 OK", "Transfer-Encoding: chunked\r\n") + "0\r\n\r\n"),
    ];
    let steps = answers.iter().flat_map(|(_, answer)| [Step::ReadHead, Step::send(answer)]);
    let rogue = first_then_next(steps.chain([Step::ReadHead, Step::ok("next"), Step::Drain]).collect()).await;
    let session = session(Pool::builder());
    for (method, answer) in answers {
        let response = within(SOON, session.request(method, rogue.url("/")).send()).await.unwrap();
        assert_eq!(text(response).await, "", "{answer}");
    }
    next_goes_to(0, &session, &rogue).await;
    assert_eq!(rogue.accepted(), 1);
}

#[tokio::test]
async fn a_truncated_body_is_an_error_and_its_connection_not_pooled() {
    let length = head("200 OK", "Content-Length: 10\r\n");
    let chunked = head("200 OK", "Transfer-Encoding: chunked\r\n");
    let unbounded = head("200 OK", "");
    let cases: [(&str, String, Step); 11] = [
        ("nothing of ten", length.clone(), Step::Close),
        ("five of ten", length.clone() + "hello", Step::Close),
        ("five of ten, half closed", length.clone() + "hello", Step::Fin),
        ("reset in mid-body", length + "hello", Step::Reset),
        ("cut in a chunk", chunked.clone() + "a\r\nhello", Step::Close),
        ("cut between chunks", chunked.clone() + "5\r\nhello\r\n", Step::Close),
        ("cut in a chunk's size", chunked.clone() + "5\r\nhello\r\n1", Step::Close),
        ("cut before the last line", chunked.clone() + "5\r\nhello\r\n0\r\n", Step::Close),
        ("a chunk's size that is none", chunked.clone() + "5\r\nhello\r\nzz\r\n", Step::Hold),
        ("a chunk's size beyond all sizes", chunked + "fffffffffffffffff\r\nhello", Step::Hold),
        ("reset where the end would be", unbounded + "hello", Step::Reset),
    ];
    for (what, answer, end) in cases {
        let rogue = first_then_next(vec![Step::ReadHead, Step::send(answer), end, Step::Hold]).await;
        let session = session(Pool::builder());
        let response = get(&session, &rogue).await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let error = within(SOON, response.bytes()).await.expect_err(what);
        assert!(error.is_body() && !error.is_timeout() && !error.is_closed(), "{what}: {error:?}");
        assert_eq!((error.phase(), error.request_sent()), (Some(Phase::Body), RequestSent::Yes), "{what}");
        assert!(error.to_string().starts_with(&format!("GET {}: unusable body: ", rogue.url("/"))), "{what}: {error}");
        assert!(error.source().is_some(), "{what}");
        assert_eq!(session.stats().open, 0, "{what}");
        next_goes_to(1, &session, &rogue).await;
    }
}

#[tokio::test]
async fn a_body_that_broke_off_stays_broken() {
    let rogue = first_then_next(vec![
        Step::ReadHead,
        Step::send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"),
        Step::Close,
    ])
    .await;
    let session = session(Pool::builder());
    let mut response = get(&session, &rogue).await.unwrap();
    assert_eq!(within(SOON, response.chunk()).await.unwrap().unwrap(), "hello");
    assert!(within(SOON, response.chunk()).await.unwrap_err().is_body());
    assert_eq!(within(SOON, response.chunk()).await.unwrap(), None);
}

#[tokio::test]
async fn bytes_beyond_the_answer_never_reach_the_next_request() {
    let answer = head("200 OK", "Content-Length: 5\r\n") + "first";
    let stale = head("200 OK", "Content-Length: 5\r\n") + "STALE";
    let chunked = head("200 OK", "Transfer-Encoding: chunked\r\n") + "5\r\nfirst\r\n0\r\n\r\n";
    for (what, sent) in [
        ("longer than its length", answer.clone() + "extra"),
        ("two answers", answer.clone() + &stale),
        ("an answer behind the last chunk", chunked + &stale),
        ("a body where none may be", head("204 No Content", "Content-Length: 5\r\n") + "STALE"),
        ("line ends and an answer", answer + "\r\n\r\n" + &stale),
    ] {
        for method in [Method::GET, Method::POST] {
            let first = vec![Step::ReadHead, Step::send(&sent), Step::ReadHead, Step::ok("STALE"), Step::Drain];
            let rogue = first_then_next(first).await;
            let session = session(Pool::builder());
            let response = get(&session, &rogue).await.unwrap();
            assert!(["first", ""].contains(&text(response).await.as_str()), "{what}");
            let request = session.request(method, rogue.url("/second")).send();
            assert_eq!(text(within(SOON, request).await.unwrap()).await, "next", "{what}");
            assert_eq!(rogue.requests().len(), 2, "{what}: sent once");
        }
    }
}

#[tokio::test]
async fn an_unsolicited_answer_never_reaches_the_next_request() {
    for method in [Method::GET, Method::POST] {
        let (go, sent) = (Gate::new(), Gate::new());
        let rogue = first_then_next(vec![
            Step::ReadHead,
            Step::ok("first"),
            Step::WaitFor(go.clone()),
            Step::ok("STALE"),
            Step::WaitFor(sent.clone()),
        ])
        .await;
        let session = session(Pool::builder());
        assert_eq!(text(get(&session, &rogue).await.unwrap()).await, "first");
        // A connection returned this very moment is not probed before reuse.
        tokio::time::sleep(Duration::from_millis(5)).await;
        go.open();
        within(SOON, sent.reached(1)).await;
        let request = session.request(method, rogue.url("/second")).send();
        assert_eq!(text(within(SOON, request).await.unwrap()).await, "next");
        assert_eq!(rogue.requests()[1].connection, 1);
    }
}

#[tokio::test]
async fn a_head_that_is_no_head_is_an_error_that_says_so() {
    let closed = "the server closed the connection before its response was complete";
    let garbage = "the server did not answer in HTTP/1";
    for (sent, end, why) in [
        ("", Step::Close, closed),
        ("HTTP/1.1 200 OK\r\nContent-Le", Step::Close, closed),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", Step::Fin, closed),
        ("HTTP/1.1 200 OK\r\nContent-Le", Step::Reset, ""),
        ("SSH-2.0-OpenSSH_9.6\r\n", Step::Hold, garbage),
        ("HTTP/2.0 200 OK\r\n\r\n", Step::Hold, garbage),
        ("HTTP/1.1 2000 OK\r\n\r\n", Step::Hold, garbage),
        ("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", Step::Hold, garbage),
        ("HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello", Step::Hold, garbage),
        ("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", Step::Hold, garbage),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", Step::Hold, garbage),
    ] {
        let rogue = first_then_next(vec![Step::ReadHead, Step::send(sent), end, Step::Hold]).await;
        let session = session(Pool::builder());
        let error = get(&session, &rogue).await.expect_err(sent);
        let expected = if sent.is_empty() { RequestSent::Maybe } else { RequestSent::Yes };
        assert_eq!((error.phase(), error.request_sent()), (Some(Phase::Response), expected), "{sent}: {error:?}");
        assert!(!error.is_body() && !error.is_connect() && !error.is_timeout(), "{sent}: {error:?}");
        assert!(error.to_string().ends_with(why), "{sent}: {error}");
        next_goes_to(1, &session, &rogue).await;
    }
}

#[tokio::test]
async fn too_many_headers_are_refused_and_the_limit_can_be_raised() {
    let rogue = Rogue::start(vec![Step::Loop(vec![
        Step::ReadHead,
        Step::send(head("200 OK", &("X: y\r\n".repeat(120) + "Content-Length: 2\r\n")) + "ok"),
    ])])
    .await;
    let error = get(&session(Pool::builder()), &rogue).await.unwrap_err();
    assert!(error.to_string().contains("max_headers"), "{error}");
    assert_eq!(error.request_sent(), RequestSent::Yes);
    get(&session(Pool::builder().max_headers(120)), &rogue).await.unwrap_err();
    let session = session(Pool::builder().max_headers(121));
    assert_eq!(text(get(&session, &rogue).await.unwrap()).await, "ok");
}

#[tokio::test]
async fn too_large_a_head_is_refused_and_the_limit_goes_both_ways() {
    let answer = |size: usize| {
        let line = format!("X-Large: {}\r\n", "x".repeat(size / 10));
        head("200 OK", &(line.repeat(10) + "Content-Length: 2\r\n")) + "ok"
    };
    for (size, limit, fits) in [
        (300 << 10, None, true),
        (500 << 10, None, false),
        (2 << 10, Some(1 << 10), false),
        (2 << 10, Some(3 << 10), true),
        (1 << 20, Some(2 << 20), true),
        (3 << 20, Some(2 << 20), false),
    ] {
        let rogue = Rogue::start(vec![Step::ReadHead, Step::send(answer(size)), Step::Drain]).await;
        let pool = limit.into_iter().fold(Pool::builder(), PoolBuilder::max_header_size);
        match get(&session(pool), &rogue).await {
            Ok(response) => assert!(fits && text(response).await == "ok", "{size} bytes, limit {limit:?}"),
            Err(error) => {
                assert!(!fits, "{size} bytes, limit {limit:?}: {error:?}");
                assert!(error.to_string().contains("max_header_size"), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn http_1_0_ends_its_connection_unless_it_says_otherwise() {
    for (headers, end, connection) in [
        ("Content-Length: 5\r\n", Step::Hold, 1),
        ("", Step::Close, 1),
        ("Content-Length: 5\r\nConnection: keep-alive\r\n", Step::Loop(vec![Step::ReadHead, Step::ok("next")]), 0),
    ] {
        let answer = format!("HTTP/1.0 200 OK\r\n{headers}\r\nhello");
        let rogue = first_then_next(vec![Step::ReadHead, Step::send(answer), end]).await;
        let session = session(Pool::builder());
        let response = get(&session, &rogue).await.unwrap();
        assert_eq!(response.version(), Version::HTTP_10);
        assert_eq!(text(response).await, "hello");
        let stats = session.stats();
        assert_eq!(stats.closed.by(CloseReason::NotPersistent), connection as u64, "{headers:?}: {stats:?}");
        next_goes_to(connection, &session, &rogue).await;
    }
}

#[tokio::test]
async fn connection_close_is_not_pooled_whoever_says_it() {
    let closing = head("200 OK", "Connection: close\r\nContent-Length: 5\r\n") + "hello";
    for (answer, header) in [(closing, "keep-alive"), (head("200 OK", "Content-Length: 5\r\n") + "hello", "close")] {
        let rogue = first_then_next(vec![Step::ReadHead, Step::send(answer), Step::Hold]).await;
        let session = session(Pool::builder());
        let request = session.get(rogue.url("/")).header("connection", header);
        assert_eq!(text(within(SOON, request.send()).await.unwrap()).await, "hello");
        assert_eq!(session.stats().closed.by(CloseReason::NotPersistent), 1);
        next_goes_to(1, &session, &rogue).await;
    }
}

/// A response with a body of `sent` of `length` bytes, dropped unread after it has come; to which
/// connection the next goes.
async fn dropped_unread(length: usize, sent: usize) -> usize {
    let gate = Gate::new();
    gate.open();
    let rogue = first_then_next(vec![
        Step::ReadHead,
        Step::send(head("200 OK", &format!("Content-Length: {length}\r\n")) + &"x".repeat(sent)),
        Step::WaitFor(gate.clone()),
        Step::Loop(vec![Step::ReadHead, Step::ok("next")]),
    ])
    .await;
    let session = session(Pool::builder());
    let response = get(&session, &rogue).await.unwrap();
    if sent < 100 << 10 {
        within(SOON, gate.reached(1)).await;
    }
    drop(response);
    assert_eq!(session.stats().in_use, 0);
    let next = get(&session, &rogue).await.unwrap();
    assert_eq!(text(next).await, "next");
    rogue.requests()[1].connection
}

#[tokio::test]
async fn an_unread_body_costs_its_connection_only_if_long_or_late() {
    assert_eq!(dropped_unread(1, 1).await, 0);
    assert_eq!(dropped_unread(64 << 10, 64 << 10).await, 0);
    assert_eq!(dropped_unread(64 << 10, 32 << 10).await, 1);
    assert_eq!(dropped_unread(1 << 20, 1 << 20).await, 1);
}

#[tokio::test]
async fn a_body_read_to_its_end_leaves_the_connection_reusable() {
    let chunked =
        head("200 OK", "Transfer-Encoding: chunked\r\n") + "3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: y\r\n\r\n";
    let rogue = first_then_next(vec![
        Step::ReadHead,
        Step::send(chunked),
        Step::ReadHead,
        Step::ok("whole"),
        Step::Loop(vec![Step::ReadHead, Step::ok("next")]),
    ])
    .await;
    let session = session(Pool::builder());
    let mut response = get(&session, &rogue).await.unwrap();
    let mut read = Vec::new();
    while let Some(chunk) = within(SOON, response.chunk()).await.unwrap() {
        read.extend(chunk);
    }
    assert_eq!(read, b"abcde");
    // The end was read, so the connection is free although the response is still here.
    assert_eq!(session.stats().idle, 1);
    let mut other = get(&session, &rogue).await.unwrap();
    assert_eq!(within(SOON, other.chunk()).await.unwrap().unwrap(), "whole");
    drop(other);
    next_goes_to(0, &session, &rogue).await;
    drop(response);
}

#[tokio::test]
async fn a_body_that_comes_byte_by_byte_is_read_whole() {
    let answer = head("200 OK", "Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    let rogue = first_then_next(vec![
        Step::ReadHead,
        Step::send_slowly(answer, Duration::from_millis(2)),
        Step::Loop(vec![Step::ReadHead, Step::ok("next")]),
    ])
    .await;
    let session = session(Pool::builder());
    assert_eq!(text(get(&session, &rogue).await.unwrap()).await, "hello world");
    next_goes_to(0, &session, &rogue).await;
}

#[tokio::test]
async fn a_large_body_comes_whole_and_a_large_upload_goes_whole() {
    let nginx = Nginx::start().await;
    let session = session(Pool::builder().limit(1));
    let big = within(SOON, async { session.get(nginx.url("/big")).await?.bytes().await }).await.unwrap();
    assert_eq!(big.len() as u64, crate::support::nginx::BIG);
    assert!(big.iter().all(|byte| *byte == 0));
    let rogue = Rogue::start(Step::serve("thanks")).await;
    let sent: Vec<u8> = (0..8_u32 << 20).map(|at| (at % 251) as u8).collect();
    let request = session.post(rogue.url("/")).body(sent.clone());
    assert_eq!(text(within(SOON, request.send()).await.unwrap()).await, "thanks");
    assert!(rogue.requests()[0].body == sent);
}

#[tokio::test]
async fn what_the_pool_sends_is_the_uri_byte_for_byte_and_a_host() {
    let rogue = Rogue::start(Step::serve("ok")).await;
    let pool = Pool::new();
    for path in ["/a/../b%2F?x=%20", "//double//", "/?", "/a%2f..%2Fb;c=d,e", "/*'()!$&+@:~", "/%zz", "/?a=b?c=d&&e"] {
        let request = Request::get(rogue.url(path)).body(Empty::<Bytes>::new()).unwrap();
        let response = within(SOON, pool.send(request, Timeouts::new())).await.unwrap();
        assert_eq!(within(SOON, response.into_body().collect()).await.unwrap().to_bytes(), "ok");
        let sent = rogue.requests().pop().unwrap();
        assert_eq!(sent.path, path);
        let host = ("host".to_owned(), rogue.address().to_string());
        assert_eq!(sent.headers, [host]);
    }
    let request = Request::get(rogue.url("")).body(Empty::<Bytes>::new()).unwrap();
    within(SOON, pool.send(request, Timeouts::new())).await.unwrap();
    assert_eq!(rogue.requests().pop().unwrap().path, "/");
}

#[tokio::test]
async fn what_the_pool_is_given_is_kept() {
    let rogue = Rogue::start(Step::serve("ok")).await;
    let pool = Pool::new();
    let request = Request::put(rogue.url("/key"))
        .header(HOST, "bucket.example")
        .header("x-amz-date", "20250101T000000Z")
        .body(Full::<Bytes>::from("object"))
        .unwrap();
    within(SOON, pool.send(request, Timeouts::new())).await.unwrap();
    let sent = rogue.requests().pop().unwrap();
    assert_eq!((sent.line(), sent.body), ("PUT /key".to_owned(), b"object".to_vec()));
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut headers = sent.headers;
    headers.sort();
    let given = [pair("content-length", "6"), pair("host", "bucket.example"), pair("x-amz-date", "20250101T000000Z")];
    assert_eq!(headers, given);
}

#[tokio::test]
async fn an_unsendable_request_is_refused_before_a_socket_is_opened() {
    let pool = Pool::new();
    for (method, uri) in [
        (Method::GET, "/path"),
        (Method::GET, "*"),
        (Method::GET, "example.com:80"),
        (Method::GET, "ftp://example.com/"),
        (Method::CONNECT, "http://127.0.0.1:9/"),
    ] {
        let request = Request::builder().method(method).uri(uri).body(Empty::<Bytes>::new()).unwrap();
        let error = within(SOON, pool.send(request, Timeouts::new())).await.unwrap_err();
        assert!(error.is_input() && error.request_sent() == RequestSent::No, "{uri}: {error:?}");
    }
    assert_eq!(pool.stats().created, 0);
}

#[tokio::test]
async fn connect_is_refused_clearly() {
    let session = Session::new();
    let error = session.request(Method::CONNECT, "http://127.0.0.1:9/").await.unwrap_err();
    assert!(error.is_input() && error.to_string().contains("CONNECT"), "{error:?}");
    assert_eq!(session.stats().created, 0);
}

#[tokio::test]
async fn a_request_body_that_fails_midway_gives_its_reason() {
    let rogue = first_then_next(vec![Step::ReadHead, Step::ReadBody, Step::ok("never")]).await;
    let session = session(Pool::builder());
    let (upload, body) = fed();
    upload.send(Ok("the beginning".into())).unwrap();
    let sending = tokio::spawn(session.post(rogue.url("/")).body(body).send());
    rogue.wait_until(|log| log.requests.first().is_some_and(|request| request.body == b"the beginning")).await;
    upload.send(Err(io::Error::other("the disk is on fire"))).unwrap();
    let error = within(SOON, sending).await.unwrap().unwrap_err();
    assert!(error.is_body() && error.request_sent() == RequestSent::Maybe, "{error:?}");
    assert!(error.to_string().contains("the request's body"), "{error}");
    assert!(causes(&error).contains(&"the disk is on fire".to_owned()), "{error:?}");
    rogue.wait_until(|log| log.open == 0).await;
    next_goes_to(1, &session, &rogue).await;
}

#[tokio::test]
async fn a_wrong_body_length_is_refused_before_the_server_waits() {
    let rogue = Rogue::start(Step::serve("ok")).await;
    let session = session(Pool::builder());
    for (length, body) in [("10", "five!"), ("4", "five!"), ("-5", "five!"), ("five", "five!"), ("5", "")] {
        let request = session.post(rogue.url("/")).header("content-length", length).body(body);
        let error = within(SOON, request.send()).await.unwrap_err();
        assert!(error.is_input() && error.to_string().contains(&format!("{length:?}")), "{error:?}");
    }
    assert_eq!(rogue.accepted(), 0);
    let request = session.post(rogue.url("/")).header("content-length", "5").body("five!");
    assert_eq!(text(within(SOON, request.send()).await.unwrap()).await, "ok");
}

#[tokio::test]
async fn how_long_a_request_s_body_is_goes_before_it() {
    let rogue = Rogue::start(Step::serve("ok")).await;
    let session = session(Pool::builder());
    let streamed = || {
        let (upload, streamed) = fed();
        upload.send(Ok("ab".into())).unwrap();
        upload.send(Ok("cd".into())).unwrap();
        streamed
    };
    let known = Body::wrap(Full::<Bytes>::from("abcd").map_err(|never: Infallible| match never {}));
    for (method, body, length, coding) in [
        (Method::GET, Body::empty(), None, None),
        (Method::POST, Body::empty(), Some("0"), None),
        (Method::POST, Body::from("abcd"), Some("4"), None),
        (Method::PUT, known, Some("4"), None),
        (Method::POST, streamed(), None, Some("chunked")),
        (Method::GET, streamed(), None, Some("chunked")),
        (Method::DELETE, streamed(), None, Some("chunked")),
    ] {
        let sends = !body.is_end_stream();
        let request = session.request(method, rogue.url("/")).body(body);
        assert_eq!(text(within(SOON, request.send()).await.unwrap()).await, "ok");
        let sent = rogue.requests().pop().unwrap();
        assert_eq!((sent.header("content-length"), sent.header("transfer-encoding")), (length, coding), "{sent:?}");
        assert_eq!(sent.body, if sends { b"abcd".as_slice() } else { b"" });
    }
    assert_eq!(rogue.accepted(), 1);
}
