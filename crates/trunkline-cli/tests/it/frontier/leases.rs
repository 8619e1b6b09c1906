//! What belongs to whom, and for how long.

use std::time::{Duration, Instant};

use sqlx::{Connection as _, Executor as _};

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
    assert!(first.stderr.starts_with("the lease is over: 1 page under way left to others\n"), "{first:?}");
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

/// The moment that no order of writing and settling can do away with.
#[tokio::test]
async fn who_is_killed_between_its_lines_and_their_settling_leaves_no_more_lines_twice_than_it_had_leases() {
    let (hosts, dir) = (Hosts::start(), TempDir::new("between"));
    let urls: Vec<_> = (0..20).map(|page| hosts.url(page % 5, &format!("/{page}?hold"))).collect();
    let frontier = Frontier::with(&urls).await;
    let outs = ["first", "second"].map(|name| dir.join(name));
    let first = frontier.writing_worker(&outs[0], ["--lease", "3", "-c", "4"]);
    until("it has begun", || hosts.all_requests() == 4);
    let lock = frontier.transaction("SELECT FROM trunkline.hosts FOR UPDATE").await;
    hosts.release();
    until("its lines are there", || urls_in(&outs[0]).len() == 4);
    // It is settling, and has nothing else to do.
    frontier.until_locked_out(1).await;
    first.signal("KILL");
    assert_eq!(finished(first).await.code, None);
    // As if its last words had not come: the database would act on them, though nobody listens.
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
async fn pages_given_up_are_fetched_again_if_the_database_was_only_late() {
    let (slow, quick, dir) = (Hosts::start(), Hosts::start(), TempDir::new("late"));
    let frontier = Frontier::with(&[slow.url(0, "/?hold"), quick.url(0, "/?hold")]).await;
    let out = dir.join("out");
    let worker = frontier.writing_worker(&out, ["--lease", "3"]);
    until("it has both", || slow.all_requests() + quick.all_requests() == 2);
    // What it settles is not answered before its lease is over; by the database's clock, which goes a
    // little slower, it is not.
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
async fn the_leases_of_several_dead_workers_are_taken_back_in_an_order_that_locks_nobody_out() {
    let hosts = Hosts::start();
    let frontier = Frontier::with(&[hosts.url(0, "/"), hosts.url(1, "/")]).await;
    let mut connection = frontier.connection().await;
    // The one that comes first has the last host.
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

/// Its new id may be lost with the connection, after the database has given it.
#[tokio::test]
async fn a_worker_that_has_not_heard_of_its_new_id_keeps_what_it_had() {
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
