//! Files and streams as bodies: framing, replay, and failures.

use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use http::{Method, StatusCode};
use trunkline::{Body, CloseReason, Multipart, Part, Pool, RequestSent, Response, Session, Timeouts};

use crate::exchange::{causes, fed};
use crate::support::{Nginx, Rogue, Step, TempDir};
use crate::{SOON, eventually, soak, within};

type Items = Vec<io::Result<&'static str>>;

fn stream_of(items: &[&'static str]) -> Body {
    Body::stream(stream::iter(items.iter().copied().map(Ok).collect::<Items>()))
}

/// It yields this, and then fails.
fn failing(items: &[&'static str]) -> Body {
    let fails = [Err(io::Error::other("the disk is on fire"))];
    Body::stream(stream::iter(items.iter().copied().map(Ok).chain(fails).collect::<Items>()))
}

fn a_file(content: impl AsRef<[u8]>) -> (TempDir, std::path::PathBuf) {
    let dir = TempDir::new("upload");
    let path = dir.write("file.bin", content);
    (dir, path)
}

/// A file of zeros that takes no room.
fn sparse(size: u64) -> (TempDir, std::path::PathBuf) {
    let (dir, path) = a_file("");
    File::create(&path).unwrap().set_len(size).unwrap();
    (dir, path)
}

async fn put(session: &Session, rogue: &Rogue, body: impl Into<Body>) -> trunkline::Result<Response> {
    within(SOON, session.put(rogue.url("/x")).body(body).send()).await
}

#[tokio::test]
async fn a_body_is_sent_with_its_length_if_known_else_in_chunks() {
    let content = vec![b'x'; 300_000];
    let (_dir, path) = a_file(&content);
    let rogue = Rogue::start(Step::serve("")).await;
    let session = Session::new();
    let bodies = [
        (Body::file(&path), Some(&content[..])),
        (Body::file_range(&path, 100..200_000), Some(&content[100..200_000])),
        (Body::file_range(&path, ..0), Some(&[])),
        (File::open(&path).unwrap().into(), Some(&content[..])),
        (stream_of(&["on", "", "ce"]).with_length(4), Some(b"once")),
        (Body::replayable(|| stream_of(&["ag", "ain"]).with_length(5)), Some(b"again")),
        (stream_of(&["in ", "chunks"]), None),
        (stream_of(&[]), None),
    ];
    for (body, known) in bodies {
        let what = format!("{body:?}");
        put(&session, &rogue, body).await.unwrap();
        let seen = rogue.requests().pop().unwrap();
        assert!(seen.whole, "{what}");
        let length = known.map(|known| known.len().to_string());
        assert_eq!(seen.header("content-length"), length.as_deref(), "{what}");
        assert_eq!(seen.header("transfer-encoding"), known.is_none().then_some("chunked"), "{what}");
        assert!(known.is_none_or(|known| known == seen.body), "{what}");
    }
    assert_eq!(rogue.accepted(), 1);
}

#[tokio::test]
async fn a_streamed_body_goes_with_any_method() {
    let rogue = Rogue::start(Step::serve("")).await;
    let session = Session::new();
    for method in [Method::GET, Method::DELETE, Method::OPTIONS] {
        let request = session.request(method, rogue.url("/")).body(stream_of(&["que", "ry"]));
        within(SOON, request.send()).await.unwrap();
        assert_eq!(rogue.requests().pop().unwrap().body, b"query");
    }
}

#[tokio::test]
async fn a_length_set_by_hand_is_kept_or_the_request_fails() {
    let rogue = Rogue::start(vec![Step::Loop(vec![Step::ReadHead, Step::ReadBody, Step::ok("")])]).await;
    let session = Session::new();
    let put = |length: &'static str| session.put(rogue.url("/")).header("content-length", length);
    within(SOON, put("5").body(stream_of(&["he", "llo"])).send()).await.unwrap();
    assert_eq!(rogue.requests().pop().unwrap().body, b"hello");
    for (length, why) in [("4", "longer than the 4 bytes"), ("6", "ended after 5 bytes, where 6")] {
        let error = within(SOON, put(length).body(stream_of(&["he", "llo"])).send()).await.unwrap_err();
        assert!(error.is_body() && causes(&error).iter().any(|cause| cause.contains(why)), "{error:?}");
    }
    rogue.wait_until(|log| log.open == 0).await;
    assert_eq!(rogue.requests().iter().filter(|request| request.whole).count(), 1);
    let error = within(SOON, put("five").body(stream_of(&["hello"])).send()).await.unwrap_err();
    assert!(error.is_input() && error.to_string().contains("\"five\""), "{error:?}");
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named_and_nothing_is_opened() {
    let (dir, rogue) = (TempDir::new("missing"), Rogue::start(Step::serve("")).await);
    let session = Session::new();
    let form = || Multipart::new().text("a", "b").file("f", dir.join("missing"));
    let missing = || Body::file(dir.join("missing"));
    for request in [session.put(rogue.url("/")).body(missing()), session.post(rogue.url("/")).multipart(form())] {
        let error = within(SOON, request.send()).await.unwrap_err();
        assert!(error.is_input() && error.to_string().contains("missing"), "{error:?}");
        assert_eq!(error.url().unwrap().as_str(), rogue.url("/"));
        assert_eq!(error.request_sent(), RequestSent::No);
        assert!(causes(&error)[0].contains("os error 2"), "{error:?}");
    }
    let request = http::Request::put(rogue.url("/")).body(missing()).unwrap();
    let error = within(SOON, session.pool().send(request, Timeouts::new())).await.unwrap_err();
    assert!(error.is_input(), "{error:?}");
    assert_eq!(session.stats().created, 0);
}

/// The first connection serves one request, and ends in the middle of the next.
fn stale(connection: usize) -> Vec<Step> {
    match connection {
        0 => vec![Step::ReadHead, Step::ok("warm"), Step::ReadHead, Step::Swallow(1), Step::Close],
        _ => Step::serve("again"),
    }
}

async fn warm(rogue: &Rogue) -> Session {
    let session = Session::new();
    within(SOON, async { session.get(rogue.url("/warm")).await?.bytes().await }).await.unwrap();
    session
}

#[tokio::test]
async fn p10_a_file_is_sent_again_from_its_beginning() {
    let content: Vec<u8> = (0..1_000_000_u32).map(|n| n as u8).collect();
    let (_dir, path) = a_file(&content);
    let parts = content.clone();
    let once = move || Body::stream(stream::iter([Ok::<_, io::Error>(parts.clone())]));
    for body in [Body::file(&path), Body::replayable(once)] {
        let rogue = Rogue::start(stale).await;
        let session = warm(&rogue).await;
        let response = put(&session, &rogue, body).await.unwrap();
        assert_eq!(within(SOON, response.text()).await.unwrap(), "again");
        let seen = rogue.requests();
        assert_eq!((seen.len(), seen[2].whole), (3, true));
        assert!(seen[2].body == content);
    }
}

#[tokio::test]
async fn p10_a_stream_that_has_set_out_is_not_sent_again() {
    let rogue = Rogue::start(stale).await;
    let session = warm(&rogue).await;
    let error = put(&session, &rogue, stream_of(&["once"])).await.unwrap_err();
    assert_eq!(error.request_sent(), RequestSent::Maybe, "{error:?}");
    assert_eq!((rogue.requests().len(), rogue.accepted()), (2, 1));
}

/// Redirects the first request and answers the second.
async fn redirecting(status: u16) -> Rogue {
    let moved = format!("HTTP/1.1 {status} Moved\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n");
    Rogue::start([vec![Step::ReadHead, Step::ReadBody, Step::send(moved)], Step::serve("there")].concat()).await
}

#[tokio::test]
async fn a_redirect_takes_along_what_can_be_sent_again() {
    let (_dir, path) = a_file("the file");
    for status in [307, 308] {
        let (rogue, session) = (redirecting(status).await, Session::new());
        within(SOON, session.post(rogue.url("/")).body(Body::file(&path)).send()).await.unwrap();
        let bodies: Vec<_> = rogue.requests().into_iter().map(|request| request.body).collect();
        assert_eq!(bodies, [b"the file", b"the file"]);

        let rogue = redirecting(status).await;
        let form = Multipart::new()
            .text("a", "b")
            .file("f", &path)
            .part("s", Part::new(Body::replayable(|| stream_of(&["made"]))));
        within(SOON, session.post(rogue.url("/")).multipart(form).send()).await.unwrap();
        let [first, second] = rogue.requests().try_into().unwrap();
        assert_eq!(first.header("content-type"), second.header("content-type"));
        assert_eq!(first.body, second.body);
        let text = String::from_utf8(second.body).unwrap();
        assert!(text.contains("the file") && text.contains("made"), "{text}");
    }
}

#[tokio::test]
async fn a_redirect_that_needs_a_body_twice_says_what_to_do() {
    let (_dir, path) = a_file("the file");
    let one_shot = || Part::stream(stream::iter([Ok::<_, io::Error>("x")]));
    let session = Session::new();
    for (what, told) in [("stream", "(stream)"), ("handle", "(open file)"), ("form", "part \"photo\"")] {
        let rogue = redirecting(307).await;
        let request = session.post(rogue.url("/"));
        let request = match what {
            "stream" => request.body(stream_of(&["once"])),
            "handle" => request.body(File::open(&path).unwrap()),
            _ => request.multipart(Multipart::new().text("a", "b").part("photo", one_shot())),
        };
        let error = within(SOON, request.send()).await.unwrap_err();
        let text = error.to_string();
        assert!(error.is_redirect() && text.contains(told) && text.contains("Body::replayable"), "{text}");
        assert_eq!(rogue.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_failed_body_says_why_and_never_looks_whole_to_the_server() {
    let bodies: [(&str, Body, &str, Option<&str>); 6] = [
        ("chunked", failing(&["so far"]), "the stream failed", Some("the disk is on fire")),
        ("at once", failing(&[]), "the stream failed", Some("the disk is on fire")),
        ("of known length", failing(&["so far"]).with_length(10), "the stream failed", Some("the disk is on fire")),
        ("too short", stream_of(&["so far"]).with_length(10), "ended after 6 bytes, where 10 were announced", None),
        ("too long", stream_of(&["so ", "far"]).with_length(5), "longer than the 5 bytes announced", None),
        ("a byte too long", stream_of(&["so far", "!"]).with_length(6), "longer than the 6 bytes announced", None),
    ];
    for (what, body, why, cause) in bodies {
        let rogue = Rogue::start(Step::serve("next")).await;
        let session = Session::new();
        let error = put(&session, &rogue, body).await.unwrap_err();
        assert!(error.is_body() && causes(&error).iter().any(|told| told.contains(why)), "{what}: {error:?}");
        assert!(cause.is_none_or(|cause| causes(&error).iter().any(|told| told == cause)), "{what}: {error:?}");
        let stats = session.stats();
        assert_eq!((stats.open, stats.closed.total()), (0, 1), "{what}: {stats:?}");
        let log = rogue.wait_until(|log| log.open == 0).await;
        assert!(log.requests.iter().all(|request| !request.whole), "{what}");
        put(&session, &rogue, "next").await.unwrap();
        assert_eq!(rogue.accepted(), 2, "{what}");
    }
}

#[tokio::test]
async fn what_is_announced_as_nothing_is_nothing_or_an_error() {
    let rogue = Rogue::start(Step::serve("taken")).await;
    let session = Session::new();
    let forms = Multipart::new().part("s", Part::new(stream_of(&["", "!"]).with_length(0)));
    let form = session.post(rogue.url("/")).multipart(forms);
    for request in [session.put(rogue.url("/")).body(stream_of(&["", "!"]).with_length(0)), form] {
        let error = within(SOON, request.send()).await.unwrap_err();
        assert!(error.is_body() && error.to_string().contains("longer than the 0 bytes announced"), "{error:?}");
        assert_eq!((error.request_sent(), error.url().unwrap().as_str()), (RequestSent::No, rogue.url("/").as_str()));
    }
    assert_eq!(rogue.accepted(), 0);
    put(&session, &rogue, stream_of(&["", ""]).with_length(0)).await.unwrap();
    let seen = rogue.requests().pop().unwrap();
    assert_eq!((seen.header("content-length"), seen.length), (Some("0"), 0));
}

#[tokio::test]
async fn p10_a_body_that_fails_is_no_reason_to_send_it_again() {
    let rogue = Rogue::start(Step::serve("")).await;
    let session = warm(&rogue).await;
    let error = put(&session, &rogue, Body::replayable(|| failing(&["so far"]))).await.unwrap_err();
    assert!(error.is_body(), "{error:?}");
    assert_eq!(rogue.accepted(), 1);
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_sent_is_an_error() {
    for (then, why) in [(10 << 20, "where 33554432 were announced"), (40 << 20, "longer than the 33554432 bytes")] {
        let (_dir, path) = sparse(32 << 20);
        let go = crate::support::Gate::new();
        let steps =
            vec![Step::ReadHead, Step::Swallow(1 << 20), Step::WaitFor(go.clone()), Step::CountBody, Step::ok("")];
        let rogue = Rogue::start(steps).await;
        let session = Session::new();
        let sent = tokio::spawn(session.put(rogue.url("/")).body(Body::file(&path)).send());
        within(SOON, go.reached(1)).await;
        File::options().write(true).open(&path).unwrap().set_len(then).unwrap();
        go.open();
        let error = within(SOON, sent).await.unwrap().unwrap_err();
        let text = causes(&error).join("\n");
        assert!(error.is_body() && text.contains(why) && text.contains(path.to_str().unwrap()), "{error:?}");
        rogue.wait_until(|log| log.open == 0).await;
    }
}

#[tokio::test]
async fn a_body_that_fails_during_the_answer_is_told_to_the_reader() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf";
    let rogue = Rogue::start(move |connection| match connection {
        0 => vec![Step::ReadHead, Step::send(head), Step::ReadBody, Step::send("half"), Step::Hold],
        _ => Step::serve("next"),
    })
    .await;
    let session = Session::new();
    let (upload, body) = fed();
    let mut response = put(&session, &rogue, body).await.unwrap();
    assert_eq!(within(SOON, response.chunk()).await.unwrap().unwrap(), "half");
    upload.send(Ok("so far".into())).unwrap();
    upload.send(Err(io::Error::other("the disk is on fire"))).unwrap();
    let error = within(SOON, response.chunk()).await.unwrap_err();
    assert!(error.is_body() && causes(&error).iter().any(|cause| cause.contains("the body failed")), "{error:?}");
    assert!(causes(&error).contains(&"the disk is on fire".to_owned()), "{error:?}");
    drop(response);
    put(&session, &rogue, "next").await.unwrap();
    assert_eq!(session.stats().closed.total(), 1);
}

#[tokio::test]
async fn a_stream_that_panics_costs_its_connection_and_no_more() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf";
    // Before the head of the response, and while its body is read.
    for first in [vec![Step::ReadHead, Step::Hold], vec![Step::ReadHead, Step::send(head), Step::Hold]] {
        let rogue = Rogue::start(move |n| if n == 0 { first.clone() } else { Step::serve("next") }).await;
        let pool = Pool::builder().limit(1).build().unwrap();
        let session = Session::builder().pool(pool).build().unwrap();
        let (go, mut went) = tokio::sync::oneshot::channel::<()>();
        let mut polls = 0;
        let body = Body::stream(stream::poll_fn(move |cx| -> std::task::Poll<Option<io::Result<Bytes>>> {
            polls += 1;
            // A stream is entitled not to be polled after its panic.
            assert!(polls < 1000, "polled after its panic");
            std::task::ready!(std::pin::Pin::new(&mut went).poll(cx)).ok();
            polls = 1000;
            panic!("the stream panics")
        }));
        let sending = tokio::spawn({
            let request = session.put(rogue.url("/")).body(body);
            async move {
                let mut response = request.await.unwrap();
                while response.chunk().await.unwrap().is_some() {}
            }
        });
        rogue.wait_until(|log| log.requests.len() == 1).await;
        go.send(()).unwrap();
        let panic = within(SOON, sending).await.unwrap_err().into_panic();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"the stream panics"));
        eventually("its connection is closed", || session.stats().open == 0).await;
        assert_eq!(within(SOON, put(&session, &rogue, "x")).await.unwrap().text().await.unwrap(), "next");
    }
}

#[tokio::test]
async fn a_body_of_unknown_length_is_not_sent_to_an_http_1_0_server() {
    // Nor left out. It keeps its connections, so there is one that it is known by.
    let old = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n";
    let rogue = Rogue::start(vec![Step::Loop(vec![Step::ReadHead, Step::ReadBody, Step::send(old)])]).await;
    for replay in [true, false] {
        let pool = Pool::builder().replay(replay).build().unwrap();
        let session = Session::builder().pool(pool).build().unwrap();
        put(&session, &rogue, "first").await.unwrap();
        let before = rogue.requests().len();
        for body in [stream_of(&["un", "known"]), Body::replayable(|| stream_of(&["unknown"]))] {
            let error = put(&session, &rogue, body).await.unwrap_err();
            assert!(error.is_body() && error.to_string().contains("HTTP/1.0"), "{error}");
            assert_eq!(error.request_sent(), RequestSent::No);
        }
        put(&session, &rogue, stream_of(&["a ", "known one"]).with_length(11)).await.unwrap();
        let seen = rogue.requests().split_off(before);
        assert_eq!(seen.iter().map(|request| request.body.as_slice()).collect::<Vec<_>>(), [b"a known one"]);
        assert_eq!((session.stats().created, session.stats().idle), (1, 1), "its connection is as good as before");
    }
}

#[tokio::test]
async fn a_slow_upload_does_not_run_into_read_and_a_silent_one_does() {
    const READ: Duration = Duration::from_millis(300);
    let session = Session::builder().timeouts(Timeouts::new().read(READ)).build().unwrap();
    let rogue = Rogue::start(Step::serve("done")).await;
    let (upload, body) = fed();
    let feeding = tokio::spawn(async move {
        for _ in 0..20 {
            tokio::time::sleep(READ / 6).await;
            upload.send(Ok("piece".into())).unwrap();
        }
    });
    let begun = Instant::now();
    let response = put(&session, &rogue, body).await.unwrap();
    assert!(begun.elapsed() > READ * 2);
    assert_eq!(within(SOON, response.text()).await.unwrap(), "done");
    assert_eq!(rogue.requests()[0].body.len(), 100);
    feeding.await.unwrap();

    // Neither side makes progress: a stalled connection is not kept for ever.
    let (_silent, body) = fed();
    let begun = Instant::now();
    let error = put(&session, &rogue, body).await.unwrap_err();
    assert!(error.is_timeout() && begun.elapsed() >= READ, "{error:?}");
    assert!(error.to_string().contains("nothing passed in either direction"), "{error}");
    assert_eq!(session.stats().closed.by(CloseReason::Silence), 1);
}

#[tokio::test]
async fn an_answer_after_a_mebibyte_of_upload_comes_at_once_and_whole() {
    let (_dir, path) = sparse(5 << 30);
    let refusal = "no more than this".repeat(1000);
    let answer = Step::respond(413, &refusal);
    let rogue = Rogue::start(move |connection| match connection {
        0 => vec![Step::ReadHead, Step::Swallow(1 << 20), answer.clone(), Step::Hold],
        1 => vec![Step::ReadHead, Step::Swallow(1 << 20), answer.clone(), Step::Close],
        _ => Step::serve("next"),
    })
    .await;
    let session = Session::new();
    for connection in 0..2 {
        let begun = Instant::now();
        let response = put(&session, &rogue, Body::file(&path)).await.unwrap();
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(within(SOON, response.text()).await.unwrap(), refusal);
        assert!(begun.elapsed() < Duration::from_secs(5));
        let stats = session.stats();
        assert_eq!((stats.open, stats.in_use, stats.closed.total()), (0, 0, connection + 1), "{stats:?}");
    }
    assert_eq!(put(&session, &rogue, "x").await.unwrap().text().await.unwrap(), "next");
}

#[tokio::test]
async fn nginx_takes_files_and_refuses_large_ones() {
    let nginx = Nginx::start().await;
    let session = Session::new();
    for (size, chunked) in [(1 << 20, false), (1 << 20, true)] {
        let (_dir, path) = sparse(size);
        let mut body = Body::file(&path);
        if chunked {
            body = Body::stream(stream::iter((0..16).map(|_| Ok::<_, io::Error>(Bytes::from(vec![0; 1 << 16])))));
        }
        let response = within(SOON, session.post(nginx.url("/upload")).body(body).send()).await.unwrap();
        assert_eq!(within(SOON, response.text()).await.unwrap(), "took 1048576 bytes\n");
    }
    assert_eq!(session.stats().created, 1);
    let (_dir, path) = sparse(64 << 20);
    let response = within(SOON, session.post(nginx.url("/upload")).body(Body::file(&path)).send()).await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    within(SOON, response.bytes()).await.unwrap();
    let response = within(SOON, session.get(nginx.url("/small")).send()).await.unwrap();
    assert_eq!(within(SOON, response.text()).await.unwrap(), "small\n");
}

/// The process's largest footprint so far, in bytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Environment variable that passes the URL to the uploading process.
const UPLOAD: &str = "TRUNKLINE_TEST_UPLOAD";

/// In a process of its own, which is this test again: others would count as well.
#[tokio::test]
async fn a_huge_file_is_uploaded_in_constant_memory() {
    if let Ok(told) = std::env::var(UPLOAD) {
        let (url, path) = told.split_once(' ').unwrap();
        return upload_and_report(url, path).await;
    }
    let size = soak(5 << 30, 256 << 20) as u64;
    let (_dir, path) = sparse(size);
    let rogue = Rogue::start(vec![Step::Loop(vec![Step::ReadHead, Step::CountBody, Step::ok("")])]).await;
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "--nocapture", "uploads::a_huge_file_is_uploaded_in_constant_memory"]);
    again.env(UPLOAD, format!("{} {}", rogue.url("/"), path.display()));
    let output = tokio::task::spawn_blocking(move || again.output()).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let grown: u64 = text.split("grown by ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok()).expect(&text);
    assert!(grown < 16 << 20, "{grown} bytes for a body of {size}");
    let seen = rogue.requests();
    assert_eq!((seen.len(), seen[1].length, seen[1].whole), (2, size, true));
}

async fn upload_and_report(url: &str, path: &str) {
    let session = Session::builder().timeouts(Timeouts::new().total(Duration::MAX)).build().unwrap();
    // Whatever a first request needs is not the upload's.
    session.put(url).body(Body::file_range(path, ..1 << 20)).await.unwrap().bytes().await.unwrap();
    let before = peak_memory();
    session.put(url).body(Body::file(path)).await.unwrap().bytes().await.unwrap();
    let grown = peak_memory() - before;
    // The test harness leaves this alone, and it is read by the one that asked.
    io::Write::write_all(&mut io::stdout(), format!("grown by {grown} bytes\n").as_bytes()).unwrap();
}
