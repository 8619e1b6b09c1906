//! Integration tests: the SDK for S3 over a pool, against moto (which checks signatures) and
//! against scripted servers.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue must fail")]
#![allow(clippy::large_futures, reason = "the futures of the SDK are large")]

mod clients;
/// Servers of the tests: moto, a scripted server, and the kernel's list of sockets.
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

/// Bounds the time of a future that could hang.
async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(limit, future).await.expect("the future hangs")
}

const SOON: Duration = Duration::from_secs(30);

/// Waits until the condition holds.
async fn eventually(condition: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < SOON, "not within {SOON:?}: {condition}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
