//! Errors and logs: complete about the failure, silent about secrets.

use std::error::Error as _;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use tracing::level_filters::LevelFilter;
use trunkline::{Body, Error, Phase, Pool, RequestSent, Session, Timeouts};

use crate::exchange::causes;
use crate::support::{Deaf, Rogue, Step, TestCa};
use crate::{SOON, within};

/// In every place where a secret may stand.
const SECRET: &str = "sEcReT";

async fn failure(session: &Session, url: String) -> Error {
    within(SOON, async { session.get(url).await?.bytes().await }).await.unwrap_err()
}

/// The captured log output of this thread.
#[derive(Clone, Default)]
struct LogCapture(Arc<Mutex<Vec<u8>>>);

impl LogCapture {
    fn capture() -> (Self, tracing::subscriber::DefaultGuard) {
        crate::listen();
        let written = Self::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
            .with_writer(move || writer.clone())
            .finish();
        (written, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for LogCapture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The address with every secret that an address can hold.
fn loaded(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    format!("{scheme}://user-{SECRET}:pass-{SECRET}@{rest}?token={SECRET}#{SECRET}")
}

/// Asks with every secret that a request can hold; everything that is shown of it.
async fn shown(session: &Session, method: Method, url: &str, shown: &mut String) {
    let request = session
        .request(method, loaded(url))
        .query(&[("more", SECRET)])
        .header("cookie", format!("id={SECRET}"))
        .header("proxy-authorization", format!("Basic {SECRET}"))
        .header("x-api-key", SECRET)
        .bearer_auth(SECRET)
        .body(SECRET);
    shown.push_str(&format!("{request:?}"));
    match within(SOON, request.send()).await {
        Ok(mut response) => {
            shown.push_str(&format!("{response:?} {:?}", response.history()));
            let read = within(SOON, response.chunk()).await;
            let read = if read.is_ok() { within(SOON, response.chunk()).await } else { read };
            if let Err(error) = read {
                shown.push_str(&told(&error));
            }
            shown.push_str(&format!("{:?}", response.into_body()));
        }
        Err(error) => shown.push_str(&told(&error)),
    }
}

fn told(error: &Error) -> String {
    format!("{error} {error:?} {error:#?} {:?} {:?}\n", error.url().map(ToString::to_string), causes(error))
}

#[tokio::test]
async fn secrets_are_in_no_error_no_debug_and_no_log() {
    let (log, _guard) = LogCapture::capture();
    let session = Session::builder()
        .base_url(loaded("http://base.invalid/").as_str())
        .header("authorization", format!("Bearer {SECRET}"))
        .header("x-session-key", SECRET)
        .timeouts(Timeouts::new().total(Duration::from_millis(300)))
        .build()
        .unwrap();
    let mut all = format!("{session:?} {:#?} {:?} {:?}", session, session.pool(), Body::from(SECRET));
    let cookie = format!("Set-Cookie: id={SECRET}\r\nX-Token: {SECRET}\r\n");
    let whole = format!("HTTP/1.1 200 OK\r\n{cookie}Content-Length: 6\r\n\r\n{SECRET}");
    let length = SECRET.len();
    let hop = format!("HTTP/1.1 307 Moved\r\n{cookie}Location: /next?token={SECRET}\r\nContent-Length: 0\r\n\r\n");
    let away = format!("HTTP/1.1 302 Moved\r\nLocation: ftp://u:{SECRET}@h.invalid/?t={SECRET}\r\n\r\n");
    let endings: [Vec<Step>; 9] = [
        vec![Step::send(&whole)],
        vec![Step::send(&hop), Step::ReadHead, Step::ReadBody, Step::send(&whole)],
        vec![Step::Loop(vec![Step::send(&hop), Step::ReadHead, Step::ReadBody])],
        vec![Step::send(away)],
        vec![Step::send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{SECRET}", length + 1))],
        vec![Step::send(format!("HTTP/1.1 200 {SECRET}\r\nX: {SECRET}")), Step::Close],
        vec![Step::send(format!("{SECRET}\r\n\r\n{SECRET}")), Step::Close],
        vec![Step::Reset],
        vec![Step::Drain],
    ];
    for ending in endings {
        let steps = [vec![Step::ReadHead, Step::ReadBody], ending].concat();
        let rogue = Rogue::start(steps).await;
        for method in [Method::GET, Method::POST] {
            shown(&session, method, &rogue.url("/visible"), &mut all).await;
        }
    }
    let deaf = Deaf::start().await;
    let secure = Rogue::tls(&TestCa::new(), Step::serve("")).await;
    for url in ["http://127.0.0.1:1/", "http://nowhere.invalid/", &deaf.url("/"), &secure.url("/")] {
        shown(&session, Method::GET, url, &mut all).await;
    }
    for wrong in ["ftp://h.invalid/", "http://exa mple/", "http://h.invalid:99999/"] {
        shown(&session, Method::GET, wrong, &mut all).await;
    }
    for uri in [loaded("ftp://h.invalid/"), format!("//u:{SECRET}@h.invalid/"), format!("/?t={SECRET}")] {
        let uri = uri.split('#').next().unwrap().to_owned();
        let Ok(request) = http::Request::get(uri).body(Body::empty()) else { continue };
        all.push_str(&told(&within(SOON, session.pool().send(request, Timeouts::new())).await.unwrap_err()));
    }
    session.close().await;
    let error = session.get(loaded("http://127.0.0.1:1/")).await.unwrap_err();
    assert!(error.is_closed());
    all.push_str(&told(&error));

    let log = log.text();
    for (what, text) in [("shown", &all), ("logged", &log)] {
        if let Some(at) = text.find(SECRET) {
            panic!("{what}: …{}…", &text[at.saturating_sub(300)..text.len().min(at + 100)]);
        }
        // It did see the rest.
        assert!(text.contains("/visible") && text.contains("127.0.0.1"), "{what}: {text}");
    }
    for event in ["connected", "redirect", "no connection", "resolved"] {
        assert!(log.contains(event), "{event}: {log}");
    }
}

#[tokio::test]
async fn an_exhausted_pool_is_explained_without_secrets() {
    let (log, _guard) = LogCapture::capture();
    let rogue = Rogue::start(vec![Step::ReadHead, Step::Drain]).await;
    let pool = Pool::builder().limit(1).report_held(Duration::from_millis(20)).build().unwrap();
    let session = Session::builder().pool(pool).build().unwrap();
    let limit = Timeouts::new().total(Duration::from_millis(300));
    let held = session.get(loaded(&rogue.url("/"))).bearer_auth(SECRET).timeouts(limit);
    let waiting = session.get(loaded(&rogue.url("/"))).timeouts(Timeouts::new().acquire(Duration::from_millis(100)));
    let (held, waiting) = within(SOON, async { tokio::join!(held.send(), waiting.send()) }).await;
    let told = format!("{} {}", told(&held.unwrap_err()), told(&waiting.unwrap_err()));
    let log = log.text();
    assert!(!told.contains(SECRET) && !log.contains(SECRET), "{told} {log}");
    assert!(log.contains("queued") && log.contains("a connection has been held for long"), "{log}");
}

#[tokio::test]
async fn request_sent_says_whether_the_server_can_have_seen_it() {
    let deaf = Deaf::start().await;
    let short = Timeouts::new().total(Duration::from_millis(200));
    let session = Session::builder().timeouts(short).build().unwrap();
    for (url, phase) in [
        ("http://127.0.0.1:1/".to_owned(), Some(Phase::Connect)),
        (deaf.url("/"), Some(Phase::Connect)),
        ("no address".to_owned(), None),
    ] {
        let error = failure(&session, url).await;
        assert_eq!((error.request_sent(), error.phase()), (RequestSent::No, phase), "{error:?}");
    }
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    for (steps, sent, phase) in [
        (vec![Step::ReadHead, Step::Close], RequestSent::Maybe, Phase::Response),
        (vec![Step::ReadHead, Step::Reset], RequestSent::Maybe, Phase::Response),
        (vec![Step::ReadHead, Step::Drain], RequestSent::Maybe, Phase::Response),
        (vec![Step::ReadHead, Step::send("HTTP/1.1 2"), Step::Close], RequestSent::Yes, Phase::Response),
        (vec![Step::ReadHead, Step::send("HTTP/1.1 2"), Step::Drain], RequestSent::Yes, Phase::Response),
        (vec![Step::ReadHead, Step::send(half), Step::Close], RequestSent::Yes, Phase::Body),
        (vec![Step::ReadHead, Step::send(half), Step::Drain], RequestSent::Yes, Phase::Body),
    ] {
        let what = format!("{steps:?}");
        let rogue = Rogue::start(steps).await;
        let error = failure(&session, rogue.url("/")).await;
        assert_eq!((error.request_sent(), error.phase()), (sent, Some(phase)), "{what}: {error:?}");
        assert_eq!(rogue.requests().len(), 1, "from a fresh connection nothing is sent twice");
    }
    session.close().await;
    let error = failure(&session, "http://127.0.0.1:1/".to_owned()).await;
    assert!(error.is_closed() && error.request_sent() == RequestSent::No);
}

#[tokio::test]
async fn an_error_is_one_kind_of_error() {
    let rogue =
        Rogue::start(vec![Step::ReadHead, Step::send("HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\nhalf")]).await;
    let strict = Session::builder().error_for_status(true).build().unwrap();
    let closed = Session::new();
    closed.close().await;
    let errors = [
        failure(&strict, rogue.url("/")).await,
        failure(&Session::new(), rogue.url("/")).await,
        failure(&closed, rogue.url("/")).await,
        failure(&Session::new(), "http://127.0.0.1:1/".into()).await,
        failure(&Session::new(), "mailto:nobody".into()).await,
    ];
    let kinds = |error: &Error| {
        [
            error.is_status(),
            error.is_body(),
            error.is_closed(),
            error.is_connect(),
            error.is_input(),
            error.is_timeout(),
        ]
    };
    for (place, error) in errors.iter().enumerate() {
        let expected: Vec<bool> = (0..6).map(|kind| kind == place).collect();
        assert_eq!(kinds(error), *expected, "{error:?}");
        assert_eq!(error.status().is_some(), error.is_status());
        assert!(!error.is_redirect());
    }
}

#[tokio::test]
async fn an_error_names_its_request_and_its_causes_one_level_each() {
    let session = Session::new();
    let error = failure(&session, "http://127.0.0.1:1/path?query".into()).await;
    assert_eq!((error.method(), error.url().unwrap().as_str()), (Some(&Method::GET), "http://127.0.0.1:1/path"));
    let text = error.to_string();
    assert!(text.starts_with("GET http://127.0.0.1:1/path: no connection while connecting: 127.0.0.1: "), "{text}");
    let cause = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
    assert_eq!(cause.kind(), io::ErrorKind::ConnectionRefused);

    let rogue = Rogue::start(vec![Step::ReadHead, Step::send("HTTP/1.1 2"), Step::Reset]).await;
    let error = failure(&session, rogue.url("/")).await;
    let causes = causes(&error);
    assert!(!causes.is_empty() && !causes.contains(&error.to_string()), "{causes:?}");
    assert!(causes.iter().all(|cause| !error.to_string().ends_with(cause)), "a level says what the next one says");

    let error: Box<dyn std::error::Error + Send + Sync + 'static> = error.into();
    assert!(error.is::<Error>());
}

#[tokio::test]
async fn a_session_that_is_never_closed_is_named_by_its_line() {
    let (log, _guard) = LogCapture::capture();
    let rogue = Rogue::start(Step::serve("ok")).await;
    let (session, line) = (Session::new(), line!());
    within(SOON, async { session.get(rogue.url("/")).await?.text().await }).await.unwrap();
    drop(session);
    let log = log.text();
    assert!(log.contains("without being closed") && log.contains(&format!("errors.rs:{line}:")), "{log}");
    rogue.wait_until(|log| log.open == 0).await;

    let (log, _guard) = LogCapture::capture();
    let session = Session::new();
    within(SOON, async { session.get(rogue.url("/")).await?.text().await }).await.unwrap();
    session.close().await;
    drop(session);
    assert!(!log.text().contains("without being closed"), "{}", log.text());
}
