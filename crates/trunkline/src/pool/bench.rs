//! Pool without sockets, for `bench/`: the shared state with its locks and the real key, over empty
//! connections. Compiled with `--cfg trunkline_bench` only, and no part of the public interface.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::acquire::{Queued, checkout};
use super::connection_slot::{AfterExchange, ConnectionSlot, Dial, Pooled};
use super::key::{Key, Runtime};
use super::lease::Lease;
use super::shared::{Maintainer, SharedState};
use super::state::{Checkout, Rules, SlotId, State, WATCH_DELAY};
use super::sync::{Mutex, lock};
use crate::connection::Target;
use crate::error::{Error, Result};
use crate::timeouts;

/// A pool without sockets, and keys of several hosts.
#[expect(missing_debug_implementations, reason = "seen by the bench alone")]
pub struct BarePool {
    shared: Arc<SharedState<Key, NoConnection>>,
    keys: Vec<Key>,
}

/// Result of a checkout.
#[expect(missing_debug_implementations, reason = "seen by the bench alone")]
pub enum BareCheckout {
    /// A connection that was idle.
    Leased(Leased),
    /// A future that resolves to a connection: it waits, or dials.
    Waiting(Waiting),
}

/// A request without a connection. Its dial succeeds at once.
#[expect(missing_debug_implementations, reason = "seen by the bench alone")]
pub struct Waiting(Queued<Key, NoConnection, fn(SlotId) -> Dial<NoConnection>>);

/// A connection in use, until it is dropped.
#[expect(missing_debug_implementations, dead_code, reason = "seen by the bench alone; held for its drop")]
pub struct Leased(Lease<Key, NoConnection>);

impl BarePool {
    /// Needs a tokio runtime, as a key has one in it.
    ///
    /// # Errors
    ///
    /// There is no runtime.
    pub fn new(hosts: usize, limit: Option<usize>, limit_per_host: Option<usize>) -> Result<Self> {
        let idle_timeout = Duration::from_secs(3600);
        let rules = Rules { limit, limit_per_host, idle_timeout, max_lifetime: None, seed: 1 };
        let maintainer = BareMaintainer { running: Mutex::new(Mutex::new(timeouts::now())) };
        let shared = Arc::new(SharedState::new(State::new(rules), Box::new(maintainer)));
        let runtime = Runtime::current()?;
        let key = |number| {
            let target = Target { https: false, host: format!("host-{number}.example").into(), port: 80 };
            Key { target, runtime: runtime.clone() }
        };
        Ok(Self { shared, keys: (0..hosts).map(key).collect() })
    }

    /// Checks a connection to this host out, as a request does.
    ///
    /// # Errors
    ///
    /// The pool is closed; this one never is.
    pub fn checkout(&self, host: usize) -> Result<BareCheckout> {
        let dial: fn(SlotId) -> Dial<NoConnection> = dial;
        match checkout(&self.shared, &self.keys[host], (1, false, timeouts::now()), || dial) {
            Checkout::Reuse(lease) => Ok(BareCheckout::Leased(Leased(lease))),
            Checkout::Queued(queued) => Ok(BareCheckout::Waiting(Waiting(queued))),
            Checkout::Closed => Err(Error::closed()),
        }
    }
}

impl Future for Waiting {
    type Output = Result<Leased>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|lease| lease.map(Leased))
    }
}

struct NoConnection;

fn dial(_: SlotId) -> Dial<NoConnection> {
    Box::pin(async { Ok(NoConnection) })
}

impl Pooled for NoConnection {
    fn after_exchange(&mut self) -> AfterExchange {
        AfterExchange::Keep { keep_alive: None }
    }

    fn traffic(&self) -> u64 {
        0
    }

    fn end(self) {}
}

/// Maintenance whose next run is always near. Each return asks it, at the cost of the real one: two
/// locks and a comparison.
struct BareMaintainer {
    running: Mutex<Mutex<Instant>>,
}

impl Maintainer<Key, NoConnection> for BareMaintainer {
    fn drive(&self, _: &Arc<SharedState<Key, NoConnection>>, _: &Arc<ConnectionSlot<Key, NoConnection>>) {}

    fn is_watching(&self, _: &Key, now: Instant) -> bool {
        let running = lock(&self.running);
        let next_run = lock(&running);
        *next_run <= now + WATCH_DELAY
    }

    fn watch(&self, _: &Arc<SharedState<Key, NoConnection>>, _: &Arc<ConnectionSlot<Key, NoConnection>>, _: Instant) {}

    fn emptied(&self) {}
}
