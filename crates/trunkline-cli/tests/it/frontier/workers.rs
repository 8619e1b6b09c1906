//! Several workers, one of which is killed.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use super::hosts::Hosts;
use super::support::{Frontier, finished, urls_in};
use crate::servers::TempDir;
use crate::support::soak;

/// Most pages of one host under way, of all workers together.
const LIMIT: usize = 2;

#[tokio::test]
async fn one_of_three_workers_is_killed_and_each_url_is_done_once() {
    let (pages, of_hosts) = (soak(50_000, 2_000), soak(100, 20));
    let (hosts, dir) = (Hosts::failing(1), TempDir::new("workers"));
    let urls: Vec<_> = (0..pages).map(|page| hosts.url(page % of_hosts, &format!("/{page}?ms=2"))).collect();
    let frontier = Frontier::with(&urls).await;
    let outs: Vec<_> = (0..3).map(|number| dir.join(&number.to_string())).collect();
    let limit = LIMIT.to_string();
    let arguments = ["--lease", "5", "--retries", "9", "--limit-per-host", &limit, "-c", "50"];
    let begun = Instant::now();
    let mut workers: Vec<_> = outs.iter().map(|out| frontier.writing_worker(out, arguments)).collect();
    let half = i64::try_from(pages / 2).unwrap();
    frontier.until("half is done", "SELECT sum(done) FROM trunkline.hosts", |done| done >= half).await;
    let killed = workers.remove(0);
    killed.signal("KILL");
    assert_eq!(finished(killed).await.code, None);
    for worker in workers {
        let run = finished(worker).await;
        assert_eq!(run.code, Some(0), "{run:?}");
    }
    let took = begun.elapsed();
    frontier.assert_all_ended(i64::try_from(pages).unwrap(), 0).await;

    let mut lines = HashMap::<_, usize>::new();
    for url in outs.iter().flat_map(|out| urls_in(out)) {
        *lines.entry(url).or_default() += 1;
    }
    let asked: HashSet<_> = urls.into_iter().collect();
    assert_eq!(lines.keys().cloned().collect::<HashSet<_>>(), asked);
    let duplicates = lines.values().sum::<usize>() - pages;
    // The killed worker had at most twice its concurrency of leases.
    assert!(duplicates <= 100, "{duplicates}");
    assert_eq!(hosts.most(), LIMIT, "of all workers together");
    let rate = pages as f64 / took.as_secs_f64();
    println!("{pages} pages in {took:.2?}: {rate:.0} pages/s, the lease of 5 s included; {duplicates} fetched twice");
}
