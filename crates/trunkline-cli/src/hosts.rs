//! The table of `--per-host`.

use std::fmt;
use std::time::Duration;

use trunkline_scrape::HostFigures;

use crate::summary::Bytes;

/// A line for each host, those with most pages first.
pub(crate) struct Table(Vec<[String; 8]>);

const HEAD: [&str; 8] = ["host", "pages", "failed", "bytes", "retries", "reused", "p50", "p99"];

impl Table {
    pub(crate) fn new(mut hosts: Vec<HostFigures>) -> Self {
        hosts.sort_by_key(|host| std::cmp::Reverse(host.pages + host.failed));
        Self(hosts.iter().map(line).collect())
    }
}

fn line(host: &HostFigures) -> [String; 8] {
    let share = |share| host.elapsed.quantile(share).map_or_else(|| "-".into(), time);
    let reused = match host.answers {
        0 => "-".into(),
        answers => format!("{} %", host.reused * 100 / answers),
    };
    [
        host.host.clone(),
        host.pages.to_string(),
        host.failed.to_string(),
        Bytes(host.bytes).to_string(),
        host.retries.to_string(),
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

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = HEAD.map(str::to_owned);
        let lines = || std::iter::once(&head).chain(&self.0);
        let width = |column: usize| lines().map(|line| line[column].chars().count()).max().unwrap_or_default();
        let widths: Vec<_> = (0..HEAD.len()).map(width).collect();
        for line in lines() {
            write!(f, "{:<width$}", line[0], width = widths[0])?;
            for (cell, width) in line.iter().zip(&widths).skip(1) {
                write!(f, "  {cell:>width$}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_two_digits_or_three() {
        for (micros, told) in [
            (0, "0 µs"),
            (999, "999 µs"),
            (1_000, "1.0 ms"),
            (9_940, "9.9 ms"),
            (10_000, "10 ms"),
            (999_499, "999 ms"),
            (1_500_000, "1.5 s"),
        ] {
            assert_eq!(time(Duration::from_micros(micros)), told);
        }
    }

    #[test]
    fn columns_stand_below_their_heads() {
        let table = Table(vec![["http://a:80", "1000", "0", "1.2 MB", "3", "98 %", "5 ms", "20 ms"].map(String::from)]);
        let expected = "\
            host         pages  failed   bytes  retries  reused   p50    p99\n\
            http://a:80   1000       0  1.2 MB        3    98 %  5 ms  20 ms\n";
        assert_eq!(table.to_string(), expected);
    }
}
