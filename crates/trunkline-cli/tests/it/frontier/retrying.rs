//! `frontier retry`: failed URLs are fetched again.

use sqlx::{Connection as _, Executor as _};

use super::hosts::Hosts;
use super::support::{Frontier, finished};
use crate::servers::TempDir;
use crate::support::{Finished, Running};

fn retry(frontier: &Frontier, arguments: &[&str]) -> Finished {
    retrying(frontier, arguments).finish()
}

fn retrying(frontier: &Frontier, arguments: &[&str]) -> Running {
    Running::command("frontier", ["retry", &frontier.url].iter().chain(arguments), [])
}

#[tokio::test]
async fn failed_urls_are_queued_again_by_host_and_status() {
    let hosts = Hosts::start();
    let paths = ["/1?status=404", "/2?status=503", "/3", "/4?broken"];
    let mut urls: Vec<_> = paths.iter().map(|path| hosts.url(0, path)).collect();
    urls.push(hosts.url(1, "/5?status=404"));
    let frontier = Frontier::with(&urls).await;
    assert_eq!(finished(frontier.worker(["--retries", "0"])).await.code, Some(1));
    frontier.assert_all_ended(1, 4).await;

    let origin = hosts.url(0, "");
    let with_port = origin.strip_prefix("http://").unwrap();
    for (arguments, queued) in [
        (&["--status", "500"][..], 0),
        (&["--host", "127.0.0.9"], 0),
        (&["--host", "127.0.0.1", "--status", "404"], 1),
        (&["--host", &origin, "--status", "404", "--status", "503"], 1),
        (&["--host", with_port], 1),
        (&[], 1),
        (&[], 0),
    ] {
        let run = retry(&frontier, arguments);
        let told = if queued == 1 { "1 URL queued again" } else { "0 URLs queued again" };
        assert_eq!((run.code, run.last()), (Some(0), told), "{arguments:?} {run:?}");
    }
    assert!(
        frontier.status().starts_with("4 queued, 0 retrying, 0 leased, 1 done, 0 failed\n"),
        "{}",
        frontier.status()
    );
    // They have all their retries again, and the broken page succeeds now.
    assert_eq!(finished(frontier.worker(["--retries", "1"])).await.code, Some(1));
    frontier.assert_all_ended(2, 3).await;
    let requests = paths.map(|path| hosts.requests(path));
    assert_eq!((requests, hosts.requests("/5?status=404")), ([2, 3, 1, 2], 2));
    assert_eq!(retry(&frontier, &["--status", "none"]).last(), "0 URLs queued again");
}

#[tokio::test]
async fn urls_that_fail_during_a_retry_are_not_queued_again() {
    let (hosts, dir) = (Hosts::start(), TempDir::new("retrying"));
    let urls: Vec<_> = (0..5_000).map(|page| hosts.url(page % 50, &format!("/{page}?status=404"))).collect();
    let frontier = Frontier::with(&urls).await;
    let (first, second) = (dir.join("first"), dir.join("second"));
    assert_eq!(finished(frontier.writing_worker(&first, [])).await.code, Some(1));
    let worker = frontier.writing_worker(&second, ["--follow"]);
    let run = retry(&frontier, &[]);
    assert_eq!((run.code, run.last()), (Some(0), "5000 URLs queued again"), "{run:?}");
    worker.signal("INT");
    assert_eq!(finished(worker).await.code, Some(130));
}

/// The second command finds the common URLs already queued, and goes on with the rest.
#[tokio::test]
async fn concurrent_retries_leave_nothing_out() {
    let urls = (0..2_000).map(|page| format!("http://a.example/{page}")).chain(["http://b.example/".into()]);
    let frontier = Frontier::with(&urls.collect::<Vec<_>>()).await;
    let fail = "UPDATE trunkline.urls SET state = 'failed', ended_at = clock_timestamp();
                UPDATE trunkline.hosts SET failed = (SELECT count(*) FROM trunkline.urls WHERE host_id = hosts.id)";
    frontier.connection().await.execute(fail).await.unwrap();
    let host = frontier.transaction("SELECT FROM trunkline.hosts WHERE origin = 'http://a.example' FOR UPDATE").await;
    let some = retrying(&frontier, &["--host", "a.example"]);
    frontier.until_locked_out(1).await;
    let all = retrying(&frontier, &[]);
    frontier.until_locked_out(2).await;
    host.close().await.unwrap();
    let told = [finished(some).await, finished(all).await];
    assert_eq!((frontier.in_state("failed").await, frontier.in_state("queued").await), (0, 2_001), "{told:?}");
    assert_eq!(told.map(|run| run.last().to_owned()), ["2000 URLs queued again", "1 URL queued again"]);
}
