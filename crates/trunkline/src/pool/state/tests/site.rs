//! Keys and rules for tests.

use std::time::Duration;

use crate::pool::state::{PoolKey, Rules};

/// Test key: number of a host, and of one of its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::pool) struct Site(pub(in crate::pool) u8, pub(in crate::pool) u8);

pub(in crate::pool) const A: Site = Site(0, 0);
/// Another key of A's host.
pub(in crate::pool) const A2: Site = Site(0, 1);
pub(in crate::pool) const B: Site = Site(1, 0);
pub(in crate::pool) const C: Site = Site(2, 0);

impl PoolKey for Site {
    type Host = u8;

    fn host(&self) -> u8 {
        self.0
    }
}

pub(in crate::pool) const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

pub(in crate::pool) fn rules() -> Rules {
    Rules { limit: None, limit_per_host: None, idle_timeout: IDLE_TIMEOUT, max_lifetime: None, seed: 7 }
}

pub(in crate::pool) fn limited(limit: impl Into<Option<usize>>, per_host: impl Into<Option<usize>>) -> Rules {
    Rules { limit: limit.into(), limit_per_host: per_host.into(), ..rules() }
}

pub(in crate::pool) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
