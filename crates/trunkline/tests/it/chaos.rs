//! A misbehaving server and requests cancelled at random: no connection or waiter is left over.

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use trunkline::{Body, Pool, Response, Session, Timeouts};

use crate::support::rogue::{Mood, Random};
use crate::support::{Rogue, Step, TestCa, sockets_to, watch, watch_all};
use crate::{SOON, soak, within};

const LIMIT: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p7_random_cancels_against_a_chaotic_server_leave_nothing() {
    let requests = soak(1_000_000, 12_000);
    let seed = std::env::var("TRUNKLINE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_260_101);
    println!("seed {seed} (set TRUNKLINE_SEED to run another)");
    let server = Rogue::chaos(seed).await;
    let watcher = watch(server.port(), Duration::from_millis(5));
    let session = Session::builder().pool(Pool::builder().limit(LIMIT).build().unwrap()).build().unwrap();
    let mut random = Random::new(seed);
    let mut running = JoinSet::new();
    let mut answered = 0;
    for number in 0..requests {
        let cancel = Duration::from_micros(random.below(40_000));
        let total = Duration::from_micros(500 + random.below(60_000));
        let (given_up, read, post) = (random.below(3) == 0, random.below(4) > 0, random.below(3) == 0);
        let url = server.url(&format!("/{number}"));
        let request = if post { session.post(url).body("order") } else { session.get(url) };
        let request = request.timeouts(Timeouts::new().total(total));
        running.spawn(async move {
            let exchange = async {
                let response = request.await?;
                if read { response.bytes().await.map(|_| true) } else { Ok(true) }
            };
            match given_up {
                true => tokio::time::timeout(cancel, exchange).await.unwrap_or(Ok(false)).unwrap_or(false),
                false => exchange.await.unwrap_or(false),
            }
        });
        if running.len() == 96 {
            answered += usize::from(running.join_next().await.unwrap().unwrap());
        }
    }
    while let Some(done) = running.join_next().await {
        answered += usize::from(done.unwrap());
    }
    let stats = session.stats();
    assert_eq!((stats.in_use, stats.waiting, stats.dialing), (0, 0, 0), "seed {seed}: {stats:?}");
    assert!(answered > requests / 20, "seed {seed}: only {answered} of {requests} were answered");
    assert!(watcher.max_owned() <= LIMIT, "seed {seed}: {:?}", watcher.peak());
    let moods: std::collections::HashSet<_> =
        server.requests().iter().filter_map(|request| request.mood).map(|mood: Mood| format!("{mood:?}")).collect();
    assert!(moods.len() > 8, "{moods:?}");

    let sound = Rogue::start(Step::serve("at once")).await;
    let begun = Instant::now();
    assert_eq!(session.get(sound.url("/")).await.unwrap().text().await.unwrap(), "at once");
    assert!(begun.elapsed() < Duration::from_secs(5));
    session.close().await;
    assert_eq!(sockets_to(server.port()), []);
    assert_eq!(sockets_to(sound.port()), []);
}

/// Sessions and the pool close, a runtime ends, connections are refreshed, all while requests are
/// waiting, dialing, shaking hands, being sent, and their responses read, dropped or held.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p11_nothing_is_left_over_whatever_ends_first() {
    let seed = std::env::var("TRUNKLINE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_260_101);
    println!("seed {seed} (set TRUNKLINE_SEED to run another)");
    let ca = TestCa::new();
    let servers = [Rogue::chaos(seed).await, Rogue::tls(&ca, vec![Step::Chaos(seed)]).await];
    let urls = servers.each_ref().map(|server| server.url("/"));
    let ports = servers.each_ref().map(Rogue::port);
    for round in 0..soak(3_000, 15) {
        let mut random = Random::new(seed ^ (round as u64) << 20);
        let limit = 1 + random.below(6) as usize;
        let pool = Pool::builder().limit(limit).add_root_certificate(ca.pem()).build().unwrap();
        let sessions = [(); 3].map(|()| Session::builder().pool(pool.clone()).build().unwrap());
        let watcher = watch_all(&ports, Duration::from_millis(2));
        let elsewhere = std::thread::spawn({
            let (session, urls, mut random) = (sessions[0].clone(), urls.clone(), Random::new(random.next()));
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let _running: Vec<_> =
                        (0..10).map(|_| tokio::spawn(exchange(&session, &urls, &mut random))).collect();
                    tokio::time::sleep(Duration::from_micros(random.below(30_000))).await;
                });
            }
        });
        let (mut running, mut held) = (JoinSet::new(), Vec::new());
        for number in 0..60 {
            let session = sessions[random.below(3) as usize].clone();
            running.spawn(exchange(&session, &urls, &mut random));
            tokio::time::sleep(Duration::from_micros(random.below(500))).await;
            match random.below(40) {
                0 => pool.refresh(),
                1 if number > 20 => {
                    let grace = Duration::from_micros(random.below(5_000));
                    running.spawn(async move {
                        session.close_within(grace).await;
                        None
                    });
                }
                2..10 => held.push(running.join_next().await.unwrap().unwrap()),
                _ => {}
            }
        }
        let report = within(SOON, pool.close_within(Duration::from_micros(random.below(20_000)))).await;
        let (stats, left) = (pool.stats(), ports.map(sockets_to));
        let told = format!("seed {seed}, round {round}, limit {limit}: {report:?}, {stats:?}, {left:?}");
        assert_eq!((stats.open, stats.waiting, stats.created - stats.closed.total()), (0, 0, 0), "{told}");
        assert!(left.iter().all(Vec::is_empty) && watcher.max_owned() <= limit, "{told}, {:?}", watcher.peak());
        within(SOON, async { while running.join_next().await.is_some() {} }).await;
        elsewhere.join().unwrap();
    }
}

/// One of many kinds, which may end with a response that is held.
fn exchange(
    session: &Session,
    urls: &[String],
    random: &mut Random,
) -> impl Future<Output = Option<Response>> + Send + use<> {
    let url = random.of(&[0, 1]);
    let request = match random.below(3) {
        0 => session.post(&urls[url]).body("order"),
        1 => session.put(&urls[url]).body(Body::stream(futures_util::stream::iter(
            (0..random.below(40)).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 32 * 1024])),
        ))),
        _ => session.get(&urls[url]),
    };
    let total = Duration::from_micros(500 + random.below(60_000));
    let request = request.timeouts(Timeouts::new().total(total));
    let (what_then, given_up) = (random.below(3), Duration::from_micros(random.below(60_000)));
    let exchange = async move {
        let response = request.await.ok()?;
        match what_then {
            0 => drop(response.bytes().await),
            1 => drop(response),
            _ => return Some(response),
        }
        None
    };
    async move { tokio::time::timeout(given_up, exchange).await.ok().flatten() }
}
