//! The session against real servers and misbehaving ones; sockets are counted from outside, by the
//! kernel.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]
#![allow(clippy::large_futures, reason = "several requests joined in one test are")]

mod support;

mod aiohttp;
mod chaos;
mod closing;
mod cookie_file;
mod cookies;
mod decoding;
mod duplex;
mod errors;
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
    tokio::time::timeout(limit, future).await.expect("it hangs")
}

const SOON: Duration = Duration::from_secs(10);

/// Waits until it holds.
async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < SOON, "not within {SOON:?}: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Lets a test capture what is logged on its thread. `tracing` remembers whether anybody listens to
/// an event from the first thread that comes by: here somebody always does.
fn listen() {
    static LISTENER: std::sync::Once = std::sync::Once::new();
    LISTENER.call_once(|| tracing::subscriber::set_global_default(tracing_subscriber::registry()).unwrap());
}

/// A count that is reduced in a plain run.
fn soak(full: usize, plain: usize) -> usize {
    if std::env::var_os("TRUNKLINE_SOAK").is_some() { full } else { plain }
}
