//! A database that cannot be used, and what is said of it: never its password.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use super::hosts::Hosts;
use super::support::{Frontier, finished};
use crate::support::Running;

#[tokio::test]
async fn a_database_that_cannot_be_used_is_told_without_its_password() {
    let frontier = Frontier::new().await;
    let mut connection = PgConnection::connect(&frontier.url).await.unwrap();
    // Roles are the whole cluster's, so this one is named after the database.
    let (server, database) = frontier.url.split_once('@').unwrap().1.split_once('/').unwrap();
    let role = format!("CREATE ROLE nobody_{database} LOGIN PASSWORD 'se-cret'");
    connection.execute(AssertSqlSafe(role)).await.unwrap();
    let (nobody, nowhere) = (format!("nobody_{database}"), format!("postgres://me:se-cret@{server}/nowhere"));
    let cases = [
        ("mysql://me:se-cret@localhost/x".to_owned(), "it does not begin with `postgres://`"),
        ("postgres://me:1/se-cret@localhost/x".to_owned(), "`%40` stands for `@`"),
        ("postgres://me:se-cret@127.0.0.1:1/x".to_owned(), "the database \"x\" on 127.0.0.1:1, as \"me\": "),
        (nowhere, "\"me\""),
        (format!("postgres://{nobody}:se-cret@{server}/{database}"), "permission denied for database"),
    ];
    for (url, words) in &cases {
        for arguments in [
            vec!["fetch", "--frontier", url],
            vec!["frontier", "add", url, "http://a.example/"],
            vec!["frontier", "status", url],
        ] {
            let run = Running::command(arguments[0], &arguments[1..], []).finish();
            assert_eq!((run.code, &*run.stdout), (Some(2), ""), "{arguments:?} {run:?}");
            assert!(run.stderr.starts_with("error: ") && run.stderr.contains(words), "{arguments:?} {run:?}");
            assert!(!run.stderr.contains("se-cret"), "{arguments:?} {run:?}");
        }
    }
    for arguments in [
        &["--frontier", &*frontier.url, "http://a.example/"][..],
        &["--lease", "9", "http://a.example/"],
        &["--frontier", &frontier.url, "--lease", "1"],
    ] {
        let run = Running::start(arguments).finish();
        assert_eq!(run.code, Some(2), "{arguments:?} {run:?}");
    }
}

#[tokio::test]
async fn who_may_only_read_and_write_can_work_once_the_tables_are_there() {
    let hosts = Hosts::start();
    let frontier = Frontier::with(&[hosts.url(0, "/")]).await;
    let mut connection = PgConnection::connect(&frontier.url).await.unwrap();
    let (server, database) = frontier.url.split_once('@').unwrap().1.split_once('/').unwrap();
    let rights = format!(
        "CREATE ROLE worker_{database} LOGIN;
         GRANT USAGE ON SCHEMA trunkline TO worker_{database};
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA trunkline TO worker_{database};
         GRANT USAGE ON ALL SEQUENCES IN SCHEMA trunkline TO worker_{database};"
    );
    connection.execute(AssertSqlSafe(rights)).await.unwrap();
    let frontier = Frontier { url: format!("postgres://worker_{database}@{server}/{database}") };
    let run = finished(frontier.worker(["-o-"])).await;
    assert_eq!((run.code, run.json().len()), (Some(0), 1), "{run:?}");
    frontier.assert_all_ended(1, 0).await;
}

#[tokio::test]
async fn a_frontier_of_a_newer_version_is_left_alone() {
    let frontier = Frontier::with(&["http://a.example/".to_owned()]).await;
    let mut connection = PgConnection::connect(&frontier.url).await.unwrap();
    connection.execute("UPDATE trunkline.versions SET version = 99").await.unwrap();
    let run = Running::command("frontier", ["status", &frontier.url], []).finish();
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("its tables are those of a newer trunkline"), "{run:?}");
}

#[tokio::test]
async fn the_status_tells_of_states_workers_and_hosts() {
    let hosts = Hosts::start();
    let urls = [hosts.url(0, "/1"), hosts.url(0, "/2?status=404"), hosts.url(1, "/?hold"), hosts.url(2, "/?busy=60")];
    let frontier = Frontier::with(&urls).await;
    let worker = frontier.worker(["--lease", "90"]);
    let settled = "SELECT count(*) FROM trunkline.urls WHERE state = 'queued' AND attempts = 0 OR state = 'leased'";
    frontier.until("all but one have been tried", settled, |count| count == 1).await;
    let status = frontier.status();
    assert!(status.starts_with("0 queued, 1 retrying, 1 leased, 1 done, 1 failed\n\nworker "), "{status}");
    let pid = format!("/{} ", worker.pid());
    let line = status.lines().find(|line| line.contains(&pid)).unwrap_or_else(|| panic!("{status}"));
    let figures: Vec<_> = line.split_whitespace().skip(1).take(3).collect();
    assert_eq!(figures, ["1", "1", "1"], "{status}");
    let host = hosts.url(2, "");
    let line = status.lines().find(|line| line.starts_with(&host)).unwrap_or_else(|| panic!("{status}"));
    assert!(line.ends_with(" s"), "it waits: {status}");
}
