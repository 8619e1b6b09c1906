//! Queries of a worker: join, claim, settle and leave.

use std::time::Duration;

use super::{FrontierStore, answered, interval, millis};

/// Conditions of a claim.
#[derive(Clone, Copy, Debug)]
pub(in crate::frontier) struct ClaimTerms {
    /// Time of the lease, for new and earlier claims.
    pub(in crate::frontier) lease: Duration,
    /// Most leased URLs of one host, of all workers together; 0 is no limit.
    pub(in crate::frontier) limit_per_host: usize,
    /// Time between two claims of one host, by any worker.
    pub(in crate::frontier) delay: Duration,
    /// Obey robots.txt, which is requested before any page of a host.
    pub(in crate::frontier) obeys_robots: bool,
}

/// URL that this worker has leased.
#[derive(Clone, Debug)]
pub(in crate::frontier) struct ClaimedUrl {
    pub(in crate::frontier) id: i64,
    pub(in crate::frontier) url: String,
    /// Number of the attempt, from 1.
    pub(in crate::frontier) attempt: u32,
}

/// Result of a leased URL.
#[derive(Clone, Debug)]
pub(in crate::frontier) struct Settlement {
    pub(in crate::frontier) id: i64,
    pub(in crate::frontier) kind: SettlementKind,
    pub(in crate::frontier) status: Option<u16>,
    pub(in crate::frontier) bytes: u64,
    pub(in crate::frontier) error: Option<String>,
    pub(in crate::frontier) elapsed: Duration,
    /// Delay of the host's robots.txt, if obeyed.
    pub(in crate::frontier) host_delay: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::frontier) enum SettlementKind {
    Done,
    Failed,
    /// Another attempt after a pause. With `for_host`, the whole host pauses.
    Retry {
        pause: Duration,
        for_host: bool,
    },
    /// The attempt does not count. The URL and its host may pause.
    Requeue {
        pause: Option<Duration>,
    },
}

/// State of a queue from which nothing could be claimed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::frontier) struct QueueState {
    /// Time until a URL may be claimed; `None` if that depends on another event.
    pub(in crate::frontier) ready_in: Option<Duration>,
    /// True if any worker holds a lease.
    pub(in crate::frontier) leased: bool,
}

impl QueueState {
    /// True if nothing is left for any worker.
    pub(in crate::frontier) fn is_done(self) -> bool {
        self.ready_in.is_none() && !self.leased
    }
}

const SETTLE: &str = "SELECT trunkline.settle($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

/// One query, so that both values are of the same moment.
const QUEUE_STATE: &str = "
    SELECT (SELECT extract(epoch FROM min(look_at) - clock_timestamp())::float8 FROM trunkline.hosts WHERE look_at < 'infinity'),
           EXISTS (SELECT FROM trunkline.urls WHERE state = 'leased')";

impl FrontierStore {
    /// Joins, or joins again, and returns the id of the membership. A worker that joins again keeps
    /// the leases in `keep`; its other leases return to the queue.
    ///
    /// # Errors
    ///
    /// The database failed.
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

    /// Renews the lease, and claims up to `room` URLs.
    ///
    /// # Errors
    ///
    /// The database failed, or the [lease is over](super::is_lease_over).
    pub(in crate::frontier) async fn claim(
        &mut self,
        worker: i64,
        room: usize,
        terms: ClaimTerms,
    ) -> anyhow::Result<Vec<ClaimedUrl>> {
        let claiming = sqlx::query_as::<_, (i64, String, i32)>("SELECT * FROM trunkline.claim($1, $2, $3, $4, $5, $6)");
        let (room, limit) = (i32::try_from(room)?, i32::try_from(terms.limit_per_host).unwrap_or(i32::MAX));
        let claiming = claiming.bind(worker).bind(interval(terms.lease)).bind(room);
        let claiming = claiming.bind(limit).bind(interval(terms.delay)).bind(terms.obeys_robots);
        let rows = answered(claiming.fetch_all(&mut self.connection)).await?;
        let claimed = |(id, url, attempt)| ClaimedUrl { id, url, attempt: u32::try_from(attempt).unwrap_or(u32::MAX) };
        Ok(rows.into_iter().map(claimed).collect())
    }

    /// Reads the state of the queue.
    ///
    /// # Errors
    ///
    /// The database failed.
    pub(in crate::frontier) async fn queue_state(&mut self) -> anyhow::Result<QueueState> {
        let asking = sqlx::query_as::<_, (Option<f64>, bool)>(QUEUE_STATE);
        let (ready_in, leased) = answered(asking.fetch_one(&mut self.connection)).await?;
        let ready_in = ready_in.map(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX));
        Ok(QueueState { ready_in, leased })
    }

    /// Records the results of URLs. Repeating the call has no further effect.
    ///
    /// # Errors
    ///
    /// The database failed. Repeat the call with all of them then.
    pub(in crate::frontier) async fn settle(&mut self, worker: i64, settled: &[Settlement]) -> anyhow::Result<()> {
        let ids: Vec<_> = settled.iter().map(|one| one.id).collect();
        let outcomes: Vec<_> = settled.iter().map(|one| one.kind.name()).collect();
        let statuses: Vec<_> =
            settled.iter().map(|one| one.status.and_then(|status| i16::try_from(status).ok())).collect();
        let sizes: Vec<_> = settled.iter().map(|one| i64::try_from(one.bytes).unwrap_or(i64::MAX)).collect();
        let errors: Vec<_> = settled.iter().map(|one| one.error.as_deref()).collect();
        let times: Vec<_> = settled.iter().map(|one| millis(one.elapsed)).collect();
        let (pauses, of_hosts): (Vec<_>, Vec<_>) = settled.iter().map(|one| one.kind.pauses()).unzip();
        let settling = sqlx::query(SETTLE).bind(worker).bind(ids).bind(outcomes).bind(statuses).bind(sizes);
        let delays: Vec<_> = settled.iter().map(|one| one.host_delay.map(millis)).collect();
        let settling = settling.bind(errors).bind(times).bind(pauses).bind(of_hosts).bind(delays);
        answered(settling.execute(&mut self.connection)).await?;
        Ok(())
    }

    /// Leaves. Returns the number of leases that were queued again.
    ///
    /// # Errors
    ///
    /// The database failed. The leases are queued again when they run out.
    pub(in crate::frontier) async fn leave(&mut self, worker: i64) -> anyhow::Result<i64> {
        let leaving = sqlx::query_scalar("SELECT trunkline.leave($1)").bind(worker);
        answered(leaving.fetch_one(&mut self.connection)).await
    }
}

impl SettlementKind {
    fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Retry { .. } => "later",
            Self::Requeue { .. } => "back",
        }
    }

    /// Pause of the URL, and pause of its host.
    fn pauses(self) -> (Option<i64>, Option<i64>) {
        match self {
            Self::Retry { pause, for_host } => (Some(millis(pause)), for_host.then_some(millis(pause))),
            Self::Requeue { pause } => (pause.map(millis), pause.map(millis)),
            Self::Done | Self::Failed => (None, None),
        }
    }
}
