//! A worker's dealings: it comes, claims, says what became of what it had, and goes.

use std::time::Duration;

use super::{Store, answered, interval, millis};

/// What a worker may take.
#[derive(Clone, Copy, Debug)]
pub(in crate::frontier) struct Terms {
    /// How long what is claimed, and what was claimed before, is this worker's own.
    pub(in crate::frontier) lease: Duration,
    /// The most URLs of one host that are leased at once, to all workers together; 0 is no limit.
    pub(in crate::frontier) limit_per_host: usize,
    /// Between two claims of the same host, whoever makes them.
    pub(in crate::frontier) delay: Duration,
    /// What robots.txt says is obeyed: a host is asked for that first.
    pub(in crate::frontier) obeys_robots: bool,
}

/// A URL that is this worker's own.
#[derive(Clone, Debug)]
pub(in crate::frontier) struct Claimed {
    pub(in crate::frontier) id: i64,
    pub(in crate::frontier) url: String,
    /// The how many-th this is, from 1.
    pub(in crate::frontier) attempt: u32,
}

/// What became of a URL.
#[derive(Clone, Debug)]
pub(in crate::frontier) struct Settlement {
    pub(in crate::frontier) id: i64,
    pub(in crate::frontier) outcome: Outcome,
    pub(in crate::frontier) status: Option<u16>,
    pub(in crate::frontier) bytes: u64,
    pub(in crate::frontier) error: Option<String>,
    pub(in crate::frontier) elapsed: Duration,
    /// What its robots.txt wants to lie between two requests, if that is obeyed.
    pub(in crate::frontier) host_delay: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::frontier) enum Outcome {
    Done,
    Failed,
    /// Another attempt after a pause. If it is the host that asks for it, nobody asks that for
    /// anything before.
    Later {
        pause: Duration,
        of_host: bool,
    },
    /// Nothing came of it, so it does not count. It may have to wait, and its host with it.
    Back {
        pause: Option<Duration>,
    },
}

/// What is there when nothing can be claimed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::frontier) struct Rest {
    /// In what time it is worth to look again. None if something else has to happen before.
    pub(in crate::frontier) look_in: Option<Duration>,
    /// Somebody is fetching.
    pub(in crate::frontier) leased: bool,
}

impl Rest {
    /// Whether nothing is left to do, for anybody.
    pub(in crate::frontier) fn is_nothing(self) -> bool {
        self.look_in.is_none() && !self.leased
    }
}

const SETTLE: &str = "SELECT trunkline.settle($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

/// One moment, so that what is neither here nor there is not anywhere.
const REST: &str = "
    SELECT (SELECT extract(epoch FROM min(look_at) - clock_timestamp())::float8 FROM trunkline.hosts WHERE look_at < 'infinity'),
           EXISTS (SELECT FROM trunkline.urls WHERE state = 'leased')";

impl Store {
    /// Comes, or comes back: then it keeps those URLs of what it had under its old id, if it heard
    /// of that or not. Returns its id, under which it claims.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub(in crate::frontier) async fn join(
        &mut self,
        name: &str,
        key: i64,
        lease: Duration,
        keep: &[i64],
    ) -> anyhow::Result<i64> {
        let joining = sqlx::query_scalar("SELECT trunkline.join($1, $2, $3, $4)");
        let joining = joining.bind(name).bind(key).bind(interval(lease)).bind(keep);
        answered(joining.fetch_one(&mut self.connection)).await
    }

    /// Renews the lease, and takes up to so many URLs.
    ///
    /// # Errors
    ///
    /// If the database fails, and if the [lease is over](super::is_lease_over).
    pub(in crate::frontier) async fn claim(
        &mut self,
        worker: i64,
        room: usize,
        terms: Terms,
    ) -> anyhow::Result<Vec<Claimed>> {
        let claiming = sqlx::query_as::<_, (i64, String, i32)>("SELECT * FROM trunkline.claim($1, $2, $3, $4, $5, $6)");
        let (room, limit) = (i32::try_from(room)?, i32::try_from(terms.limit_per_host).unwrap_or(i32::MAX));
        let claiming = claiming.bind(worker).bind(interval(terms.lease)).bind(room);
        let claiming = claiming.bind(limit).bind(interval(terms.delay)).bind(terms.obeys_robots);
        let rows = answered(claiming.fetch_all(&mut self.connection)).await?;
        let claimed = |(id, url, attempt)| Claimed { id, url, attempt: u32::try_from(attempt).unwrap_or(u32::MAX) };
        Ok(rows.into_iter().map(claimed).collect())
    }

    /// What is there to wait for.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub(in crate::frontier) async fn rest(&mut self) -> anyhow::Result<Rest> {
        let asking = sqlx::query_as::<_, (Option<f64>, bool)>(REST);
        let (look_in, leased) = answered(asking.fetch_one(&mut self.connection)).await?;
        let look_in = look_in.map(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX));
        Ok(Rest { look_in, leased })
    }

    /// Says what became of URLs. Saying it twice is as good as once.
    ///
    /// # Errors
    ///
    /// If the database fails. All of it is to be said again then.
    pub(in crate::frontier) async fn settle(&mut self, worker: i64, settled: &[Settlement]) -> anyhow::Result<()> {
        let ids: Vec<_> = settled.iter().map(|one| one.id).collect();
        let outcomes: Vec<_> = settled.iter().map(|one| one.outcome.name()).collect();
        let statuses: Vec<_> =
            settled.iter().map(|one| one.status.and_then(|status| i16::try_from(status).ok())).collect();
        let sizes: Vec<_> = settled.iter().map(|one| i64::try_from(one.bytes).unwrap_or(i64::MAX)).collect();
        let errors: Vec<_> = settled.iter().map(|one| one.error.as_deref()).collect();
        let times: Vec<_> = settled.iter().map(|one| millis(one.elapsed)).collect();
        let (pauses, of_hosts): (Vec<_>, Vec<_>) = settled.iter().map(|one| one.outcome.pauses()).unzip();
        let settling = sqlx::query(SETTLE).bind(worker).bind(ids).bind(outcomes).bind(statuses).bind(sizes);
        let delays: Vec<_> = settled.iter().map(|one| one.host_delay.map(millis)).collect();
        let settling = settling.bind(errors).bind(times).bind(pauses).bind(of_hosts).bind(delays);
        answered(settling.execute(&mut self.connection)).await?;
        Ok(())
    }

    /// Goes. What it had is queued again. Returns how much that was.
    ///
    /// # Errors
    ///
    /// If the database fails. It is queued again when the lease is over.
    pub(in crate::frontier) async fn leave(&mut self, worker: i64) -> anyhow::Result<i64> {
        let leaving = sqlx::query_scalar("SELECT trunkline.leave($1)").bind(worker);
        answered(leaving.fetch_one(&mut self.connection)).await
    }
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Later { .. } => "later",
            Self::Back { .. } => "back",
        }
    }

    /// That of the URL, and that of its host.
    fn pauses(self) -> (Option<i64>, Option<i64>) {
        match self {
            Self::Later { pause, of_host } => (Some(millis(pause)), of_host.then_some(millis(pause))),
            Self::Back { pause } => (pause.map(millis), pause.map(millis)),
            Self::Done | Self::Failed => (None, None),
        }
    }
}
