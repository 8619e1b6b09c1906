//! Snapshot of all figures, for the metrics and the console.

use std::cmp::Reverse;
use std::fs;
use std::time::Duration;

use serde::Serialize;
use tokio::time::timeout;
use trunkline::{CloseReason, HostStats, PoolStats, Session};
use trunkline_lifespan::ListenerStats;

use crate::outbox::OutboxFigures;
use crate::store::{Backlog, DatabaseFigures};
use crate::web::WebState;

/// Time limit of the database. Figures that it does not return in time are left out.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Maximum number of hosts listed. A session may know any number; the busiest are of interest.
const HOSTS: usize = 50;

/// Figures of the session, the outbox, the database and the process.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// All of one instant.
    pub(super) pool: PoolStats,
    /// Its hosts, the largest first.
    pub(super) hosts: Vec<HostUsage>,
    /// All hosts beyond those, as one.
    pub(super) others: HostUsage,
    pub(super) limit: usize,
    pub(super) outbox: OutboxFigures,
    /// Mails that are not sent. None if the database did not answer.
    pub(super) backlog: Option<Backlog>,
    pub(super) database: DatabaseFigures,
    /// The connections of clients, to each of the addresses that are listened on.
    pub(super) clients: Vec<ListenerStats>,
    /// Resident memory of the process, in bytes. None where the platform does not report it.
    pub(super) memory: Option<u64>,
}

/// A host's share of the session.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct HostUsage {
    pub(super) address: String,
    pub(super) port: String,
    pub(super) in_use: usize,
    pub(super) idle: usize,
    pub(super) dialing: usize,
    pub(super) waiting: usize,
}

impl Snapshot {
    pub(super) async fn now(session: &Session, app: &WebState) -> Self {
        // Asked first: the rest is then as fresh as it can be.
        let backlog = in_time("the mails that wait cannot be counted", app.outbox.backlog()).await;
        let (pool, limit) = (session.stats(), app.session_limit);
        let (hosts, others) = largest(&pool.hosts);
        let (outbox, database) = (app.outbox.figures(), app.store.figures());
        let (clients, memory) = (app.listeners.stats(), resident());
        Self { pool, hosts, others, limit, outbox, backlog, database, clients, memory }
    }

    /// Close reasons in snake case, with counts.
    pub(super) fn closed(&self) -> impl Iterator<Item = (String, u64)> {
        self.pool.closed.iter().map(|(reason, count)| (snake(reason), count))
    }
}

impl HostUsage {
    fn new(stats: &HostStats) -> Self {
        let (address, port) = stats.host.rsplit_once(':').unwrap_or((&stats.host, ""));
        let address = address.trim_matches(['[', ']']).to_owned();
        let HostStats { in_use, idle, dialing, waiting, .. } = *stats;
        Self { address, port: port.to_owned(), in_use, idle, dialing, waiting }
    }

    fn add(self, other: &HostStats) -> Self {
        Self {
            in_use: self.in_use + other.in_use,
            idle: self.idle + other.idle,
            dialing: self.dialing + other.dialing,
            waiting: self.waiting + other.waiting,
            ..self
        }
    }
}

/// Returns the answer of the database, or None after [`ANSWER_WITHIN`]: the other figures are shown
/// all the same.
pub(super) async fn in_time<T>(otherwise: &str, question: impl Future<Output = anyhow::Result<T>>) -> Option<T> {
    match timeout(ANSWER_WITHIN, question).await {
        Ok(Ok(answer)) => Some(answer),
        Ok(Err(error)) => {
            tracing::warn!(error = format!("{error:#}"), "{otherwise}");
            None
        }
        Err(_) => None,
    }
}

fn largest(all: &[HostStats]) -> (Vec<HostUsage>, HostUsage) {
    let mut all: Vec<_> = all.iter().collect();
    all.sort_by_key(|host| (Reverse(host.open + host.waiting), &host.host));
    let (told, others) = all.split_at(all.len().min(HOSTS));
    let rest = HostUsage { address: "_OTHER".to_owned(), ..HostUsage::default() };
    (told.iter().map(|host| HostUsage::new(host)).collect(), others.iter().fold(rest, |rest, host| rest.add(host)))
}

fn snake(reason: CloseReason) -> String {
    let mut name = String::new();
    for char in format!("{reason:?}").chars() {
        if char.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(char.to_ascii_lowercase());
    }
    name
}

/// Resident memory on Linux: see proc_pid_status(5).
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_written_in_words() {
        assert_eq!(snake(CloseReason::IdleTimeout), "idle_timeout");
        assert_eq!(snake(CloseReason::Closed), "closed");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_takes_memory() {
        assert!(resident().is_some_and(|bytes| bytes > 1 << 20));
    }
}
