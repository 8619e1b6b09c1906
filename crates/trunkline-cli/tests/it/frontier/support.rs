//! Frontier with its own database, and the commands that use it.

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use super::postgres::Postgres;
use crate::support::{Finished, Running, soak};

/// Time limit of a wait. A slow machine needs far less.
fn patience() -> Duration {
    Duration::from_secs(soak(900, 120))
}

pub(super) struct Frontier {
    pub(super) url: String,
}

impl Frontier {
    pub(super) async fn new() -> Self {
        Self { url: Postgres::shared().database().await }
    }

    /// New frontier with these URLs.
    pub(super) async fn with(urls: &[String]) -> Self {
        let this = Self::new().await;
        let run = this.add(urls.join("\n"));
        assert_eq!(run.code, Some(0), "{run:?}");
        this
    }

    pub(super) fn add(&self, lines: impl AsRef<[u8]>) -> Finished {
        let mut running = self.adding();
        let _ = std::io::Write::write_all(&mut running.stdin.take().unwrap(), lines.as_ref());
        running.finish()
    }

    pub(super) fn adding(&self) -> Running {
        Running::command("frontier", ["add", &self.url, "-i-"], [])
    }

    pub(super) fn status(&self) -> String {
        let run = Running::command("frontier", ["status", &self.url], []).finish();
        assert_eq!(run.code, Some(0), "{run:?}");
        run.stdout
    }

    pub(super) fn worker<'a>(&'a self, arguments: impl IntoIterator<Item = &'a str>) -> Running {
        Running::start(["--frontier", &self.url].into_iter().chain(arguments))
    }

    /// Starts a worker that writes JSON lines to `output`. Its plain lines are discarded.
    pub(super) fn writing_worker<'a>(
        &'a self,
        output: &'a Path,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Running {
        let mut worker = self.worker(["-o", output.to_str().unwrap()].into_iter().chain(arguments));
        let mut stdout = worker.stdout.take().unwrap();
        std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        worker
    }

    pub(super) async fn connection(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.unwrap()
    }

    /// Opens a transaction that has executed `sql`, such as a lock. It ends with its connection.
    pub(super) async fn transaction(&self, sql: &'static str) -> PgConnection {
        let mut connection = self.connection().await;
        connection.execute("BEGIN").await.unwrap();
        connection.execute(sql).await.unwrap();
        connection
    }

    /// Waits until `count` connections wait for a lock.
    pub(super) async fn until_locked_out(&self, count: i64) {
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        self.until("it waits for the lock", waiting, |waiting| waiting == count).await;
    }

    /// Result of a query, as a number.
    pub(super) async fn count(&self, sql: &str) -> i64 {
        let mut connection = self.connection().await;
        let sql = AssertSqlSafe(format!("SELECT ({sql})::bigint"));
        sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
    }

    /// Results of a query, as texts.
    pub(super) async fn all(&self, sql: &'static str) -> Vec<String> {
        sqlx::query_scalar(sql).fetch_all(&mut self.connection().await).await.unwrap()
    }

    pub(super) async fn in_state(&self, state: &str) -> i64 {
        self.count(&format!("SELECT count(*) FROM trunkline.urls WHERE state = '{state}'")).await
    }

    /// Asserts that every URL has ended, and that the counters agree.
    pub(super) async fn assert_all_ended(&self, done: i64, failed: i64) {
        assert_eq!((self.in_state("done").await, self.in_state("failed").await), (done, failed), "{}", self.status());
        assert_eq!(self.count("SELECT count(*) FROM trunkline.urls").await, done + failed);
        let counted = "SELECT coalesce(sum(leased), 0) * 1000000000000 + coalesce(sum(done), 0) * 1000000 + coalesce(sum(failed), 0) FROM trunkline.hosts";
        assert_eq!(self.count(counted).await, done * 1_000_000 + failed);
    }

    /// Waits until the result of the query meets the condition.
    pub(super) async fn until(&self, what: &str, sql: &str, holds: impl Fn(i64) -> bool) {
        let begun = Instant::now();
        while !holds(self.count(sql).await) {
            assert!(begun.elapsed() < patience(), "not in time: {what}: {}", self.status());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Waits for the end of a worker.
pub(super) async fn finished(mut worker: Running) -> Finished {
    let begun = Instant::now();
    while !worker.has_ended() {
        assert!(begun.elapsed() < patience(), "the worker does not end");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    worker.finish()
}

/// URLs of the JSON lines in the file, in order. An incomplete last line of a killed worker is left
/// out.
pub(super) fn urls_in(output: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(output).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines = whole.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines.map(|line| line["url"].as_str().unwrap().to_owned()).collect()
}
