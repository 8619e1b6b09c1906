//! Summary of a run: the last line on standard error.

use std::fmt;
use std::time::Duration;

use trunkline::{CloseReason, PoolStats};

use crate::page::{Page, PageOutcome};

/// Counts of pages.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PageCounts {
    /// Ended pages, including failed pages and invalid lines, without those given up.
    pub(crate) pages: u64,
    pub(crate) failed: u64,
    pub(crate) given_up: u64,
    /// URLs that an earlier run fetched, and repeated URLs; not included in `pages`.
    pub(crate) skipped: u64,
    pub(crate) bytes: u64,
}

impl PageCounts {
    pub(crate) fn count(&mut self, page: &Page) {
        self.bytes += page.bytes;
        match page.outcome {
            PageOutcome::Fetched => self.pages += 1,
            PageOutcome::Refused | PageOutcome::Failed => self.count_failure(),
            // Counted at the end, together with the cancelled pages.
            PageOutcome::GivenUp => {}
        }
    }

    pub(crate) fn count_failure(&mut self) {
        self.pages += 1;
        self.failed += 1;
    }
}

/// Summary line.
pub(crate) struct Summary {
    pub(crate) counts: PageCounts,
    pub(crate) elapsed: Duration,
    pub(crate) opened: u64,
    pub(crate) reused: u64,
}

impl Summary {
    pub(crate) fn new(counts: PageCounts, elapsed: Duration, stats: &PoolStats) -> Self {
        let unopened = [CloseReason::DialFailed, CloseReason::Superseded, CloseReason::Cancelled];
        let unopened: u64 = unopened.into_iter().map(|reason| stats.closed.by(reason)).sum();
        Self { counts, elapsed, opened: stats.created.saturating_sub(unopened), reused: stats.reused }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { counts: PageCounts { pages, failed, given_up, skipped, bytes }, elapsed, opened, reused } = *self;
        write!(f, "{}, {failed} failed, ", Count(pages, "page"))?;
        if given_up > 0 {
            write!(f, "{given_up} given up, ")?;
        }
        if skipped > 0 {
            write!(f, "{skipped} skipped, ")?;
        }
        let seconds = elapsed.as_secs_f64();
        write!(f, "{} in {seconds:.2} s", Bytes(bytes))?;
        if seconds > 0.0 {
            #[expect(clippy::cast_precision_loss, reason = "a rate to read, not to compute with")]
            write!(f, " ({:.0} pages/s)", pages as f64 / seconds)?;
        }
        write!(f, " · {} opened, {} reused one", Count(opened, "connection"), Count(reused, "request"))
    }
}

/// A number with its noun, such as `1 page` or `2 pages`.
pub(crate) struct Count(pub(crate) u64, pub(crate) &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, noun) = self;
        write!(f, "{count} {noun}{}", if *count == 1 { "" } else { "s" })
    }
}

/// A size in units of powers of 1000, such as `1.2 MB`.
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    #[expect(clippy::cast_precision_loss, reason = "a size to read, not to compute with")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1_000 {
            return write!(f, "{} B", self.0);
        }
        let mut size = self.0 as f64;
        let mut unit = "B";
        for larger in ["KB", "MB", "GB", "TB", "PB"] {
            // 999.95 would be rounded to 1000.0.
            if size < 999.95 {
                break;
            }
            size /= 1_000.0;
            unit = larger;
        }
        write!(f, "{size:.1} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_reads_like_a_sentence() {
        let counts = PageCounts { pages: 2_000, failed: 0, given_up: 0, skipped: 0, bytes: 24_000 };
        let summary = Summary { counts, elapsed: Duration::from_millis(410), opened: 8, reused: 1_992 };
        let expected =
            "2000 pages, 0 failed, 24.0 KB in 0.41 s (4878 pages/s) · 8 connections opened, 1992 requests reused one";
        assert_eq!(summary.to_string(), expected);

        let counts = PageCounts { pages: 1, failed: 1, given_up: 3, skipped: 20, bytes: 999 };
        let summary = Summary { counts, elapsed: Duration::from_secs(2), opened: 1, reused: 1 };
        let expected = "1 page, 1 failed, 3 given up, 20 skipped, 999 B in 2.00 s (0 pages/s) · 1 connection opened, 1 request reused one";
        assert_eq!(summary.to_string(), expected);
    }

    #[test]
    fn sizes_are_in_powers_of_1000() {
        for (bytes, shown) in
            [(0, "0 B"), (1_000, "1.0 KB"), (999_949, "999.9 KB"), (999_950, "1.0 MB"), (u64::MAX, "18446.7 PB")]
        {
            assert_eq!(Bytes(bytes).to_string(), shown);
        }
    }
}
