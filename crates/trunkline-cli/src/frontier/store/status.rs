//! How the frontier stands.

use super::{Store, answered};

/// The frontier at one moment.
#[derive(Debug)]
pub(in crate::frontier) struct Status {
    /// Waiting, those that are waiting for another attempt not included.
    pub(in crate::frontier) queued: i64,
    pub(in crate::frontier) retrying: i64,
    pub(in crate::frontier) leased: i64,
    pub(in crate::frontier) done: i64,
    pub(in crate::frontier) failed: i64,
    pub(in crate::frontier) workers: Vec<WorkerFigures>,
    /// The slowest, those with pages to fetch first.
    pub(in crate::frontier) hosts: Vec<HostFigures>,
}

/// A worker that has not left.
#[derive(Debug)]
pub(in crate::frontier) struct WorkerFigures {
    pub(in crate::frontier) name: String,
    pub(in crate::frontier) leased: i64,
    pub(in crate::frontier) done: i64,
    pub(in crate::frontier) failed: i64,
    /// Seconds since it came.
    pub(in crate::frontier) age: f64,
    /// Seconds until its lease is over; below 0 it is.
    pub(in crate::frontier) lease: f64,
}

/// A host.
#[derive(Debug)]
pub(in crate::frontier) struct HostFigures {
    pub(in crate::frontier) origin: String,
    pub(in crate::frontier) leased: i32,
    pub(in crate::frontier) done: i64,
    pub(in crate::frontier) failed: i64,
    pub(in crate::frontier) retried: i64,
    /// Seconds a page took, on average.
    pub(in crate::frontier) mean: Option<f64>,
    /// Seconds until it may be asked again, if that is not now.
    pub(in crate::frontier) wait: Option<f64>,
}

/// Indexes have all of it: not a URL that is done is looked at.
const STATES: &str = "
    SELECT count(*) FILTER (WHERE attempts = 0), count(*) FILTER (WHERE attempts > 0), (SELECT count(*) FROM trunkline.urls WHERE state = 'leased')
    FROM trunkline.urls WHERE state = 'queued'";

/// Those are kept count of: a frontier grows by what is done.
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

impl Store {
    /// How it stands, with so many of its hosts.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub(in crate::frontier) async fn status(&mut self, hosts: u32) -> anyhow::Result<Status> {
        let open = sqlx::query_as(STATES).fetch_one(&mut self.connection);
        let (queued, retrying, leased) = answered(open).await?;
        let (done, failed) = answered(sqlx::query_as(ENDED).fetch_one(&mut self.connection)).await?;
        let workers = answered(sqlx::query_as::<_, WorkerRow>(WORKERS).fetch_all(&mut self.connection)).await?;
        let slowest = sqlx::query_as::<_, HostRow>(HOSTS).bind(i64::from(hosts));
        let hosts = answered(slowest.fetch_all(&mut self.connection)).await?;
        let workers = workers.into_iter().map(WorkerFigures::from).collect();
        let hosts = hosts.into_iter().map(HostFigures::from).collect();
        Ok(Status { queued, retrying, leased, done, failed, workers, hosts })
    }
}

impl From<WorkerRow> for WorkerFigures {
    fn from((name, leased, done, failed, age, lease): WorkerRow) -> Self {
        Self { name, leased, done, failed, age, lease }
    }
}

impl From<HostRow> for HostFigures {
    fn from((origin, leased, done, failed, retried, mean, wait): HostRow) -> Self {
        Self { origin, leased, done, failed, retried, mean, wait }
    }
}
