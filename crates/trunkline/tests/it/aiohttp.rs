//! Behaviours of aiohttp's own tests that no other module covers. docs/aiohttp.md lists all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use trunkline::{Pool, RequestSent, Resolve, Resolving, Session, Timeouts};

use crate::exchange::fed;
use crate::support::{Gate, Rogue, Step};
use crate::{SOON, eventually, within};

async fn text(session: &Session, url: String) -> trunkline::Result<String> {
    within(SOON, async { session.get(url).await?.text().await }).await
}

#[tokio::test]
async fn a_connection_that_ends_leaves_its_siblings_alone() {
    let gate = Gate::new();
    let held = gate.clone();
    let server = Rogue::start(move |connection| {
        let closing = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
        let answer = if connection == 1 { Step::send(closing) } else { Step::ok("ok") };
        [vec![Step::ReadHead, Step::WaitFor(held.clone()), answer], Step::serve("again")].concat()
    })
    .await;
    let session = Session::new();
    let three = async {
        tokio::join!(
            text(&session, server.url("/0")),
            text(&session, server.url("/1")),
            text(&session, server.url("/2"))
        )
    };
    let all_at_once = async {
        gate.reached(3).await;
        gate.open();
    };
    let (three, ()) = within(SOON, async { tokio::join!(three, all_at_once) }).await;
    assert!([three.0, three.1, three.2].into_iter().all(|text| text.unwrap() == "ok"));
    assert_eq!((session.stats().idle, session.stats().closed.total()), (2, 1));
    let (one, other) = tokio::join!(text(&session, server.url("/")), text(&session, server.url("/")));
    assert_eq!((one.unwrap(), other.unwrap(), server.accepted()), ("again".into(), "again".into(), 3));
}

/// Never answers, and counts the lookups that are not dropped yet.
#[derive(Clone, Default)]
struct PendingResolver(Arc<AtomicUsize>);

struct LookupGuard(Arc<AtomicUsize>);

impl Drop for LookupGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Resolve for PendingResolver {
    fn resolve(&self, _: &str) -> Resolving {
        self.0.fetch_add(1, Ordering::Relaxed);
        let wanted = LookupGuard(self.0.clone());
        Box::pin(async move {
            let _wanted = wanted;
            std::future::pending().await
        })
    }
}

#[tokio::test]
async fn p11_a_lookup_under_way_is_ended() {
    let silent = PendingResolver::default();
    let pool = Pool::builder().resolver(silent.clone()).build().unwrap();
    let session = Session::builder().pool(pool).build().unwrap();
    let asking = tokio::spawn(session.get("http://site.test/").send());
    eventually("it looks the name up", || silent.0.load(Ordering::Relaxed) == 1).await;
    let report = within(SOON, session.close_within(Duration::from_millis(50))).await;
    assert_eq!(report.aborted, 1);
    let error = within(SOON, asking).await.unwrap().unwrap_err();
    assert!(error.is_closed() && error.request_sent() == RequestSent::No, "{error:?}");
    drop(session);
    eventually("every lookup is dropped", || silent.0.load(Ordering::Relaxed) == 0).await;
}

#[tokio::test]
async fn read_does_not_run_while_a_connection_is_idle() {
    let limit = Duration::from_millis(500);
    let server = Rogue::start(Step::serve("ok")).await;
    let session = Session::builder().timeouts(Timeouts::new().read(limit)).build().unwrap();
    text(&session, server.url("/")).await.unwrap();
    tokio::time::sleep(limit * 2).await;
    text(&session, server.url("/")).await.unwrap();
    assert_eq!((server.accepted(), session.stats().reused), (1, 1));
}

#[tokio::test]
async fn p10_a_body_that_cannot_be_sent_twice_is_sent_once() {
    let server = Rogue::start(|connection| match connection {
        0 => vec![Step::ReadHead, Step::ok("warm"), Step::ReadHead, Step::ReadBody, Step::Close],
        _ => Step::serve("again"),
    })
    .await;
    let session = Session::new();
    text(&session, server.url("/warm")).await.unwrap();
    let (upload, body) = fed();
    upload.send(Ok("once".into())).unwrap();
    drop(upload);
    // PUT is idempotent, its body is not to be had again.
    let error = within(SOON, session.put(server.url("/x")).body(body).send()).await.unwrap_err();
    assert_eq!(error.request_sent(), RequestSent::Maybe, "{error:?}");
    assert_eq!((server.requests().len(), server.accepted(), session.stats().in_use), (2, 1, 0));
}

#[tokio::test]
async fn what_a_reader_does_not_like_costs_no_connection() {
    let server = Rogue::start(Step::serve("no json")).await;
    let session = Session::new();
    for _ in 0..3 {
        let parsed = within(SOON, async { session.get(server.url("/")).await?.json::<u32>().await }).await;
        assert!(parsed.unwrap_err().is_body());
    }
    assert_eq!((server.accepted(), session.stats().created), (1, 1));
}

#[tokio::test]
async fn closing_twice_is_one_close() {
    let server = Rogue::start(Step::serve("ok")).await;
    let session = Session::new();
    text(&session, server.url("/")).await.unwrap();
    let (first, second) = within(SOON, async { tokio::join!(session.close(), session.close()) }).await;
    assert_eq!((first, first.closed), (second, 1));
    assert_eq!(within(SOON, session.close()).await, first);
    assert!(text(&session, server.url("/")).await.unwrap_err().is_closed());
}
