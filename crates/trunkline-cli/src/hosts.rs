//! The table of `--per-host`.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use trunkline::Histogram;

use crate::page::{Fate, Page};
use crate::summary::{Bytes, Tally};

/// More hosts are not told apart.
const MOST_HOSTS: usize = 10_000;

/// On a terminal that is too narrow for the table, so much is left of a host's name.
const SHORTEST_NAME: usize = 16;

/// What has come of the pages of each host.
#[derive(Default)]
pub(crate) struct Hosts(HashMap<String, Figures>);

#[derive(Default)]
struct Figures {
    tally: Tally,
    retries: u64,
    answers: u64,
    reused: u64,
    elapsed: Histogram,
}

impl Hosts {
    /// Counts a page as the summary does.
    pub(crate) fn count(&mut self, host: String, page: &Page, retries: u32) {
        if page.fate == Fate::GivenUp {
            return;
        }
        let known = self.0.len() < MOST_HOSTS || self.0.contains_key(&host);
        let figures = self.0.entry(if known { host } else { "others".into() }).or_default();
        figures.tally.count(page);
        figures.retries += u64::from(retries);
        figures.answers += u64::from(page.reused.is_some());
        figures.reused += u64::from(page.reused == Some(true));
        if page.fate != Fate::Failed {
            figures.elapsed.record(page.elapsed);
        }
    }

    /// `width` is that of the terminal, if it is for one.
    pub(crate) fn table(&self, width: Option<usize>) -> Table {
        let mut hosts: Vec<_> = self.0.iter().collect();
        hosts.sort_unstable_by(|(a, one), (b, other)| other.tally.pages.cmp(&one.tally.pages).then(a.cmp(b)));
        Table { lines: hosts.into_iter().map(|(host, figures)| line(host, figures)).collect(), width }
    }
}

fn line(host: &str, figures: &Figures) -> [String; 8] {
    let Figures { tally: Tally { pages, failed, bytes, .. }, retries, answers, reused, elapsed } = figures;
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

/// A line for each host, those with most pages first.
pub(crate) struct Table {
    lines: Vec<[String; 8]>,
    width: Option<usize>,
}

const HEAD: [&str; 8] = ["host", "pages", "failed", "bytes", "retries", "reused", "p50", "p99"];

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = HEAD.map(str::to_owned);
        let lines = || std::iter::once(&head).chain(&self.lines);
        let width = |column: usize| lines().map(|line| line[column].chars().count()).max().unwrap_or_default();
        let widths: Vec<_> = (1..HEAD.len()).map(width).collect();
        let figures: usize = widths.iter().map(|width| 2 + width).sum();
        let room = self.width.map_or(usize::MAX, |width| width.saturating_sub(figures).max(SHORTEST_NAME));
        let name_width = width(0).min(room);
        for line in lines() {
            write!(f, "{:<name_width$}", shortened(&line[0], room))?;
            for (cell, width) in line[1..].iter().zip(&widths) {
                write!(f, "  {cell:>width$}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// Without its middle, if need be: names of hosts differ at their beginning, and belong together by their end. Each of their letters, `xn--` and all, is
/// one column wide.
fn shortened(name: &str, width: usize) -> String {
    let letters: Vec<_> = name.chars().collect();
    if letters.len() <= width {
        return name.to_owned();
    }
    let end = width / 2;
    let (head, tail) = (&letters[..width - end - 1], &letters[letters.len() - end..]);
    head.iter().chain(&['…']).chain(tail).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(host: &str, width: Option<usize>) -> String {
        let line = [host, "1000", "0", "1.2 MB", "3", "98 %", "5 ms", "20 ms"].map(String::from);
        Table { lines: vec![line], width }.to_string()
    }

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
        let expected = "\
            host         pages  failed   bytes  retries  reused   p50    p99\n\
            http://a:80   1000       0  1.2 MB        3    98 %  5 ms  20 ms\n";
        for width in [None, Some(80), Some(64)] {
            assert_eq!(table("http://a:80", width), expected);
        }
    }

    #[test]
    fn a_long_name_gives_way_to_the_figures() {
        let host = format!("http://{}.example.com", "a".repeat(200));
        for width in [80, 200] {
            let table = table(&host, Some(width));
            assert!(table.lines().all(|line| line.chars().count() == width), "{table}");
            assert!(
                table.contains("http://aaa") && table.contains("a.example.com  ") && table.contains('…'),
                "{table}"
            );
        }
        assert!(table(&host, Some(20)).contains("\nhttp://…mple.com  "), "something is left of it");
        assert!(table(&host, None).contains(&host), "a file has room");
    }
}
