//! Durations counted in buckets: few bytes, one increment to record, and still an answer to "how
//! long for most of them?"

use std::fmt;
use std::time::Duration;

/// A histogram of durations in fixed buckets, with the sum and the longest.
///
/// A bucket counts what is at most its bound and more than the one before. The first bound is zero;
/// then they go 1, 2, 5 from 100 µs to 500 s; what is longer counts in the last bucket, whose bound
/// is [`Duration::MAX`]. The bounds are the same for every histogram, so those of several pools or
/// processes can be added up.
///
/// Exported as Prometheus wants it, in seconds and each bucket with those before it:
///
/// ```
/// # fn export(stats: &trunkline::PoolStats) -> String {
/// use std::fmt::Write as _;
/// use std::time::Duration;
///
/// let (mut text, mut so_far) = (String::new(), 0);
/// for (bound, count) in stats.wait.buckets() {
///     so_far += count;
///     let le = match bound {
///         Duration::MAX => "+Inf".to_owned(),
///         bound => bound.as_secs_f64().to_string(),
///     };
///     let name = "trunkline_connection_wait_time_seconds_bucket";
///     let _ = writeln!(text, "{name}{{le=\"{le}\"}} {so_far}");
/// }
/// let sum = stats.wait.sum().as_secs_f64();
/// let _ = writeln!(text, "trunkline_connection_wait_time_seconds_sum {sum}");
/// let _ = writeln!(text, "trunkline_connection_wait_time_seconds_count {}", stats.wait.count());
/// # text
/// # }
/// # let text = export(&trunkline::Pool::new().stats());
/// # assert!(text.starts_with("trunkline_connection_wait_time_seconds_bucket{le=\"0\"} 0\n"));
/// # for le in ["0.0001", "500", "+Inf"] {
/// #     assert!(text.contains(&format!("{{le=\"{le}\"}} 0\n")));
/// # }
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Histogram {
    counts: [u64; BOUNDS.len()],
    sum: Duration,
    max: Duration,
}

/// The greatest duration that counts in each bucket.
const BOUNDS: [Duration; 23] = {
    let mut bounds = [Duration::MAX; 23];
    bounds[0] = Duration::ZERO;
    let (mut at, mut decade) = (1, 100);
    while at < bounds.len() - 1 {
        bounds[at] = Duration::from_micros(decade);
        bounds[at + 1] = Duration::from_micros(2 * decade);
        bounds[at + 2] = Duration::from_micros(5 * decade);
        (at, decade) = (at + 3, 10 * decade);
    }
    bounds
};

impl Histogram {
    /// Counts one more: histograms of one's own have the same buckets as the pool's.
    pub fn record(&mut self, duration: Duration) {
        // Every request that finds an idle connection comes by here: one increment is all it costs.
        if duration.is_zero() {
            self.counts[0] += 1;
            return;
        }
        self.counts[BOUNDS.partition_point(|&bound| bound < duration)] += 1;
        self.sum = self.sum.saturating_add(duration);
        self.max = self.max.max(duration);
    }

    /// The number of durations.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together: divided by [`count`](Self::count), their mean.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// The longest; zero, if there are none.
    pub fn max(&self) -> Duration {
        self.max
    }

    /// Each bucket's bound and how many are in it alone, the shortest first, empty ones included.
    /// The last bound is [`Duration::MAX`].
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        BOUNDS.into_iter().zip(self.counts)
    }

    /// An upper bound for this share of them: at least so many, from 0 to 1, took no longer.
    /// `quantile(0.5)` is at or above the median, `quantile(1.0)` is [`max`](Self::max). None,
    /// if there are none, or if the share is not a number.
    ///
    /// It is the bound of the bucket that the true value is in, or `max` if that is less: at most
    /// two and a half times the true value, from 100 µs on.
    ///
    /// ```
    /// # fn report(stats: &trunkline::PoolStats) {
    /// if let Some(wait) = stats.wait.quantile(0.99) {
    ///     println!("of a hundred requests, ninety-nine have a connection within {wait:?}");
    /// }
    /// # }
    /// # report(&trunkline::Pool::new().stats());
    /// ```
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let count = self.count();
        if count == 0 || share.is_nan() {
            return None;
        }
        // The first of them is at least asked for, and the last at most. (A cast from `f64`
        // saturates.)
        let rank = ((share * count as f64).ceil() as u64).clamp(1, count);
        let mut so_far = 0;
        let reached = |&(_, here): &(Duration, u64)| {
            so_far += here;
            so_far >= rank
        };
        let (bound, _) = self.buckets().find(reached)?;
        Some(bound.min(self.max))
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sum, max, .. } = self;
        f.debug_struct("Histogram").field("count", &self.count()).field("sum", sum).field("max", max).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_nanos(1);

    fn of(micros: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::default();
        for micros in micros {
            histogram.record(Duration::from_micros(micros));
        }
        histogram
    }

    /// The buckets that have any, by their bounds.
    fn filled(histogram: &Histogram) -> Vec<(Duration, u64)> {
        histogram.buckets().filter(|&(_, count)| count > 0).collect()
    }

    #[test]
    fn bounds_go_1_2_5() {
        let bounds: Vec<_> = Histogram::default().buckets().map(|(bound, _)| bound).collect();
        let decades = [100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
        let between = decades.iter().flat_map(|micros| [1, 2, 5].map(|times| Duration::from_micros(times * micros)));
        let expected: Vec<_> = [Duration::ZERO].into_iter().chain(between).chain([Duration::MAX]).collect();
        assert_eq!(bounds, expected);
    }

    #[test]
    fn what_is_at_a_bound_counts_below_it_and_what_exceeds_it_above() {
        for (position, &bound) in BOUNDS.iter().enumerate() {
            let mut histogram = Histogram::default();
            histogram.record(bound);
            assert_eq!(filled(&histogram), [(bound, 1)]);
            assert_eq!((histogram.count(), histogram.sum(), histogram.max()), (1, bound, bound));
            if let Some(&next) = BOUNDS.get(position + 1) {
                histogram.record(bound + TICK);
                assert_eq!(filled(&histogram), [(bound, 1), (next, 1)]);
                assert_eq!((histogram.sum(), histogram.max()), (bound + bound + TICK, bound + TICK));
            }
        }
    }

    #[test]
    fn the_sum_ends_at_the_longest_duration_there_is() {
        let mut histogram = of([7]);
        histogram.record(Duration::MAX);
        assert_eq!((histogram.count(), histogram.sum(), histogram.max()), (2, Duration::MAX, Duration::MAX));
    }

    #[test]
    fn a_quantile_is_the_bound_of_its_bucket_or_the_longest() {
        // Ten in each of three buckets, the bounds of which are 100 µs, 1 ms and 10 ms.
        let thirty = of([60; 10].into_iter().chain([700; 10]).chain([6_000; 10]));
        for (share, micros) in [
            (f64::NEG_INFINITY, 100),
            (-1.0, 100),
            (0.0, 100),
            (1.0 / 3.0, 100),
            (0.34, 1_000),
            (0.5, 1_000),
            (2.0 / 3.0, 1_000),
            (0.67, 6_000),
            (1.0, 6_000),
            (2.0, 6_000),
            (f64::INFINITY, 6_000),
        ] {
            assert_eq!(thirty.quantile(share), Some(Duration::from_micros(micros)), "{share}");
        }
        assert_eq!(thirty.quantile(f64::NAN), None);
        assert_eq!(of([]).quantile(0.5), None);
        assert_eq!(of([0]).quantile(0.5), Some(Duration::ZERO));
        let longest = Duration::from_secs(1000);
        let mut long = Histogram::default();
        long.record(longest);
        assert_eq!(long.quantile(0.0), Some(longest), "the last bucket has no bound of its own");
    }

    #[test]
    fn it_shows_its_count_sum_and_longest() {
        assert_eq!(format!("{:?}", of([1, 2])), "Histogram { count: 2, sum: 3µs, max: 2µs }");
    }
}
