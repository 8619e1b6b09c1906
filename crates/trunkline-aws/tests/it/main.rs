//! The SDK for S3 over a pool, against moto, which checks signatures, and against servers that
//! misbehave as told.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]
#![allow(clippy::large_futures, reason = "the SDK's are")]

mod clients;
/// moto, a server that misbehaves, and the kernel's list of sockets.
#[path = "../../../trunkline/tests/it/support/mod.rs"]
mod servers;

mod bodies;
mod closing;
mod credentials;
mod limits;
mod memory;
mod objects;
mod retries;
mod signatures;
mod timeouts;

use std::future::Future;
use std::time::{Duration, Instant};

/// Bounds a test that could hang.
async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(limit, future).await.expect("it hangs")
}

const SOON: Duration = Duration::from_secs(30);

/// Waits until it holds.
async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < SOON, "not within {SOON:?}: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
