//! Totals of a fetch, by host.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use trunkline::Histogram;

/// The totals of one host so far. A host is a scheme, a name and a port, as in the pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostFigures {
    /// The host, `https://example.com`. Behind the first 10,000 of them, all others are one, `others`.
    pub host: String,
    /// Pages that came, whatever their status.
    pub pages: u64,
    /// Pages that did not.
    pub failed: u64,
    /// The size of the pages that came, after decompression.
    pub bytes: u64,
    /// The number of repeated attempts.
    pub retries: u64,
    /// Answers, those that asked to come again included.
    pub answers: u64,
    /// Answers over a connection that had served before.
    pub reused: u64,
    /// Durations of the fetched pages: the last attempt at each, from the request to the end of the
    /// body. `elapsed.quantile(0.99)` bounds the 99th percentile.
    pub elapsed: Histogram,
}

/// More hosts are not told apart.
const MOST_HOSTS: usize = 10_000;

/// Those of all hosts.
#[derive(Debug, Default)]
pub(super) struct FetchFigures {
    hosts: HashMap<Arc<str>, HostFigures>,
}

impl FetchFigures {
    pub(super) fn of(&mut self, host: &Arc<str>) -> &mut HostFigures {
        let known = self.hosts.len() < MOST_HOSTS || self.hosts.contains_key(host);
        let host = if known { host.clone() } else { Arc::from("others") };
        self.hosts
            .entry(host)
            .or_insert_with_key(|host| HostFigures { host: host.to_string(), ..HostFigures::default() })
    }

    /// By the host's name.
    pub(super) fn list(&self) -> Vec<HostFigures> {
        let mut list: Vec<_> = self.hosts.values().cloned().collect();
        list.sort_unstable_by(|one, other| one.host.cmp(&other.host));
        list
    }
}

impl HostFigures {
    pub(super) fn answered(&mut self, reused: bool) {
        self.answers += 1;
        self.reused += u64::from(reused);
    }

    pub(super) fn record_page(&mut self, bytes: u64, elapsed: Duration) {
        self.pages += 1;
        self.bytes += bytes;
        self.elapsed.record(elapsed);
    }
}
