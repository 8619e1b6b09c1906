//! Secrets in redirects: none reaches another origin, however it was set.

use std::future::Future;
use std::pin::Pin;

use http::header::{AUTHORIZATION, COOKIE, HeaderValue, PROXY_AUTHORIZATION};
use http::{Request, StatusCode};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use trunkline::{Body, Pool, RequestBuilder, Response, Session, SessionBuilder};

use crate::support::{Recorded, Rogue, Step, TestCa};
use crate::{SOON, within};

const SECRET: &str = "s3cr3t";
/// `ann:s3cr3t`
const ENCODED: &str = "YW5uOnMzY3IzdA==";

type ResponseFuture = Pin<Box<dyn Future<Output = trunkline::Result<Response>>>>;
type SendSecret = fn(SessionBuilder, String) -> ResponseFuture;

/// Every way of setting a secret.
const WAYS: [(&str, SendSecret); 15] = [
    ("authorization, of the session", |with, url| send(with.header(AUTHORIZATION, SECRET), |s| s.get(url))),
    ("authorization, of the request", |with, url| send(with, |s| s.get(url).header("Authorization", SECRET))),
    ("authorization, twice", |with, url| {
        send(with, |s| s.get(url).header(AUTHORIZATION, "first").header(AUTHORIZATION, SECRET))
    }),
    ("basic_auth", |with, url| send(with, |s| s.get(url).basic_auth("ann", SECRET))),
    ("bearer_auth", |with, url| send(with, |s| s.get(url).bearer_auth(SECRET))),
    ("credentials in the URL", |with, url| send(with, |s| s.get(with_credentials(&url)))),
    ("credentials in the base URL", |with, url| send(with.base_url(with_credentials(&url)), |s| s.get("/"))),
    ("cookie, of the session", |with, url| send(with.header(COOKIE, SECRET), |s| s.get(url))),
    ("cookie, of the request", |with, url| send(with, |s| s.get(url).header("cookie", SECRET))),
    ("proxy-authorization, of the session", |with, url| send(with.header(PROXY_AUTHORIZATION, SECRET), |s| s.get(url))),
    ("proxy-authorization, of the request", |with, url| {
        send(with, |s| s.get(url).header("Proxy-Authorization", SECRET))
    }),
    ("authorization, of an executed request", |with, url| {
        execute(with, Request::get(url).header(AUTHORIZATION, SECRET).header(COOKIE, SECRET))
    }),
    ("credentials in an executed request's URI", |with, url| execute(with, Request::get(with_credentials(&url)))),
    ("marked as sensitive, of the session", |with, url| send(with.header("x-api-key", sensitive()), |s| s.get(url))),
    ("marked as sensitive, of the request", |with, url| {
        send(with, |s| s.get(url).header("x-api-key", "plain").header("x-api-key", sensitive()))
    }),
];

fn send(with: SessionBuilder, request: impl FnOnce(&Session) -> RequestBuilder) -> ResponseFuture {
    Box::pin(request(&with.build().unwrap()).send())
}

fn execute(with: SessionBuilder, request: http::request::Builder) -> ResponseFuture {
    let session = with.build().unwrap();
    Box::pin(async move { session.execute(request.body(Body::empty()).unwrap()).await })
}

fn with_credentials(url: &str) -> String {
    url.replace("://", &format!("://ann:{SECRET}@"))
}

fn sensitive() -> HeaderValue {
    let mut value = HeaderValue::from_static(SECRET);
    value.set_sensitive(true);
    value
}

#[derive(Clone, Copy, Debug)]
enum RedirectTarget {
    Itself,
    AnotherPort,
    AnotherName,
    /// At the same name and port.
    Https,
    Http,
}

/// Two servers behind one address: the first connection to it is `first`'s, the others are
/// `second`'s.
struct RedirectPair {
    first: Rogue,
    second: Rogue,
    url: String,
    ca: TestCa,
    _acceptor: JoinSet<()>,
}

impl RedirectPair {
    async fn redirecting(status: u16, to: RedirectTarget) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let ca = TestCa::new();
        let server = |secure: bool| if secure { Rogue::builder().tls(&ca) } else { Rogue::builder() };
        let second = server(matches!(to, RedirectTarget::Https)).start(Step::serve("")).await;
        let location = match to {
            RedirectTarget::Itself => "/there".to_owned(),
            RedirectTarget::AnotherPort => second.url("/there"),
            RedirectTarget::AnotherName => format!("http://localhost:{port}/there"),
            RedirectTarget::Https => format!("https://127.0.0.1:{port}/there"),
            RedirectTarget::Http => format!("http://127.0.0.1:{port}/there"),
        };
        let moved = format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let redirect = [vec![Step::ReadHead, Step::ReadBody, Step::send(moved)], Step::serve("")].concat();
        let secure = matches!(to, RedirectTarget::Http);
        let first = server(secure).start(redirect).await;
        let url = format!("{}://127.0.0.1:{port}/", if secure { "https" } else { "http" });
        let mut tasks = JoinSet::new();
        tasks.spawn(open(listener, [first.port(), second.port()]));
        Self { first, second, url, ca, _acceptor: tasks }
    }

    fn session(&self) -> SessionBuilder {
        Session::builder().pool(Pool::builder().add_root_certificate(self.ca.pem()).build().unwrap())
    }

    /// The request that was redirected, and the one it became.
    fn requests(&self) -> [Recorded; 2] {
        [self.first.requests(), self.second.requests()].concat().try_into().expect("two requests")
    }
}

/// Leads the first connection to one port, and all others to the other.
async fn open(listener: TcpListener, ports: [u16; 2]) {
    let mut tasks = JoinSet::new();
    for number in 0.. {
        let (mut outside, _) = listener.accept().await.unwrap();
        let mut inside = TcpStream::connect(("127.0.0.1", ports[usize::from(number > 0)])).await.unwrap();
        tasks.spawn(async move { tokio::io::copy_bidirectional(&mut outside, &mut inside).await });
    }
}

fn is_secret(request: &Recorded) -> bool {
    let text = format!("{request:?}");
    text.contains(SECRET) || text.contains(ENCODED)
}

/// Each way, with each status; those by which a secret was told, or got lost, are named together.
async fn every_way(to: RedirectTarget, told: bool) {
    let mut faults = Vec::new();
    for (name, way) in WAYS {
        for status in [302, 307] {
            let pair = RedirectPair::redirecting(status, to).await;
            let response = within(SOON, way(pair.session(), pair.url.clone())).await.unwrap();
            assert_eq!((response.status(), response.url().path()), (StatusCode::OK, "/there"), "{name}");
            let [asked, redirected] = pair.requests();
            assert!(is_secret(&asked), "{name}");
            if is_secret(&redirected) != told {
                faults.push(format!("{name}, {status}: {redirected:?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{to:?}\n{}", faults.join("\n"));
}

#[tokio::test]
async fn secrets_stay_with_their_origin() {
    every_way(RedirectTarget::Itself, true).await;
}

#[tokio::test]
async fn secrets_are_not_told_to_another_port() {
    every_way(RedirectTarget::AnotherPort, false).await;
}

#[tokio::test]
async fn secrets_are_not_told_to_another_name_of_the_same_server() {
    every_way(RedirectTarget::AnotherName, false).await;
}

#[tokio::test]
async fn secrets_are_not_told_over_another_scheme_upwards() {
    every_way(RedirectTarget::Https, false).await;
}

#[tokio::test]
async fn secrets_are_not_told_over_another_scheme_downwards() {
    every_way(RedirectTarget::Http, false).await;
}

#[tokio::test]
async fn what_is_not_secret_goes_along() {
    let pair = RedirectPair::redirecting(302, RedirectTarget::AnotherName).await;
    let session = pair.session().header("x-session", "s").build().unwrap();
    let request = session.get(&pair.url).header("x-request", "r").header("host", "by.hand");
    within(SOON, request.send()).await.unwrap();
    let [asked, redirected] = pair.requests();
    assert_eq!(asked.header("host"), Some("by.hand"));
    assert_eq!(redirected.header("host"), Some(pair.url.replace("127.0.0.1", "localhost")[7..].trim_end_matches('/')));
    assert_eq!((redirected.header("x-session"), redirected.header("x-request")), (Some("s"), Some("r")));
}

#[tokio::test]
async fn secrets_that_were_dropped_do_not_come_back_with_the_origin() {
    let back = RedirectPair::redirecting(302, RedirectTarget::Itself).await;
    let location = format!("HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", back.url);
    let away = Rogue::start(vec![Step::ReadHead, Step::send(location), Step::Drain]).await;
    let location = format!("HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", away.url("/"));
    let here = Rogue::start(move |connection| match connection {
        0 => vec![Step::ReadHead, Step::send(&location), Step::Drain],
        _ => Step::serve(""),
    })
    .await;
    // here → away → back, and within `back` once more.
    let request = back.session().build().unwrap().get(here.url("/")).bearer_auth(SECRET).header("cookie", SECRET);
    within(SOON, request.send()).await.unwrap();
    assert!(is_secret(&here.requests()[0]));
    assert_eq!(back.first.requests().len(), 2);
    assert!(!back.first.requests().iter().chain(&away.requests()).any(is_secret));
}

#[tokio::test]
async fn a_location_chooses_our_name_only_within_its_origin() {
    for (to, header) in
        [(RedirectTarget::Itself, Some(format!("Basic {ENCODED}"))), (RedirectTarget::AnotherPort, None)]
    {
        let other = Rogue::start(Step::serve("")).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = format!("http://{}/", listener.local_addr().unwrap());
        let target = if matches!(to, RedirectTarget::Itself) { own.clone() } else { other.url("/") };
        let location = with_credentials(&target);
        let moved = format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let first = Rogue::start([vec![Step::ReadHead, Step::send(moved)], Step::serve("")].concat()).await;
        let mut tasks = JoinSet::new();
        tasks.spawn(open(listener, [first.port(), first.port()]));
        let response = within(SOON, Session::new().get(&own).send()).await.unwrap();
        assert_eq!(response.url().as_str(), target, "credentials are not part of where it came from");
        let seen = [first.requests(), other.requests()].concat().pop().unwrap();
        assert_eq!(seen.header("authorization"), header.as_deref(), "{to:?}");
        // The session's identity was sent before the redirect and stays valid.
        assert_eq!(seen.path, "/");
    }
}

#[tokio::test]
async fn a_referer_set_by_hand_is_not_taken_from_https_to_http() {
    for (to, kept) in [
        (RedirectTarget::Http, None),
        (RedirectTarget::Https, Some("by hand")),
        (RedirectTarget::AnotherPort, Some("by hand")),
    ] {
        let pair = RedirectPair::redirecting(302, to).await;
        let request = pair.session().build().unwrap().get(&pair.url).header("referer", "by hand");
        within(SOON, request.send()).await.unwrap();
        let [asked, redirected] = pair.requests();
        assert_eq!((asked.header("referer"), redirected.header("referer")), (Some("by hand"), kept), "{to:?}");
    }
    let pair = RedirectPair::redirecting(302, RedirectTarget::Itself).await;
    within(SOON, pair.session().build().unwrap().get(&pair.url).send()).await.unwrap();
    assert!(pair.requests().iter().all(|request| request.header("referer").is_none()), "none is ever added");
}
