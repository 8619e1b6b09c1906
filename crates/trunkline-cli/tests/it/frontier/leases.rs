//! What belongs to whom, and for how long.

use std::time::{Duration, Instant};

use super::hosts::Hosts;
use super::support::{Frontier, finished, urls_in};
use crate::servers::TempDir;
use crate::support::until;

const LEASED: &str = "SELECT count(*) FROM trunkline.urls WHERE state = 'leased'";

#[tokio::test]
async fn what_a_dead_worker_had_is_fetched_by_another_when_the_lease_is_over() {
    let (hosts, dir) = (Hosts::start(), TempDir::new("dead"));
    let held: Vec<_> = (0..3).map(|page| hosts.url(page, "/?hold")).collect();
    let frontier = Frontier::with(&held).await;
    let first = frontier.worker(["--lease", "3"]);
    until("it has all", || hosts.all_requests() == 3);
    first.signal("KILL");
    let (died, out) = (Instant::now(), dir.join("out"));
    let second = frontier.writing_worker(&out, ["--lease", "3"]);
    until("they are asked for again", || hosts.all_requests() == 6);
    // The last renewal was a second before, at most.
    let took = died.elapsed();
    assert!(took > Duration::from_millis(1_500), "{took:?}");
    hosts.release();
    assert_eq!(finished(second).await.code, Some(0));
    assert_eq!(urls_in(&out).len(), 3);
    frontier.assert_all_ended(3, 0).await;
}

#[tokio::test]
async fn a_lease_lasts_as_long_as_the_page_takes_if_its_worker_lives() {
    let (hosts, dir) = (Hosts::start(), TempDir::new("renewed"));
    let frontier = Frontier::with(&[hosts.url(0, "/?ms=8000")]).await;
    let outs = [dir.join("1"), dir.join("2")];
    let workers = outs.each_ref().map(|out| frontier.writing_worker(out, ["--lease", "3"]));
    for worker in workers {
        let run = finished(worker).await;
        assert_eq!(run.code, Some(0), "{run:?}");
    }
    assert_eq!((hosts.all_requests(), urls_in(&outs[0]).len() + urls_in(&outs[1]).len()), (1, 1));
    frontier.assert_all_ended(1, 0).await;
}

#[tokio::test]
async fn a_worker_that_was_stopped_for_longer_than_its_lease_gives_up_its_pages_and_goes_on() {
    let (hosts, dir) = (Hosts::start(), TempDir::new("stopped"));
    let frontier = Frontier::with(&[hosts.url(0, "/?hold")]).await;
    let (first_out, second_out) = (dir.join("first"), dir.join("second"));
    let first = frontier.writing_worker(&first_out, ["--lease", "3"]);
    until("it has it", || hosts.all_requests() == 1);
    first.signal("STOP");
    let second = frontier.writing_worker(&second_out, ["--lease", "3"]);
    until("another has it", || hosts.all_requests() == 2);
    first.signal("CONT");
    // It notices at once, before its page comes: that one is the other's.
    frontier.until("it is back", "SELECT count(*) FROM trunkline.workers", |count| count == 2).await;
    hosts.release();
    let (first, second) = (finished(first).await, finished(second).await);
    assert_eq!((first.code, second.code), (Some(0), Some(0)), "{first:?} {second:?}");
    assert!(first.stderr.starts_with("the lease is over: 1 pages under way are left to others\n"), "{first:?}");
    assert_eq!((urls_in(&first_out).len(), urls_in(&second_out).len()), (0, 1));
    frontier.assert_all_ended(1, 0).await;
}

#[tokio::test]
async fn on_sigterm_what_is_not_under_way_is_given_back_at_once_and_the_rest_at_the_end() {
    let hosts = Hosts::start();
    let held: Vec<_> = (0..5).map(|page| hosts.url(0, &format!("/{page}?hold"))).collect();
    let frontier = Frontier::with(&held).await;
    let worker = frontier.worker(["--limit", "1"]);
    frontier.until("it has all", LEASED, |count| count == 5).await;
    until("one is under way", || hosts.all_requests() == 1);
    worker.signal("TERM");
    let asked = Instant::now();
    frontier.until("four are given back", LEASED, |count| count <= 1).await;
    assert!(asked.elapsed() < Duration::from_secs(4), "before the grace of the fifth is over");
    let run = finished(worker).await;
    assert_eq!(run.code, Some(143), "{run:?}");
    assert!(run.last().starts_with("0 pages, 0 failed, 5 given up, "), "{run:?}");
    assert!(frontier.status().starts_with("5 queued, 0 retrying, 0 leased, 0 done, 0 failed\n"));
    assert_eq!(frontier.count("SELECT count(*) FROM trunkline.workers").await, 0);
}
