//! Name resolution: number of lookups, order and timing of addresses, refused addresses.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use trunkline::{CloseReason, Error, Phase, Pool, PoolBuilder, RequestSent, Resolve, Resolving, Session, Timeouts};

use crate::support::sockets::watch as watch_sockets;
use crate::support::{Deaf, Nginx, Rogue, Step};
use crate::{SOON, eventually, within};

const ONE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));
const TWO: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// Resolver of fixed names: counts lookups and answers once it is open.
#[derive(Clone)]
struct StaticResolver {
    names: Arc<HashMap<&'static str, Vec<IpAddr>>>,
    asked: Arc<AtomicUsize>,
    open: Arc<watch::Sender<bool>>,
}

impl StaticResolver {
    fn of(names: &[(&'static str, &[IpAddr])]) -> Self {
        let names = names.iter().map(|(name, addresses)| (*name, addresses.to_vec())).collect();
        Self { names: Arc::new(names), asked: Arc::default(), open: Arc::new(watch::Sender::new(true)) }
    }

    fn shut(self) -> Self {
        self.open.send_replace(false);
        self
    }

    fn open(&self) {
        self.open.send_replace(true);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Resolve for StaticResolver {
    fn resolve(&self, host: &str) -> Resolving {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let unknown = || io::Error::new(io::ErrorKind::NotFound, "not a known name");
        let answer = self.names.get(host).cloned().ok_or_else(unknown);
        let mut open = self.open.subscribe();
        Box::pin(async move {
            open.wait_for(|open| *open).await.expect("`self` holds the sender");
            answer
        })
    }
}

fn session(pool: PoolBuilder) -> Session {
    Session::builder().pool(pool.build().unwrap()).build().unwrap()
}

async fn get(session: &Session, url: String) -> trunkline::Result<String> {
    within(SOON, async { session.get(url).await?.text().await }).await
}

/// The address that answers a request on a connection of its own.
async fn answered_by(session: &Session, url: &str) -> IpAddr {
    let response = within(SOON, session.get(url).header("connection", "close").send()).await.unwrap();
    let peer = response.connection().peer;
    response.bytes().await.unwrap();
    peer.ip()
}

/// Answers at that address and port until it is dropped.
async fn answering(ip: IpAddr, port: u16) -> JoinSet<()> {
    let listener = TcpListener::bind((ip, port)).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere").await.unwrap();
        }
    });
    tasks
}

#[tokio::test]
async fn a_burst_asks_once_and_the_answer_is_remembered() {
    let rogue = Rogue::start(Step::serve("here")).await;
    let book = StaticResolver::of(&[("site.test", &[ONE])]).shut();
    let session = session(Pool::builder().resolver(book.clone()));
    let mut burst = JoinSet::new();
    for _ in 0..50 {
        burst.spawn(session.get(rogue.url_at("site.test", "/")).send());
    }
    eventually("all of them want the name", || session.stats().dialing == 50).await;
    book.open();
    while let Some(response) = within(SOON, burst.join_next()).await {
        response.unwrap().unwrap();
    }
    assert_eq!((book.asked(), rogue.requests().len()), (1, 50));
    let again = session.get(rogue.url_at("SITE.test", "/")).header("connection", "close");
    within(SOON, again.send()).await.unwrap();
    get(&session, rogue.url_at("site.test", "/")).await.unwrap();
    assert_eq!(book.asked(), 1);
    assert_eq!(rogue.requests().pop().unwrap().header("host"), Some(format!("site.test:{}", rogue.port()).as_str()));
}

#[tokio::test]
async fn a_failed_lookup_fails_its_waiters_and_is_repeated() {
    let book = StaticResolver::of(&[]).shut();
    let session = session(Pool::builder().resolver(book.clone()));
    let mut burst = JoinSet::new();
    for _ in 0..5 {
        burst.spawn(session.get("http://nowhere.test/path?token=secret").send());
    }
    eventually("all of them want the name", || session.stats().dialing == 5).await;
    book.open();
    while let Some(failed) = within(SOON, burst.join_next()).await {
        let error = failed.unwrap().unwrap_err();
        assert!(error.is_connect() && !error.is_timeout(), "{error:?}");
        assert_eq!((error.phase(), error.request_sent()), (Some(Phase::Resolve), RequestSent::No));
        assert!(error.to_string().contains("nowhere.test"), "{error}");
        let causes = crate::exchange::causes(&error);
        assert!(causes.iter().any(|cause| cause.contains("not a known name")), "{error:?}");
    }
    assert_eq!(book.asked(), 1);
    get(&session, "http://nowhere.test/".into()).await.unwrap_err();
    assert_eq!((book.asked(), session.stats().open), (2, 0));
}

#[tokio::test]
async fn a_name_without_addresses_is_a_failed_lookup() {
    let book = StaticResolver::of(&[("empty.test", &[])]);
    let error = get(&session(Pool::builder().resolver(book)), "http://empty.test/".into()).await.unwrap_err();
    assert!(error.is_connect() && error.phase() == Some(Phase::Resolve), "{error:?}");
    assert!(error.to_string().contains("empty.test"), "{error}");
}

#[tokio::test]
async fn a_literal_address_is_nobody_s_question() {
    let rogue = Rogue::start(Step::serve("here")).await;
    let book = StaticResolver::of(&[]);
    let session = session(Pool::builder().resolver(book.clone()));
    get(&session, rogue.url("/")).await.unwrap();
    get(&session, format!("http://[::ffff:127.0.0.1]:{}/", rogue.port())).await.unwrap();
    assert_eq!(book.asked(), 0);
}

#[tokio::test]
async fn successive_connections_begin_with_different_addresses() {
    let nginx = Nginx::builder().listen_on(&["127.0.0.1", "127.0.0.2"]).start().await;
    let session = session(Pool::builder().resolver(StaticResolver::of(&[("site.test", &[ONE, TWO])])));
    let url = nginx.url_at("site.test", "/small");
    let mut peers = Vec::new();
    for _ in 0..6 {
        peers.push(answered_by(&session, &url).await);
    }
    assert_eq!(peers, [ONE, TWO, ONE, TWO, ONE, TWO]);
}

#[tokio::test]
async fn an_address_that_refuses_is_passed_over_at_once() {
    let rogue = Rogue::start(Step::serve("here")).await;
    for limit in [None, Some(1)] {
        let session = session(Pool::builder().limit(limit).resolver(StaticResolver::of(&[("site.test", &[TWO, ONE])])));
        // With either address first.
        for _ in 0..2 {
            let begun = Instant::now();
            assert_eq!(answered_by(&session, &rogue.url_at("site.test", "/")).await, ONE);
            assert!(begun.elapsed() < Duration::from_secs(5));
        }
        assert_eq!(session.stats().dials_failed, 0);
    }
}

#[tokio::test]
async fn a_silent_address_costs_a_quarter_of_a_second() {
    let deaf = Deaf::listen_on("127.0.0.2").await;
    let _server = answering(ONE, deaf.port()).await;
    let session = session(Pool::builder().limit(2).resolver(StaticResolver::of(&[("site.test", &[TWO, ONE])])));
    let sockets = watch_sockets(deaf.port(), Duration::from_millis(1));
    let begun = Instant::now();
    assert_eq!(answered_by(&session, &format!("http://site.test:{}/", deaf.port())).await, ONE);
    let elapsed = begun.elapsed();
    assert!((Duration::from_millis(240)..Duration::from_secs(3)).contains(&elapsed), "{elapsed:?}");
    assert!(sockets.max_owned() <= deaf.queued() + 2, "{:?}", sockets.peak());
    assert_eq!(session.stats().open, 0);
}

#[tokio::test]
async fn p1_with_one_slot_addresses_are_tried_one_after_the_other() {
    let deaf = Deaf::listen_on("127.0.0.2").await;
    let _server = answering(ONE, deaf.port()).await;
    let session = session(Pool::builder().limit(1).resolver(StaticResolver::of(&[("site.test", &[TWO, ONE])])));
    let sockets = watch_sockets(deaf.port(), Duration::from_millis(1));
    let begun = Instant::now();
    let request = session.get(format!("http://site.test:{}/", deaf.port()));
    let response =
        within(SOON, request.timeouts(Timeouts::new().connect(Duration::from_secs(4))).send()).await.unwrap();
    assert_eq!(response.connection().peer.ip(), ONE);
    // Half the time for the first of two.
    let elapsed = begun.elapsed();
    assert!((Duration::from_millis(1990)..Duration::from_secs(4)).contains(&elapsed), "{elapsed:?}");
    assert!(sockets.samples() > 2 && sockets.max_owned() <= deaf.queued() + 1, "{:?}", sockets.peak());
}

#[tokio::test]
async fn every_address_that_was_tried_is_in_the_error() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let session = session(Pool::builder().resolver(StaticResolver::of(&[("site.test", &[TWO, ONE])])));
    let error = get(&session, format!("http://site.test:{port}/")).await.unwrap_err();
    assert!(error.is_connect() && error.phase() == Some(Phase::Connect), "{error:?}");
    let text = error.to_string();
    for address in [TWO, ONE] {
        assert!(text.contains(&format!("connection refused by {address}:{port}")), "{text}");
    }
    let stats = session.stats();
    assert_eq!((stats.dials_failed, stats.open), (1, 0), "{stats:?}");
}

fn not_two(pool: PoolBuilder) -> PoolBuilder {
    pool.address_filter(|ip| ip != TWO)
}

fn is_filtered(error: &Error, sent: RequestSent) {
    assert!(error.is_connect() && error.phase() == Some(Phase::Resolve), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("refused by the address filter: 127.0.0.2"), "{text}");
    assert_eq!(error.request_sent(), sent);
}

#[tokio::test]
async fn a_filtered_address_is_refused_however_it_is_written() {
    let inner = Rogue::builder().listen_on("127.0.0.2").start(Step::serve("inner")).await;
    let session = session(not_two(Pool::builder()));
    for host in ["127.0.0.2", "2130706434", "0x7f000002", "0177.0.0.2", "127.2", "[::ffff:127.0.0.2]", "127.0.0.2."] {
        is_filtered(&get(&session, inner.url_at(host, "/")).await.unwrap_err(), RequestSent::No);
    }
    // The pool takes what it is given: there the system's resolver reads odd spellings.
    for host in ["127.0.0.2", "2130706434", "127.2", "[::ffff:7f00:2]"] {
        let request = http::Request::get(inner.url_at(host, "/")).body(trunkline::Body::empty()).unwrap();
        is_filtered(&within(SOON, session.pool().send(request, Timeouts::new())).await.unwrap_err(), RequestSent::No);
    }
    assert_eq!(inner.accepted(), 0);
}

#[tokio::test]
async fn a_name_with_only_filtered_addresses_is_refused() {
    let inner = Rogue::builder().listen_on("127.0.0.2").start(Step::serve("inner")).await;
    let book = StaticResolver::of(&[("inner.test", &[TWO]), ("both.test", &[TWO, ONE])]);
    let session = session(not_two(Pool::builder().resolver(book)));
    is_filtered(&get(&session, inner.url_at("inner.test", "/")).await.unwrap_err(), RequestSent::No);
    let _server = answering(ONE, inner.port()).await;
    for _ in 0..2 {
        assert_eq!(answered_by(&session, &inner.url_at("both.test", "/")).await, ONE);
    }
    assert_eq!(inner.accepted(), 0);
}

#[tokio::test]
async fn a_redirect_to_a_filtered_address_is_refused() {
    let inner = Rogue::builder().listen_on("127.0.0.2").start(Step::serve("inner")).await;
    let book = StaticResolver::of(&[("inner.test", &[TWO])]);
    let spelled = ["127.0.0.2", "2130706434", "0x7f.2", "127.2", "[::ffff:127.0.0.2]", "inner.test", "INNER.test"];
    let locations = spelled.map(|host| inner.url_at(host, "/"));
    let odd = [format!("//127.0.0.2:{}/", inner.port()), format!("\\\\127.0.0.2:{}/", inner.port())];
    for location in locations.into_iter().chain(odd) {
        let answer = format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let outer = Rogue::start(vec![Step::ReadHead, Step::send(answer), Step::Drain]).await;
        let session = session(not_two(Pool::builder().resolver(book.clone())));
        is_filtered(&get(&session, outer.url("/")).await.unwrap_err(), RequestSent::Yes);
        assert_eq!(outer.requests().len(), 1);
    }
    assert_eq!(inner.accepted(), 0);
}

#[tokio::test]
async fn the_system_s_resolver_knows_localhost() {
    let rogue = Rogue::start(Step::serve("here")).await;
    assert_eq!(get(&Session::new(), rogue.url_at("localhost", "/")).await.unwrap(), "here");
}

#[tokio::test]
async fn p4_a_panicking_filter_takes_no_other_connection_along() {
    let rogue = Rogue::start(Step::serve("here")).await;
    let book = StaticResolver::of(&[("site.test", &[ONE])]).shut();
    let asked = Arc::<AtomicUsize>::default();
    let filter = move |_| {
        assert_eq!(asked.fetch_add(1, Ordering::Relaxed), 0, "the filter panics");
        true
    };
    let session = session(Pool::builder().resolver(book.clone()).address_filter(filter));
    let url = rogue.url_at("site.test", "/");
    let first = tokio::spawn(session.get(&url).send());
    eventually("it wants the name", || session.stats().dialing == 1).await;
    // It dials, and the dial is not polled until the other's connection has served the request.
    let mut second = Box::pin(session.get(&url).send());
    assert!(std::future::poll_fn(|cx| Poll::Ready(second.as_mut().poll(cx))).await.is_pending());
    book.open();
    within(SOON, first).await.unwrap().unwrap().bytes().await.unwrap();
    eventually("its dial is over", || session.stats().dialing == 0).await;
    let closed = session.stats().closed;
    assert_eq!((closed.by(CloseReason::Cancelled), closed.by(CloseReason::RuntimeGone)), (1, 0));
    assert!(within(SOON, second).await.unwrap().connection().reused);
}
