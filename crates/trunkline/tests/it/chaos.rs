//! A server that misbehaves in every way it knows, requests that are given up at random: afterwards nothing is left over.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use trunkline::{Pool, Session, Timeouts};

use crate::soak;
use crate::support::rogue::Mood;
use crate::support::{Rogue, Step, sockets_to, watch};

const LIMIT: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p7_after_random_cancels_against_a_misbehaving_server_nothing_is_left_over() {
    let requests = soak(1_000_000, 12_000);
    let seed = std::env::var("TRUNKLINE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_260_101);
    println!("seed {seed} (set TRUNKLINE_SEED to run another)");
    let server = Rogue::chaos(seed).await;
    let watcher = watch(server.port(), Duration::from_millis(5));
    let session = Session::builder().pool(Pool::builder().limit(LIMIT).build().unwrap()).build().unwrap();
    let mut random = crate::support::rogue::Random::new(seed);
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
    assert!(begun.elapsed() < Duration::from_secs(1));
    session.close().await;
    assert_eq!(sockets_to(server.port()), []);
    assert_eq!(sockets_to(sound.port()), []);
}
