//! Leases: their owners, and their ends.

use std::time::{Duration, Instant};

use sqlx::{Connection as _, Executor as _};

use super::hosts::Hosts;
use super::support::{Frontier, finished, urls_in};
use crate::servers::TempDir;
use crate::support::until;

const LEASED: &str = "SELECT count(*) FROM trunkline.urls WHERE state = 'leased'";

#[tokio::test]
async fn leases_of_a_dead_worker_are_fetched_by_another() {
    let (hosts, dir) = (Hosts::start(), TempDir::new("dead"));
    let held: Vec<_> = (0..3).map(|page| hosts.url(page, "/?hold")).collect();
    let frontier = Frontier::with(&held).await;
    let first = frontier.worker(["--lease", "3"]);
    until("it has all", || hosts.all_requests() == 3);
    first.signal("KILL");
    let (died, out) = (Instant::now(), dir.join("out"));
    let second = frontier.writing_worker(&out, ["--lease", "3"]);
    until("they are asked for again", || hosts.all_requests() == 6);
    // The last renewal was at most a second earlier.
    let took = died.elapsed();
    assert!(took > Duration::from_millis(1_500), "{took:?}");
    hosts.release();
    assert_eq!(finished(second).await.code, Some(0));
    assert_eq!(urls_in(&out).len(), 3);
    frontier.assert_all_ended(3, 0).await;
}

#[tokio::test]
async fn a_lease_is_renewed_while_its_page_takes_long() {
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
async fn a_worker_stopped_past_its_lease_gives_up_its_pages() {
    let (hosts, dir) = (Hosts::start(), TempDir::new("stopped"));
    let frontier = Frontier::with(&[hosts.url(0, "/?hold")]).await;
    let (first_out, second_out) = (dir.join("first"), dir.join("second"));
    let first = frontier.writing_worker(&first_out, ["--lease", "3"]);
    until("it has it", || hosts.all_requests() == 1);
    first.signal("STOP");
    let second = frontier.writing_worker(&second_out, ["--lease", "3"]);
    until("another has it", || hosts.all_requests() == 2);
    first.signal("CONT");
    // It notices at once, before its page arrives, which belongs to the other worker.
    frontier.until("it is back", "SELECT count(*) FROM trunkline.workers", |count| count == 2).await;
    hosts.release();
    let (first, second) = (finished(first).await, finished(second).await);
    assert_eq!((first.code, second.code), (Some(0), Some(0)), "{first:?} {second:?}");
    assert!(first.stderr.starts_with("the lease is over: 1 page under way left to others\n"), "{first:?}");
    assert_eq!((urls_in(&first_out).len(), urls_in(&second_out).len()), (0, 1));
    frontier.assert_all_ended(1, 0).await;
}

#[tokio::test]
async fn sigterm_returns_idle_leases_at_once_and_the_rest_at_the_end() {
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

/// A crash between writing and settling cannot be ruled out by any order of the two.
#[tokio::test]
async fn a_kill_before_settling_repeats_at_most_the_leased_lines() {
    let (hosts, dir) = (Hosts::start(), TempDir::new("between"));
    let urls: Vec<_> = (0..20).map(|page| hosts.url(page % 5, &format!("/{page}?hold"))).collect();
    let frontier = Frontier::with(&urls).await;
    let outs = ["first", "second"].map(|name| dir.join(name));
    let first = frontier.writing_worker(&outs[0], ["--lease", "3", "-c", "4"]);
    until("it has begun", || hosts.all_requests() == 4);
    let lock = frontier.transaction("SELECT FROM trunkline.hosts FOR UPDATE").await;
    hosts.release();
    until("its lines are there", || urls_in(&outs[0]).len() == 4);
    // The worker is settling.
    frontier.until_locked_out(1).await;
    first.signal("KILL");
    assert_eq!(finished(first).await.code, None);
    // The last query is cancelled: the database would execute it even without a client.
    let unheard = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    assert_eq!(frontier.count(unheard).await, 1);
    frontier.until_locked_out(0).await;
    lock.close().await.unwrap();

    assert_eq!(frontier.count(LEASED).await, 4);
    assert_eq!(finished(frontier.writing_worker(&outs[1], ["--lease", "3", "-c", "4"])).await.code, Some(0));
    frontier.assert_all_ended(20, 0).await;
    assert_eq!((urls_in(&outs[0]).len(), urls_in(&outs[1]).len(), hosts.all_requests()), (4, 20, 24));
}

#[tokio::test]
async fn pages_given_up_for_a_late_answer_are_fetched_again() {
    let (slow, quick, dir) = (Hosts::start(), Hosts::start(), TempDir::new("late"));
    let frontier = Frontier::with(&[slow.url(0, "/?hold"), quick.url(0, "/?hold")]).await;
    let out = dir.join("out");
    let worker = frontier.writing_worker(&out, ["--lease", "3"]);
    until("it has both", || slow.all_requests() + quick.all_requests() == 2);
    // The answer to its settlement arrives after the end of its lease. By the database's clock,
    // which is slower here, the lease is not over.
    let mut slower = frontier.transaction("UPDATE trunkline.workers SET until = until + interval '1 hour'").await;
    quick.release();
    frontier.until_locked_out(1).await;
    let over = "SELECT count(*) FROM trunkline.workers WHERE until < clock_timestamp()";
    frontier.until("the lease is over", over, |count| count == 1).await;
    slower.execute("COMMIT").await.unwrap();
    until("it is asked for again", || slow.all_requests() == 2);
    slow.release();
    let run = finished(worker).await;
    assert!(run.stderr.starts_with("the lease is over: 1 page under way left to others\n"), "{run:?}");
    assert_eq!((run.code, urls_in(&out).len()), (Some(0), 2), "{run:?}");
    frontier.assert_all_ended(2, 0).await;
}

#[tokio::test]
async fn leases_of_dead_workers_are_reclaimed_without_deadlock() {
    let hosts = Hosts::start();
    let frontier = Frontier::with(&[hosts.url(0, "/"), hosts.url(1, "/")]).await;
    let mut connection = frontier.connection().await;
    // The first worker has the last host.
    let dead = "
        INSERT INTO trunkline.workers (id, key, name, until) VALUES (1001, 1, 'a', 'epoch'), (1002, 2, 'b', 'epoch');
        UPDATE trunkline.urls SET state = 'leased', worker = 1001 WHERE host_id = (SELECT max(id) FROM trunkline.hosts);
        UPDATE trunkline.urls SET state = 'leased', worker = 1002 WHERE host_id = (SELECT min(id) FROM trunkline.hosts);
        UPDATE trunkline.hosts SET leased = 1";
    connection.execute(dead).await.unwrap();
    let first = "SELECT FROM trunkline.hosts WHERE id = (SELECT min(id) FROM trunkline.hosts) FOR UPDATE";
    let mut lock = frontier.transaction(first).await;
    let worker = frontier.worker([]);
    frontier.until_locked_out(1).await;
    lock.execute("SELECT FROM trunkline.hosts ORDER BY id FOR UPDATE").await.unwrap();
    lock.close().await.unwrap();
    let run = finished(worker).await;
    assert!(run.code == Some(0) && !run.stderr.contains("fails"), "{run:?}");
    frontier.assert_all_ended(2, 0).await;
}

/// The new id may be lost with the connection, after the database has assigned it.
#[tokio::test]
async fn a_worker_that_missed_its_new_id_keeps_its_leases() {
    let hosts = Hosts::start();
    let frontier = Frontier::with(&[hosts.url(0, "/1"), hosts.url(0, "/2")]).await;
    let join = "SELECT trunkline.join('a', 7, '60 s', ARRAY(SELECT min(id) FROM trunkline.urls))";
    let first = frontier.count(join).await;
    let claimed = format!("SELECT count(*) FROM trunkline.claim({first}, '60 s', 9, 0, '0', false)");
    assert_eq!(frontier.count(&claimed).await, 2);
    let (_unheard, third) = (frontier.count(join).await, frontier.count(join).await);
    let kept = format!("SELECT count(*) FROM trunkline.urls WHERE worker = {third} AND url LIKE '%/1'");
    assert_eq!((frontier.count(&kept).await, frontier.count(LEASED).await), (1, 1));
    assert_eq!(frontier.count("SELECT sum(leased) FROM trunkline.hosts").await, 1);
    assert_eq!(frontier.count("SELECT count(*) FROM trunkline.workers").await, 1);
}
