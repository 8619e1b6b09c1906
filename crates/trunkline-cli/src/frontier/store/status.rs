//! Queries of the frontier's status.

use super::{FrontierStore, answered};

/// Status of the frontier at one moment.
#[derive(Debug)]
pub(in crate::frontier) struct FrontierStatus {
    /// URLs without an attempt so far.
    pub(in crate::frontier) queued: i64,
    pub(in crate::frontier) retrying: i64,
    pub(in crate::frontier) leased: i64,
    pub(in crate::frontier) done: i64,
    pub(in crate::frontier) failed: i64,
    pub(in crate::frontier) workers: Vec<WorkerStatus>,
    /// Slowest hosts; hosts with URLs left to fetch come first.
    pub(in crate::frontier) hosts: Vec<HostStatus>,
}

/// Worker that has not left.
#[derive(Debug)]
pub(in crate::frontier) struct WorkerStatus {
    pub(in crate::frontier) name: String,
    pub(in crate::frontier) leased: i64,
    pub(in crate::frontier) done: i64,
    pub(in crate::frontier) failed: i64,
    /// Seconds since it joined.
    pub(in crate::frontier) age: f64,
    /// Seconds until the end of its lease; negative after the end.
    pub(in crate::frontier) lease: f64,
}

/// Counts and times of a host.
#[derive(Debug)]
pub(in crate::frontier) struct HostStatus {
    pub(in crate::frontier) origin: String,
    pub(in crate::frontier) leased: i32,
    pub(in crate::frontier) done: i64,
    pub(in crate::frontier) failed: i64,
    pub(in crate::frontier) retried: i64,
    /// Mean time of a page, in seconds.
    pub(in crate::frontier) mean: Option<f64>,
    /// Seconds until the next request is permitted, if not now.
    pub(in crate::frontier) wait: Option<f64>,
}

/// Served by indexes alone: the query reads no settled URL.
const STATES: &str = "
    SELECT count(*) FILTER (WHERE attempts = 0), count(*) FILTER (WHERE attempts > 0), (SELECT count(*) FROM trunkline.urls WHERE state = 'leased')
    FROM trunkline.urls WHERE state = 'queued'";

/// Read from counters, because the number of settled URLs grows without bound.
const ENDED: &str = "SELECT coalesce(sum(done), 0)::bigint, coalesce(sum(failed), 0)::bigint FROM trunkline.hosts";

const WORKERS: &str = "
    SELECT name, (SELECT count(*) FROM trunkline.urls WHERE worker = workers.id AND state = 'leased'), done, failed,
           extract(epoch FROM clock_timestamp() - joined_at)::float8, extract(epoch FROM until - clock_timestamp())::float8
    FROM trunkline.workers ORDER BY joined_at, id";

const HOSTS: &str = "
    SELECT origin, leased, done, failed, retried, elapsed_ms / 1000.0::float8 / nullif(done, 0) AS mean,
           CASE WHEN next_at > clock_timestamp() AND next_at < 'infinity'
                THEN extract(epoch FROM next_at - clock_timestamp())::float8 END
    FROM trunkline.hosts ORDER BY look_at < 'infinity' OR leased > 0 DESC, mean DESC NULLS LAST, origin LIMIT $1";

type WorkerRow = (String, i64, i64, i64, f64, f64);
type HostRow = (String, i32, i64, i64, i64, Option<f64>, Option<f64>);

impl FrontierStore {
    /// Reads the status, with up to `hosts` hosts.
    ///
    /// # Errors
    ///
    /// The database failed.
    pub(in crate::frontier) async fn status(&mut self, hosts: u32) -> anyhow::Result<FrontierStatus> {
        let open = sqlx::query_as(STATES).fetch_one(&mut self.connection);
        let (queued, retrying, leased) = answered(open).await?;
        let (done, failed) = answered(sqlx::query_as(ENDED).fetch_one(&mut self.connection)).await?;
        let workers = answered(sqlx::query_as::<_, WorkerRow>(WORKERS).fetch_all(&mut self.connection)).await?;
        let slowest = sqlx::query_as::<_, HostRow>(HOSTS).bind(i64::from(hosts));
        let hosts = answered(slowest.fetch_all(&mut self.connection)).await?;
        let workers = workers.into_iter().map(WorkerStatus::from).collect();
        let hosts = hosts.into_iter().map(HostStatus::from).collect();
        Ok(FrontierStatus { queued, retrying, leased, done, failed, workers, hosts })
    }
}

impl From<WorkerRow> for WorkerStatus {
    fn from((name, leased, done, failed, age, lease): WorkerRow) -> Self {
        Self { name, leased, done, failed, age, lease }
    }
}

impl From<HostRow> for HostStatus {
    fn from((origin, leased, done, failed, retried, mean, wait): HostRow) -> Self {
        Self { origin, leased, done, failed, retried, mean, wait }
    }
}
