//! Outages of the database.

use std::time::Duration;

use super::hosts::Hosts;
use super::postgres::Postgres;
use super::support::{Frontier, finished, urls_in};
use crate::servers::TempDir;

#[tokio::test]
async fn a_restart_of_the_database_loses_nothing() {
    let (hosts, dir, mut postgres) = (Hosts::start(), TempDir::new("outage"), Postgres::start());
    let frontier = Frontier { url: postgres.database().await };
    let pages = 600;
    let urls: Vec<_> = (0..pages).map(|page| hosts.url(page % 5, &format!("/{page}?ms=20"))).collect();
    let run = frontier.add(urls.join("\n"));
    assert_eq!(run.code, Some(0), "{run:?}");
    let outs = [dir.join("1"), dir.join("2")];
    let workers = outs.each_ref().map(|out| frontier.writing_worker(out, ["--limit-per-host", "2", "-c8"]));
    frontier.until("they work", "SELECT count(*) FROM trunkline.urls WHERE state = 'done'", |done| done > 50).await;
    postgres.restart(Duration::from_secs(2));
    for worker in workers {
        let run = finished(worker).await;
        assert_eq!(run.code, Some(0), "{run:?}");
        assert_eq!(run.stderr.matches("the frontier fails, trying again: ").count(), 1, "{run:?}");
        assert!(run.stderr.contains("\nthe frontier answers again\n"), "{run:?}");
    }
    frontier.assert_all_ended(i64::try_from(pages).unwrap(), 0).await;
    let mut fetched: Vec<_> = outs.iter().flat_map(|out| urls_in(out)).collect();
    fetched.sort_unstable();
    // The outage was shorter than the lease, so nothing was fetched twice.
    assert_eq!(fetched.len(), pages);
    fetched.dedup();
    assert_eq!((fetched.len(), hosts.all_requests(), hosts.most()), (pages, pages, 2));
}

#[tokio::test]
async fn urls_of_an_outage_are_added_after_it() {
    let mut postgres = Postgres::start();
    let frontier = Frontier { url: postgres.database().await };
    let mut running = frontier.adding();
    let mut input = running.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, b"http://a.example/1\n").unwrap();
    frontier
        .until("the tables are there", "SELECT count(*) FROM pg_tables WHERE tablename = 'logins'", |n| n == 1)
        .await;
    frontier.until("one is there", "SELECT count(*) FROM trunkline.urls", |count| count == 1).await;
    postgres.restart(Duration::from_secs(1));
    std::io::Write::write_all(&mut input, b"http://a.example/2\nhttp://a.example/1\n").unwrap();
    drop(input);
    let run = finished(running).await;
    assert_eq!((run.code, run.last()), (Some(0), "2 added, 1 there already, 0 unusable"), "{run:?}");
}
