//! Ends of a worker, and the state of its file and its leases.

use std::fs;

use super::hosts::Hosts;
use super::support::{Frontier, finished, urls_in};
use crate::servers::TempDir;
use crate::support::Running;

#[tokio::test]
async fn a_worker_ends_when_done_and_appends_to_its_file() {
    let (hosts, dir) = (Hosts::start(), TempDir::new("goes-on"));
    let (out, bodies) = (dir.join("out.jsonl"), dir.join("bodies"));
    let frontier = Frontier::with(&[hosts.url(0, "/1")]).await;
    let more = ["--bodies", bodies.to_str().unwrap(), "-H", "X-Who: me"];
    assert_eq!(finished(frontier.writing_worker(&out, more)).await.code, Some(0));
    // The file of a worker that was killed within a line.
    let torn = fs::read_to_string(&out).unwrap() + "{\"url\": \"http://127";
    fs::write(&out, torn).unwrap();
    assert_eq!(frontier.add(hosts.url(0, "/2")).code, Some(0));
    assert_eq!(finished(frontier.writing_worker(&out, more)).await.code, Some(0));
    assert_eq!(urls_in(&out), [hosts.url(0, "/1"), hosts.url(0, "/2")]);
    let run = finished(frontier.writing_worker(&out, more)).await;
    assert!(run.code == Some(0) && run.last().starts_with("0 pages, 0 failed, 0 B in "), "{run:?}");
    assert_eq!(fs::read_dir(bodies).unwrap().count(), 2);
}

#[tokio::test]
async fn a_foreign_file_is_refused_and_unchanged() {
    let (hosts, dir) = (Hosts::start(), TempDir::new("foreign"));
    let frontier = Frontier::with(&[hosts.url(0, "/1")]).await;
    for text in ["half a line without newline", "se-cret\n", "#!/bin/sh\nexit\n", "{\"url\":7}\n"] {
        let file = dir.write("notes.txt", text);
        let run = finished(frontier.worker(["-o", file.to_str().unwrap()])).await;
        assert_eq!((run.code, &*run.stdout), (Some(2), ""), "{run:?}");
        assert!(run.stderr.starts_with("error: cannot go on from \"") && !run.stderr.contains("se-cret"), "{run:?}");
        assert!(run.stderr.contains("notes.txt\": line 1 is not a line of `trunkline fetch --output`"), "{run:?}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
    assert_eq!(frontier.count("SELECT count(*) FROM trunkline.urls WHERE state = 'queued' AND attempts = 0").await, 1);
}

#[tokio::test]
async fn a_following_worker_waits_for_more_urls() {
    let (hosts, frontier) = (Hosts::start(), Frontier::new().await);
    let worker = frontier.worker(["--follow", "-o-"]);
    frontier
        .until("the tables are there", "SELECT count(*) FROM pg_tables WHERE tablename = 'logins'", |n| n == 1)
        .await;
    for page in ["/1", "/2"] {
        assert_eq!(frontier.add(hosts.url(0, page)).code, Some(0));
        frontier.until("it is done", "SELECT count(*) FROM trunkline.urls WHERE state <> 'done'", |n| n == 0).await;
    }
    worker.signal("INT");
    let run = finished(worker).await;
    assert_eq!((run.code, run.json().len()), (Some(130), 2), "{run:?}");
}

#[tokio::test]
async fn a_url_whose_line_was_not_read_is_not_done() {
    let hosts = Hosts::start();
    let urls: Vec<_> = (0..20).map(|page| hosts.url(0, &format!("/{page}"))).collect();
    let frontier = Frontier::with(&urls).await;
    let mut worker = frontier.worker(["-c2"]);
    // Closed before the first line.
    drop(worker.stdout.take());
    let run = finished(worker).await;
    assert_eq!((run.code, &*run.stderr), (Some(0), ""), "{run:?}");
    assert_eq!((frontier.in_state("done").await, frontier.in_state("queued").await), (0, 20));
}

#[tokio::test]
async fn results_that_cannot_be_written_are_not_done() {
    let hosts = Hosts::start();
    let frontier = Frontier::with(&[hosts.url(0, "/")]).await;
    let run = finished(frontier.worker(["-o", "/dev/full"])).await;
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.last().starts_with("error: cannot write to \"/dev/full\": "), "{run:?}");
    assert_eq!(frontier.in_state("queued").await, 1);
}

#[tokio::test]
async fn fail_fast_returns_the_other_leases() {
    let hosts = Hosts::start();
    let frontier = Frontier::with(&[hosts.url(0, "/?status=404"), hosts.url(1, "/?hold")]).await;
    let run = finished(Running::start(["--frontier", &frontier.url, "--fail-fast"])).await;
    assert_eq!(run.code, Some(1), "{run:?}");
    assert_eq!((frontier.in_state("failed").await, frontier.in_state("queued").await), (1, 1));
}
