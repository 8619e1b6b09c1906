//! Compressed responses: negotiation, decoding, and errors.

use std::error::Error as _;
use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::StatusCode;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, RANGE};
use http_body::Body as _;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt as _;
use trunkline::{Body, DecodedBody, Phase, RequestBuilder, Session, Timeouts};

use crate::support::nginx::BIG;
use crate::support::{Gate, Httpbin, Nginx, Rogue, Step};
use crate::{SOON, within};

pub(crate) fn gzip(data: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data.as_ref()).unwrap();
    encoder.finish().unwrap()
}

/// A whole response; `headers` are whole lines.
pub(crate) fn response(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Step {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    Step::send([head.as_bytes(), body].concat())
}

pub(crate) fn coded(coding: &str, body: impl AsRef<[u8]>) -> Step {
    response("200 OK", &format!("Content-Encoding: {coding}\r\n"), body)
}

/// In chunks of that size.
fn chunked(coding: &str, body: &[u8], size: usize) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
    for chunk in body.chunks(size) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    bytes
}

/// Answers every request so.
pub(crate) async fn always(answer: Step) -> Rogue {
    Rogue::start(vec![Step::Loop(vec![Step::ReadHead, answer])]).await
}

async fn get(session: &Session, rogue: &Rogue) -> trunkline::Response {
    within(SOON, session.get(rogue.url("/")).send()).await.unwrap()
}

#[tokio::test]
async fn what_httpbin_codes_is_decoded_over_one_connection() {
    let (httpbin, session) = (Httpbin::shared().await, Session::new());
    for (path, flag) in [("/gzip", "gzipped"), ("/deflate", "deflated"), ("/brotli", "brotli")] {
        let response = within(SOON, session.get(httpbin.url(path)).send()).await.unwrap();
        assert_eq!(response.content_length(), None, "{path}");
        for gone in [CONTENT_ENCODING, CONTENT_LENGTH] {
            assert!(!response.headers().contains_key(gone), "{path}");
        }
        let value: Value = within(SOON, response.json()).await.unwrap();
        assert_eq!(value[flag], true, "{value}");
        assert_eq!(value["headers"]["Accept-Encoding"], "gzip, deflate, br, zstd");
    }
    let stats = session.stats();
    assert_eq!((stats.created, stats.reused), (1, 2), "{stats:?}");
}

#[tokio::test]
async fn a_request_accepts_decodable_codings_unless_told_otherwise() {
    const ALL: &str = "gzip, deflate, br, zstd";
    let rogue = Rogue::start(Step::serve("")).await;
    let url = rogue.url("/");
    let (on, off) = (Session::new(), Session::builder().decompress(false).build().unwrap());
    let by_hand = Session::builder().header(ACCEPT_ENCODING, "br").build().unwrap();
    let cases: [(RequestBuilder, &[&str]); 11] = [
        (on.get(&url), &[ALL]),
        (on.post(&url).header("x", "y"), &[ALL]),
        (on.get(&url).header(ACCEPT_ENCODING, "gzip"), &["gzip"]),
        (on.get(&url).header(RANGE, "bytes=0-9"), &["identity"]),
        (on.get(&url).header(RANGE, "bytes=0-9").header(ACCEPT_ENCODING, "gzip"), &["gzip"]),
        (on.get(&url).decompress(false), &[]),
        (off.get(&url), &[]),
        (off.get(&url).decompress(true), &[ALL]),
        (by_hand.get(&url), &["br"]),
        (by_hand.get(&url).decompress(false), &["br"]),
        (by_hand.get(&url).header(ACCEPT_ENCODING, "zstd"), &["zstd"]),
    ];
    for (request, asked) in cases {
        within(SOON, async { request.await?.bytes().await }).await.unwrap();
        let seen = rogue.requests().pop().unwrap();
        let sent = seen.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("accept-encoding"));
        assert_eq!(sent.map(|(_, value)| value.as_str()).collect::<Vec<_>>(), asked);
    }
}

#[tokio::test]
async fn what_was_asked_for_by_hand_is_decoded_too() {
    let rogue = always(coded("gzip", gzip("text"))).await;
    let request = Session::new().get(rogue.url("/")).header(ACCEPT_ENCODING, "gzip");
    assert_eq!(within(SOON, async { request.await?.text().await }).await.unwrap(), "text");
}

#[tokio::test]
async fn switched_off_everything_stays_as_it_was_sent() {
    let rogue = always(coded("gzip", gzip("text"))).await;
    let off = Session::builder().decompress(false).build().unwrap();
    for request in [off.get(rogue.url("/")), Session::new().get(rogue.url("/")).decompress(false)] {
        let response = within(SOON, request.send()).await.unwrap();
        assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
        assert_eq!(response.content_length(), Some(gzip("text").len() as u64));
        assert_eq!(within(SOON, response.bytes()).await.unwrap(), gzip("text"));
    }
    let on = off.get(rogue.url("/")).decompress(true);
    assert_eq!(within(SOON, async { on.await?.text().await }).await.unwrap(), "text");
}

#[tokio::test]
async fn a_part_of_a_coded_whole_is_left_as_it_is() {
    let part = &gzip("text")[..10];
    let rogue =
        always(response("206 Partial Content", "Content-Encoding: gzip\r\nContent-Range: bytes 0-9/24\r\n", part))
            .await;
    let session = Session::new();
    let request = session.get(rogue.url("/")).header(RANGE, "bytes=0-9");
    let response = within(SOON, request.send()).await.unwrap();
    assert_eq!((response.status(), response.content_length()), (StatusCode::PARTIAL_CONTENT, Some(10)));
    assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
    assert_eq!(within(SOON, response.bytes()).await.unwrap(), part);
    // The whole in answer to a range is a whole.
    let rogue = always(coded("gzip", gzip("text"))).await;
    let request = session.get(rogue.url("/")).header(RANGE, "bytes=0-9");
    assert_eq!(within(SOON, async { request.await?.text().await }).await.unwrap(), "text");
}

#[tokio::test]
async fn a_response_without_a_body_is_empty_whatever_its_coding() {
    let headers = "Content-Encoding: gzip\r\nETag: \"x\"\r\n";
    let bare = |status: &str| Step::send(format!("HTTP/1.1 {status}\r\n{headers}\r\n"));
    let session = Session::new();
    for (status, answer) in [
        (204, bare("204 No Content")),
        (304, bare("304 Not Modified")),
        (200, response("200 OK", headers, "")),
        (200, Step::send(format!("HTTP/1.1 200 OK\r\n{headers}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"))),
    ] {
        let rogue = always(answer).await;
        for round in 0..2 {
            let response = get(&session, &rogue).await;
            assert_eq!((response.status().as_u16(), response.headers()[ETAG].as_bytes()), (status, &b"\"x\""[..]));
            assert_eq!(within(SOON, response.bytes()).await.unwrap(), "", "{status}");
            assert_eq!(rogue.accepted(), 1, "{status}, round {round}");
        }
    }
}

#[tokio::test]
async fn the_answer_to_a_head_describes_what_a_get_would_bring() {
    let rogue = always(Step::send("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 100\r\n\r\n")).await;
    let session = Session::new();
    for _ in 0..2 {
        let response = within(SOON, session.head(rogue.url("/")).send()).await.unwrap();
        assert_eq!(
            (&response.headers()[CONTENT_ENCODING], &response.headers()[CONTENT_LENGTH]),
            (&"gzip".parse().unwrap(), &"100".parse().unwrap())
        );
        assert_eq!(response.content_length(), Some(0));
        assert_eq!(within(SOON, response.bytes()).await.unwrap(), "");
    }
    assert_eq!(rogue.accepted(), 1);
}

#[tokio::test]
async fn a_coding_nobody_knows_is_handed_on() {
    let rogue = always(coded("gzip, rot13", "grkg")).await;
    let response = get(&Session::new(), &rogue).await;
    assert_eq!(response.headers()[CONTENT_ENCODING], "gzip, rot13");
    assert_eq!(response.content_length(), Some(4));
    assert_eq!(within(SOON, response.text()).await.unwrap(), "grkg");
}

#[tokio::test]
async fn a_broken_coding_is_an_error_but_not_of_the_connection() {
    let broken = gzip("some text");
    let damaged = [&broken[..broken.len() - 8], &[0; 8]].concat();
    let cases: [(&[u8], &str); 3] = [
        (&broken[..broken.len() - 1], "its gzip coding (Content-Encoding) breaks off in the middle"),
        (&damaged, "its gzip coding (Content-Encoding) cannot be decoded"),
        (b"<html>not gzip</html>", "its gzip coding (Content-Encoding) cannot be decoded"),
    ];
    for (body, told) in cases {
        let rogue = always(coded("gzip", body)).await;
        let session = Session::new();
        for _ in 0..3 {
            let error = within(SOON, async { session.get(rogue.url("/path?token=secret")).await?.bytes().await }).await;
            let error = error.unwrap_err();
            assert!(error.is_body() && error.phase() == Some(Phase::Body), "{error:?}");
            assert_eq!(error.to_string(), format!("GET {}: unusable body: {told}", rogue.url("/path")));
            assert_eq!(error.source().is_some(), !told.contains("breaks off"));
        }
        assert_eq!((rogue.accepted(), session.stats().created), (1, 1), "{told}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_off_is_told_as_that() {
    let body = gzip("some text");
    let half = chunked("gzip", &body[..body.len() / 2], 5);
    let rogue = Rogue::start(vec![Step::ReadHead, Step::send(half), Step::Close]).await;
    let error = within(SOON, get(&Session::new(), &rogue).await.bytes()).await.unwrap_err();
    assert!(error.is_body() && error.to_string().contains("the response broke off"), "{error}");
}

#[tokio::test]
async fn a_connection_is_reused_if_the_body_ends_after_its_coding() {
    let body = chunked("gzip", &gzip("text"), 1_000);
    let (first, second) = (Gate::new(), Gate::new());
    let answer =
        |gate: &Gate| vec![Step::ReadHead, Step::send(&body), Step::WaitFor(gate.clone()), Step::send("0\r\n\r\n")];
    let rogue = Rogue::start([answer(&first), answer(&second), Step::serve("next")].concat()).await;
    let session = Session::new();
    // Read whole.
    let response = get(&session, &rogue).await;
    let whole = tokio::spawn(response.text());
    first.reached(1).await;
    first.open();
    assert_eq!(within(SOON, whole).await.unwrap().unwrap(), "text");
    // Read by chunk, to the end.
    let mut response = get(&session, &rogue).await;
    assert_eq!(within(SOON, response.chunk()).await.unwrap().unwrap(), "text");
    second.open();
    assert_eq!(within(SOON, response.chunk()).await.unwrap(), None);
    assert_eq!(session.stats().in_use, 0);
    assert_eq!(within(SOON, get(&session, &rogue).await.text()).await.unwrap(), "next");
    assert_eq!(rogue.accepted(), 1);
}

#[tokio::test]
async fn what_nginx_codes_comes_over_one_connection() {
    let gzip = "gzip on; gzip_types *; gzip_min_length 1;";
    let nginx = Nginx::builder().keepalive_requests(1_000).extra(gzip).start().await;
    let session = Session::new();
    for page in 0..200 {
        let response = within(SOON, session.get(nginx.url(&format!("/page/{page}"))).send()).await.unwrap();
        assert_eq!(within(SOON, response.text()).await.unwrap(), format!("page {page}\n"));
    }
    let big = within(SOON, session.get(nginx.url("/big")).send()).await.unwrap();
    assert_eq!((big.headers().get(CONTENT_ENCODING), big.content_length()), (None, None));
    let mut size = 0;
    let mut big = big;
    while let Some(chunk) = within(SOON, big.chunk()).await.unwrap() {
        size += chunk.len() as u64;
    }
    assert_eq!(size, BIG);
    assert_eq!((nginx.stub_status().accepts, session.stats().created), (1, 1));
}

#[tokio::test]
async fn a_thousand_decoded_bodies_come_over_one_connection() {
    let body = gzip("text ".repeat(10_000));
    let answer = [chunked("gzip", &body, 7), b"0\r\n\r\n".to_vec()].concat();
    let rogue = always(Step::send(answer)).await;
    let session = Session::new();
    for _ in 0..crate::soak(10_000, 1_000) {
        assert_eq!(within(SOON, get(&session, &rogue).await.bytes()).await.unwrap().len(), 50_000);
    }
    assert_eq!(rogue.accepted(), 1);
}

#[tokio::test]
async fn a_read_that_is_given_up_again_and_again_loses_nothing() {
    let text: String = (0..200).map(|number| format!("line {number}\n")).collect();
    let body = [chunked("gzip", &gzip(&text), 3), b"0\r\n\r\n".to_vec()].concat();
    let rogue =
        Rogue::start(vec![Step::ReadHead, Step::send_slowly(body, Duration::from_micros(300)), Step::Hold]).await;
    let mut response = get(&Session::new(), &rogue).await;
    let (mut read, mut given_up) = (Vec::new(), 0);
    within(SOON, async {
        loop {
            match tokio::time::timeout(Duration::from_micros(100), response.chunk()).await {
                Ok(Ok(Some(chunk))) => read.extend_from_slice(&chunk),
                Ok(Ok(None)) => break,
                Ok(Err(error)) => panic!("{error}"),
                Err(_) => given_up += 1,
            }
        }
    })
    .await;
    assert!(given_up > 10, "{given_up}");
    assert_eq!(String::from_utf8(read).unwrap(), text);
}

#[tokio::test]
async fn silence_in_the_middle_of_a_coding_runs_into_the_deadline() {
    let half = chunked("gzip", &gzip("text")[..12], 12);
    let rogue = Rogue::start(vec![Step::ReadHead, Step::send(half), Step::Hold]).await;
    let session = Session::builder().timeouts(Timeouts::new().read(Duration::from_millis(100))).build().unwrap();
    let error = within(SOON, get(&session, &rogue).await.bytes()).await.unwrap_err();
    assert!(error.is_timeout() && error.phase() == Some(Phase::Body), "{error:?}");
}

#[tokio::test]
async fn a_decompression_bomb_runs_into_the_deadline() {
    // A gzip header with a file name of 64 GiB, which decodes to nothing: no limit on what a body
    // decodes to would notice. In zstd it is a block of one byte for each 128 KiB, and in zstd once
    // more next to nothing.
    const HEADER: &[u8] = &[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 0xff];
    let name = [0x02, 0x00, 0x10, b'a'].repeat(512 * 1024);
    let once = [&[0x28, 0xb5, 0x2f, 0xfd, 0, 13 << 3, 10 << 3, 0, 0], HEADER, &name, &[1, 0, 0]].concat();
    let mut twice = Vec::with_capacity(zstd_safe::compress_bound(once.len()));
    zstd_safe::CCtx::create().compress2(&mut twice, &once).unwrap();
    assert!(twice.len() < 2_000, "{}", twice.len());
    let rogue = always(coded("gzip, zstd, zstd", &twice)).await;
    let session = Session::builder().timeouts(Timeouts::new().total(Duration::from_millis(500))).build().unwrap();
    let mut response = get(&session, &rogue).await;
    let error = within(SOON, response.chunk()).await.unwrap_err();
    assert!(error.is_timeout() && error.phase() == Some(Phase::Body), "{error:?}");
    assert!(error.to_string().contains("(timeout `total`)"), "{error}");
    assert_eq!(within(SOON, response.chunk()).await.unwrap(), None, "it is told once");
}

#[tokio::test]
async fn the_body_alone_is_decoded_and_goes_anywhere() {
    fn anywhere<T: http_body::Body<Data = bytes::Bytes, Error = trunkline::Error> + Send + Sync + 'static>(_: &T) {}
    let answer = [chunked("gzip", &gzip("text"), 5), b"0\r\nX-Sum: 17\r\n\r\n".to_vec()].concat();
    let rogue = always(Step::send(answer)).await;
    let body: DecodedBody = get(&Session::new(), &rogue).await.into_body();
    anywhere(&body);
    assert!(!body.is_end_stream() && body.size_hint().exact().is_none());
    let whole = within(SOON, body.collect()).await.unwrap();
    assert_eq!(whole.trailers().unwrap()["x-sum"], "17");
    assert_eq!(whole.to_bytes(), "text");
}

#[tokio::test]
async fn as_a_service_it_decodes_too() {
    let rogue = always(coded("gzip", gzip("text"))).await;
    let request = http::Request::get(rogue.url("/")).body(Body::empty()).unwrap();
    let response = within(SOON, Session::new().oneshot(request)).await.unwrap();
    assert!(!response.headers().contains_key(CONTENT_ENCODING));
    assert_eq!(within(SOON, response.into_body().collect()).await.unwrap().to_bytes(), "text");
}

#[tokio::test]
async fn what_a_body_decodes_to_is_what_its_limit_counts() {
    let zeros = vec![0; 100_000];
    for (coding, body) in [("gzip", gzip(&zeros)), ("gzip, gzip", gzip(gzip(&zeros)))] {
        let rogue = always(coded(coding, &body)).await;
        let session = Session::builder().max_body_size(99_999).build().unwrap();
        let error = within(SOON, get(&session, &rogue).await.bytes()).await.unwrap_err();
        assert!(error.is_body() && error.to_string().contains("max_body_size, which is 99999 bytes"), "{error}");
        // For one request.
        let request = session.get(rogue.url("/")).max_body_size(100_000);
        assert_eq!(within(SOON, async { request.await?.bytes().await }).await.unwrap(), zeros);
        let request = Session::new().get(rogue.url("/")).max_body_size(99_999);
        assert!(within(SOON, async { request.await?.text().await }).await.unwrap_err().is_body());
    }
}

#[tokio::test]
async fn the_next_hop_gets_the_same_accept_encoding() {
    let redirect = response("302 Found", "Location: /next\r\nContent-Encoding: gzip\r\n", "no gzip at all");
    let answer = coded("gzip", gzip("there"));
    let rogue = Rogue::start(vec![Step::ReadHead, redirect, Step::ReadHead, answer]).await;
    assert_eq!(within(SOON, get(&Session::new(), &rogue).await.text()).await.unwrap(), "there");
    let asked: Vec<_> =
        rogue.requests().iter().map(|request| request.header("accept-encoding").map(str::to_owned)).collect();
    assert_eq!((asked.len(), &asked[0]), (2, &asked[1]));
    assert_eq!(rogue.accepted(), 1);
}
