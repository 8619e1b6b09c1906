//! Usage errors of the frontier: no message contains a password.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use super::hosts::Hosts;
use super::support::{Frontier, finished};
use crate::support::{Running, until};

#[tokio::test]
async fn a_wrong_database_is_reported_without_its_password() {
    let frontier = Frontier::new().await;
    let mut connection = PgConnection::connect(&frontier.url).await.unwrap();
    // Roles belong to the whole cluster, so the name includes the database.
    let (server, database) = frontier.url.split_once('@').unwrap().1.split_once('/').unwrap();
    let role = format!("CREATE ROLE nobody_{database} LOGIN PASSWORD 'se-cret'");
    connection.execute(AssertSqlSafe(role)).await.unwrap();
    let (nobody, nowhere) = (format!("nobody_{database}"), format!("postgres://me:se-cret@{server}/nowhere"));
    let cases = [
        (
            "mysql://me:se-cret@localhost/x".to_owned(),
            "it begins with `mysql://`, and the frontier is kept in Postgres",
        ),
        ("me:se-cret@localhost/x".to_owned(), "it does not begin with `postgres://`"),
        ("postgres://me:1/se-cret@localhost/x".to_owned(), "`%40` stands for `@`"),
        ("postgres://me:se-cret@127.0.0.1:1/x".to_owned(), "the database \"x\" on 127.0.0.1:1, as \"me\": no Postgres"),
        (nowhere, "\"me\""),
        (
            format!("postgres://postgres:se-cret@{server}/nowhere"),
            "database \"nowhere\" does not exist: `createdb` makes",
        ),
    ];
    for (url, words) in &cases {
        for arguments in [
            vec!["fetch", "--frontier", url],
            vec!["frontier", "add", url, "http://a.example/"],
            vec!["frontier", "status", url],
            vec!["frontier", "retry", url],
        ] {
            assert_usage_error(&arguments, words);
        }
    }
    let nobody = format!("postgres://{nobody}:se-cret@{server}/{database}");
    assert_usage_error(&["frontier", "add", &nobody, "http://a.example/"], "permission denied for database");
    // Reading commands create no tables.
    for command in ["status", "retry"] {
        assert_usage_error(&["frontier", command, &nobody], "there is none yet: `trunkline frontier add` creates it");
    }
    // A database URL in a wrong place.
    let stray = "postgres://me:se-cret@localhost/x";
    for arguments in [
        &["frontier", stray][..],
        &["frontier", "status", &frontier.url, stray],
        &["frontier", "add", &frontier.url, stray],
        &["fetch", stray],
        &["fetch", "http://a.example/", "--limit", stray],
    ] {
        assert_usage_error(arguments, "error: ");
    }
}

fn assert_usage_error(arguments: &[&str], words: &str) {
    let run = Running::command(arguments[0], &arguments[1..], []).finish();
    assert_eq!((run.code, &*run.stdout), (Some(2), ""), "{arguments:?} {run:?}");
    assert!(run.stderr.starts_with("error: ") && run.stderr.contains(words), "{arguments:?} {run:?}");
    // No password, no line of Postgres' source code, no prefix of the driver.
    for word in ["se-cret", " at line ", "error returned from database"] {
        assert!(!run.stderr.contains(word), "{arguments:?} {run:?}");
    }
}

#[tokio::test]
async fn a_wrong_option_is_named_with_its_correction() {
    let frontier = Frontier::new().await;
    let (url, page) = (&*frontier.url, "http://a.example/");
    for (arguments, words) in [
        (&["fetch", "--frontier", url, page][..], "'--frontier <DATABASE>' cannot be used with '[URL]...'"),
        (&["frontier", "add", page, "postgres://me:se-cret@127.0.0.1/pages"], "the database comes first: `trunkline"),
        (&["frontier", "add", url, "postgres://me:se-cret@db/pages"], "\"postgres://…@db/pages\" is not an http"),
        (&["fetch", "--lease", "9", page], "--lease is for workers: write --frontier DATABASE as well"),
        (&["fetch", "--follow", page], "--follow is for workers: write --frontier DATABASE as well"),
        (&["fetch", "--frontier", url, "--lease", "1"], "use a number of seconds from 3 to 86400"),
        (&["frontier", "status", url, "--hosts", "x"], "use a whole number"),
        (&["frontier", "retry", url, "--status", "5xx"], "write a status such as 503, or none"),
        (&["frontier", "retry", url, "--host", "a.example/page"], "write a.example, a.example:8080 or"),
    ] {
        assert_usage_error(arguments, words);
    }
}

#[tokio::test]
async fn a_missing_password_is_not_reported_as_a_wrong_one() {
    let frontier = Frontier::new().await;
    let mut connection = frontier.connection().await;
    let (server, database) = frontier.url.split_once('@').unwrap().1.split_once('/').unwrap();
    // Require a password of this role only, in pg_hba.conf.
    let role = format!("keeper_{database}");
    let file: String = sqlx::query_scalar("SHOW hba_file").fetch_one(&mut connection).await.unwrap();
    for sql in [
        format!("CREATE ROLE {role} LOGIN PASSWORD 'se-cret'"),
        format!("COPY (VALUES ('host all {role} all scram-sha-256'), ('host all all all trust')) TO '{file}'"),
        "SELECT pg_reload_conf()".into(),
    ] {
        connection.execute(AssertSqlSafe(sql)).await.unwrap();
    }
    let status = |password: &str| {
        let url = format!("postgres://{role}{password}@{server}/{database}");
        Running::command("frontier", ["status", &url], []).finish().stderr
    };
    until("a password is asked for", || status("").contains("password authentication failed for user"));
    assert!(status("").ends_with(": there is none in the address or in PGPASSWORD, and none in ~/.pgpass that fits\n"));
    assert!(status(":wr-ong").ends_with(&format!("password authentication failed for user \"{role}\"\n")));
    assert!(status(":se-cret").contains("there is none yet: `trunkline frontier add` creates it"));
}

#[test]
fn help_lists_exit_codes_within_80_columns() {
    for (command, words) in [
        (&["--help"][..], "`createdb news`"),
        (&["add", "--help"], "Exit status:"),
        (&["status", "--help"], "Exit status:"),
        (&["retry", "--help"], "Exit status:"),
        (&["retry", "-h"], "--status <CODE>"),
    ] {
        let run = Running::command("frontier", command, []).finish();
        assert_eq!(run.code, Some(0), "{run:?}");
        assert!(run.stdout.contains(words), "{}", run.stdout);
        assert!(run.stdout.lines().all(|line| line.chars().count() <= 80), "{}", run.stdout);
    }
}

#[tokio::test]
async fn existing_tables_need_only_read_and_write_privileges() {
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
async fn tables_need_no_privilege_to_create_a_schema() {
    let frontier = Frontier::new().await;
    let (server, database) = frontier.url.split_once('@').unwrap().1.split_once('/').unwrap();
    let role = format!("CREATE ROLE maker_{database} LOGIN; CREATE SCHEMA trunkline AUTHORIZATION maker_{database};");
    frontier.connection().await.execute(AssertSqlSafe(role)).await.unwrap();
    let frontier = Frontier { url: format!("postgres://maker_{database}@{server}/{database}") };
    assert_eq!(frontier.add("http://a.example/").last(), "1 added, 0 there already, 0 unusable");
}

#[tokio::test]
async fn a_frontier_of_a_newer_version_is_refused() {
    let frontier = Frontier::with(&["http://a.example/".to_owned()]).await;
    let mut connection = PgConnection::connect(&frontier.url).await.unwrap();
    connection.execute("UPDATE trunkline.versions SET version = 99").await.unwrap();
    let run = Running::command("frontier", ["status", &frontier.url], []).finish();
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("its tables are those of a newer trunkline"), "{run:?}");
}

#[tokio::test]
async fn the_status_shows_states_workers_and_hosts() {
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
