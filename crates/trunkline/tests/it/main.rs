//! Tests of the session against real and misbehaving servers. Sockets are counted outside of the
//! library, from the kernel's tables.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::large_futures, reason = "tests join several requests in one future")]

mod support;

mod aiohttp;
mod chaos;
mod closing;
mod cookie_file;
mod cookies;
mod decoding;
mod duplex;
mod errors;
mod examples;
mod exchange;
mod expect;
mod hazards;
mod httpbin;
mod idle;
mod limits;
mod memory;
mod multipart;
mod names;
mod policy;
mod redirect_locations;
mod redirect_origin;
mod redirect_secrets;
mod redirect_table;
mod redirects;
mod requests;
mod retiring;
mod runtimes;
mod saving;
mod stale;
mod stats;
mod text;
mod timeouts;
mod tls;
mod tower;
mod uploads;

use std::future::Future;
use std::time::{Duration, Instant};

/// Bounds a test that could hang.
async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(limit, future).await.expect("the time limit is exceeded")
}

/// Time limit of steps that end at once on an idle machine.
const SOON: Duration = Duration::from_secs(10);

/// Time limit of each step of an example, which is a process of its own.
const EXAMPLE_LIMIT: Duration = Duration::from_secs(30);

/// Waits until the condition holds, for [`SOON`] at most.
async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < SOON, "not within {SOON:?}: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Lets a test capture the log events of its thread. `tracing` caches the interest in an event when
/// the first thread emits it; a global subscriber makes that interest permanent.
fn listen() {
    static LISTENER: std::sync::Once = std::sync::Once::new();
    LISTENER.call_once(|| tracing::subscriber::set_global_default(tracing_subscriber::registry()).unwrap());
}

/// The number of rounds: `full` in a soak run, `plain` otherwise.
fn soak(full: usize, plain: usize) -> usize {
    if std::env::var_os("TRUNKLINE_SOAK").is_some() { full } else { plain }
}
