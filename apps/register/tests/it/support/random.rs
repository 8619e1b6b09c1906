//! Reproducible random numbers.

use std::env;
use std::sync::atomic::{AtomicU64, Ordering};

/// `SplitMix64`. The seed is printed when a test fails; `TRUNKLINE_SEED=…` sets it.
pub(crate) struct Random {
    state: AtomicU64,
    seed: u64,
    what: &'static str,
}

impl Random {
    pub(crate) fn new(what: &'static str) -> Self {
        let seed = env::var("TRUNKLINE_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| getrandom::u64().unwrap());
        Self { state: AtomicU64::new(seed), seed, what }
    }

    pub(crate) fn below(&self, limit: u64) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    pub(crate) fn shuffle<T>(&self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            let other = self.below(at as u64 + 1);
            items.swap(at, usize::try_from(other).unwrap());
        }
    }
}

impl Drop for Random {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- {}: TRUNKLINE_SEED={}", self.what, self.seed);
        }
    }
}
