//! What the run came to, in a line.

use std::fmt;
use std::time::Duration;

use trunkline::{CloseReason, PoolStats};

use crate::count::Count;
use crate::page::{Fate, Page};

/// Counts pages as they come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Failed ones and unusable lines included, those given up not.
    pub(crate) pages: u64,
    pub(crate) failed: u64,
    pub(crate) given_up: u64,
    /// Fetched by an earlier run, or in the input once more; not counted as pages.
    pub(crate) skipped: u64,
    pub(crate) bytes: u64,
}

impl Tally {
    pub(crate) fn count(&mut self, page: &Page) {
        self.bytes += page.bytes;
        match page.fate {
            Fate::Fetched => self.pages += 1,
            Fate::Refused | Fate::Failed => self.count_failure(),
            // As those that are cancelled: counted at the end.
            Fate::GivenUp => {}
        }
    }

    pub(crate) fn count_failure(&mut self) {
        self.pages += 1;
        self.failed += 1;
    }
}

/// The last line on standard error.
pub(crate) struct Summary {
    pub(crate) tally: Tally,
    pub(crate) elapsed: Duration,
    pub(crate) opened: u64,
    pub(crate) reused: u64,
}

impl Summary {
    pub(crate) fn new(tally: Tally, elapsed: Duration, stats: &PoolStats) -> Self {
        let unopened = [CloseReason::DialFailed, CloseReason::Superseded, CloseReason::Cancelled];
        let unopened: u64 = unopened.into_iter().map(|reason| stats.closed.by(reason)).sum();
        Self { tally, elapsed, opened: stats.created.saturating_sub(unopened), reused: stats.reused }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tally: Tally { pages, failed, given_up, skipped, bytes }, elapsed, opened, reused } = *self;
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

/// A size for people, in powers of 1000.
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
            // What would be shown as 1000.0 is shown in the next unit.
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
        let tally = Tally { pages: 2_000, failed: 0, given_up: 0, skipped: 0, bytes: 24_000 };
        let summary = Summary { tally, elapsed: Duration::from_millis(410), opened: 8, reused: 1_992 };
        let expected =
            "2000 pages, 0 failed, 24.0 KB in 0.41 s (4878 pages/s) · 8 connections opened, 1992 requests reused one";
        assert_eq!(summary.to_string(), expected);

        let tally = Tally { pages: 1, failed: 1, given_up: 3, skipped: 20, bytes: 999 };
        let summary = Summary { tally, elapsed: Duration::from_secs(2), opened: 1, reused: 1 };
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
