//! Table of `--per-host`: counts and times of each host.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use trunkline::Histogram;

use crate::page::{Page, PageOutcome};
use crate::summary::{Bytes, PageCounts};
use crate::table::Table;

/// Most hosts of the table. Further hosts share the row `others`.
const MOST_HOSTS: usize = 10_000;

/// Counts per host.
#[derive(Default)]
pub(crate) struct HostTable(HashMap<String, HostCounts>);

#[derive(Default)]
struct HostCounts {
    counts: PageCounts,
    retries: u64,
    answers: u64,
    reused: u64,
    elapsed: Histogram,
}

impl HostTable {
    /// Counts a page in the same way as the summary.
    pub(crate) fn count(&mut self, host: String, page: &Page, retries: u32) {
        if page.outcome == PageOutcome::GivenUp {
            return;
        }
        let known = self.0.len() < MOST_HOSTS || self.0.contains_key(&host);
        let host_counts = self.0.entry(if known { host } else { "others".into() }).or_default();
        host_counts.counts.count(page);
        host_counts.retries += u64::from(retries);
        host_counts.answers += u64::from(page.reused.is_some());
        host_counts.reused += u64::from(page.reused == Some(true));
        if page.outcome != PageOutcome::Failed {
            host_counts.elapsed.record(page.elapsed);
        }
    }

    /// Table with the hosts of most pages first. `width` is the width of the terminal, if the table
    /// is for one.
    pub(crate) fn table(&self, width: Option<usize>) -> impl fmt::Display {
        let mut hosts: Vec<_> = self.0.iter().collect();
        hosts.sort_unstable_by(|(a, one), (b, other)| other.counts.pages.cmp(&one.counts.pages).then(a.cmp(b)));
        let mut table = Table::new(["host", "pages", "failed", "bytes", "retries", "reused", "p50", "p99"], width);
        hosts.into_iter().for_each(|(host, counts)| table.row(row(host, counts)));
        table
    }
}

fn row(host: &str, host_counts: &HostCounts) -> [String; 8] {
    let HostCounts { counts: PageCounts { pages, failed, bytes, .. }, retries, answers, reused, elapsed } = host_counts;
    let share = |share| elapsed.quantile(share).map_or_else(|| "-".into(), time);
    let reused = if *answers == 0 { "-".into() } else { format!("{} %", reused * 100 / answers) };
    [
        host.to_owned(),
        pages.to_string(),
        failed.to_string(),
        Bytes(*bytes).to_string(),
        retries.to_string(),
        reused,
        share(0.5),
        share(0.99),
    ]
}

fn time(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds < 0.000_999_5 => format!("{:.0} µs", seconds * 1e6),
        seconds if seconds < 0.009_95 => format!("{:.1} ms", seconds * 1e3),
        seconds if seconds < 0.999_5 => format!("{:.0} ms", seconds * 1e3),
        seconds => format!("{seconds:.1} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_two_digits_or_three() {
        for (micros, shown) in [
            (0, "0 µs"),
            (999, "999 µs"),
            (1_000, "1.0 ms"),
            (9_940, "9.9 ms"),
            (10_000, "10 ms"),
            (999_499, "999 ms"),
            (1_500_000, "1.5 s"),
        ] {
            assert_eq!(time(Duration::from_micros(micros)), shown);
        }
    }
}
