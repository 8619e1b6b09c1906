//! The pool's wait and connect times, compared with an external clock (P12).

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use trunkline::{CloseReason, Histogram, Pool, PoolBuilder, Resolve, Resolving, Session, Timeouts};

use crate::support::{Gate, Nginx, Rogue, Step, TestCa};
use crate::{SOON, eventually, soak, within};

fn session(pool: PoolBuilder) -> Session {
    Session::builder().pool(pool.build().unwrap()).build().unwrap()
}

/// Number of durations up to each bound; the first bucket holds durations of zero.
fn within_bound(histogram: &Histogram, bound: Duration) -> u64 {
    histogram.buckets().take_while(|&(upper, _)| upper <= bound).map(|(_, count)| count).sum()
}

#[tokio::test]
async fn p12_a_wait_is_told_as_long_as_it_was_and_no_wait_as_none() {
    let gate = Gate::new();
    let answers = [Step::ReadHead, Step::WaitFor(gate.clone()), Step::ok("x")];
    let rogue = Rogue::start(vec![Step::Loop(answers.to_vec())]).await;
    let session = session(Pool::builder().limit(1));
    let first = tokio::spawn(session.get(rogue.url("/")).send());
    gate.reached(1).await;

    let begun = Instant::now();
    let second = tokio::spawn(session.get(rogue.url("/")).send());
    eventually("the second waits", || session.stats().waiting == 1).await;
    let waiting = Instant::now();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(session.stats().wait.count(), 1, "it waits still");
    let at_least = waiting.elapsed();
    gate.open();
    within(SOON, first).await.unwrap().unwrap().bytes().await.unwrap();
    let second = within(SOON, second).await.unwrap().unwrap();
    let at_most = begun.elapsed();

    let wait = session.stats().wait;
    assert_eq!((wait.count(), within_bound(&wait, Duration::ZERO)), (2, 1));
    assert!(at_least <= wait.sum() && wait.sum() <= at_most, "{at_least:?} {wait:?} {at_most:?}");
    assert_eq!((wait.sum(), wait.quantile(0.5)), (wait.max(), Some(Duration::ZERO)));
    assert_eq!(wait.quantile(1.0), Some(wait.max()));
    assert!(second.connection().waited >= at_least, "{:?}", second.connection());
}

/// Resolves `localhost` after a delay.
struct SlowResolver(Duration);

impl Resolve for SlowResolver {
    fn resolve(&self, host: &str) -> Resolving {
        let (time, known) = (self.0, host == "localhost");
        Box::pin(async move {
            tokio::time::sleep(time).await;
            if known { Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]) } else { Err(io::Error::other("unknown")) }
        })
    }
}

#[tokio::test]
async fn p12_connect_time_spans_lookup_to_end_of_handshake() {
    let ca = TestCa::new();
    let rogue = Rogue::tls(&ca, Step::serve("safe")).await;
    let lookup = Duration::from_millis(30);
    let session = session(Pool::builder().add_root_certificate(ca.pem()).resolver(SlowResolver(lookup)));
    let begun = Instant::now();
    for _ in 0..3 {
        within(SOON, session.get(rogue.url_at("localhost", "/")).send()).await.unwrap().bytes().await.unwrap();
    }
    let stats = session.stats();
    assert_eq!((stats.connect.count(), stats.wait.count(), stats.reused), (1, 3, 2));
    assert!(lookup <= stats.connect.sum() && stats.connect.sum() <= begun.elapsed(), "{:?}", stats.connect);
    assert_eq!(stats.wait.sum(), Duration::ZERO, "who dials does not wait");
}

#[tokio::test]
async fn p12_a_failed_dial_counts_as_failed_and_not_as_a_wait() {
    let session = session(Pool::builder().resolver(SlowResolver(Duration::ZERO)));
    for url in ["http://127.0.0.1:1/", "http://nowhere.test/"] {
        assert!(within(SOON, session.get(url).send()).await.unwrap_err().is_connect());
    }
    let stats = session.stats();
    assert_eq!((stats.dials_failed, stats.closed.by(CloseReason::DialFailed), stats.created), (2, 2, 2));
    assert_eq!((stats.connect.count(), stats.wait.count()), (0, 0));
    assert_eq!((stats.connect.quantile(0.5), stats.connect.max()), (None, Duration::ZERO));
}

#[tokio::test]
async fn p12_who_gives_up_waiting_is_not_counted_as_served() {
    let rogue = Rogue::start(vec![Step::ReadHead, Step::Hold]).await;
    let session = session(Pool::builder().limit(1));
    let holder = tokio::spawn(session.get(rogue.url("/")).send());
    rogue.wait_until(|log| log.requests.len() == 1).await;
    let hasty = Timeouts::new().acquire(Duration::from_millis(20));
    let error = within(SOON, session.get(rogue.url("/")).timeouts(hasty).send()).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert_eq!(session.stats().wait.count(), 1);
    holder.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p12_waits_reuse_and_dials_agree_at_every_instant_under_load() {
    let requests = soak(20_000, 2_000);
    let nginx = Nginx::builder().keepalive_requests(50).start().await;
    let session = session(Pool::builder().limit(6).limit_per_host(4));
    let mut running = JoinSet::new();
    for page in 0..requests {
        let request = session.get(nginx.url(&format!("/page/{page}")));
        running.spawn(async move { request.await.unwrap().bytes().await.unwrap() });
        if running.len() == 40 {
            running.join_next().await.unwrap().unwrap();
        }
        let stats = session.stats();
        assert_eq!(stats.open as u64, stats.created - stats.closed.total(), "{stats:?}");
        let given = stats.wait.count();
        assert!(stats.reused <= given && given <= stats.reused + stats.connect.count(), "{stats:?}");
    }
    while let Some(page) = running.join_next().await {
        page.unwrap();
    }
    let stats = session.stats();
    assert!(stats.wait.count() >= requests as u64, "{stats:?}");
    assert!(stats.wait.max() > Duration::ZERO && stats.wait.quantile(0.9) >= stats.wait.quantile(0.1), "{stats:?}");
    assert_eq!(stats.wait.buckets().map(|(_, count)| count).sum::<u64>(), stats.wait.count());
    assert!(stats.connect.count() + stats.dials_failed <= stats.created, "{stats:?}");
}
