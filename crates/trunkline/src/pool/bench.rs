//! The pool by itself, for `bench/`: the shell with its locks and the real key, over connections
//! that are nothing. Compiled with `--cfg trunkline_bench` only, and no part of the library's
//! interface.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::acquire::{Arrival, Queued, arrive};
use super::cell::{Cell, Dial, Member, Retired};
use super::key::{Key, Runtime};
use super::lease::Lease;
use super::shell::{Keeping, Shell};
use super::state::{ADOPTION, Rules, SlotId, State};
use super::sync::{Mutex, lock};
use crate::connection::Target;
use crate::error::Result;
use crate::timeouts;

/// A pool without sockets, and the hosts that it is asked for.
#[expect(missing_debug_implementations, reason = "seen by the bench alone")]
pub struct BarePool {
    shell: Arc<Shell<Key, Nothing>>,
    keys: Vec<Key>,
}

/// The answer to a request that asks for a connection.
#[expect(missing_debug_implementations, reason = "seen by the bench alone")]
pub enum Asked {
    /// One that was idle.
    Leased(Leased),
    /// A future that resolves to one: it waits, or dials.
    Waiting(Waiting),
}

/// A request without a connection. Its dial succeeds at once.
#[expect(missing_debug_implementations, reason = "seen by the bench alone")]
pub struct Waiting(Queued<Key, Nothing, fn(SlotId) -> Dial<Nothing>>);

/// A connection in use, until it is dropped.
#[expect(missing_debug_implementations, dead_code, reason = "seen by the bench alone; held for its drop")]
pub struct Leased(Lease<Key, Nothing>);

impl BarePool {
    /// Needs a tokio runtime, as a key has one in it.
    ///
    /// # Errors
    ///
    /// There is no runtime.
    pub fn new(hosts: usize, limit: Option<usize>, limit_per_host: Option<usize>) -> Result<Self> {
        let idle_timeout = Duration::from_secs(3600);
        let rules = Rules { limit, limit_per_host, idle_timeout, max_lifetime: None, seed: 1 };
        let watch = Watch { running: Mutex::new(Mutex::new(timeouts::now())) };
        let shell = Arc::new(Shell::new(State::new(rules), Box::new(watch)));
        let runtime = Runtime::current()?;
        let key = |number| {
            let target = Target { https: false, host: format!("host-{number}.example").into(), port: 80 };
            Key { target, runtime: runtime.clone() }
        };
        Ok(Self { shell, keys: (0..hosts).map(key).collect() })
    }

    /// Asks for a connection to this host, as a request does.
    ///
    /// # Errors
    ///
    /// A closed pool; this one never is.
    pub fn ask(&self, host: usize) -> Result<Asked> {
        let dial: fn(SlotId) -> Dial<Nothing> = dial;
        Ok(match arrive(&self.shell, &self.keys[host], (1, false, timeouts::now()), || dial)? {
            Arrival::Served(lease) => Asked::Leased(Leased(lease)),
            Arrival::Queued(queued) => Asked::Waiting(Waiting(queued)),
        })
    }
}

impl Future for Waiting {
    type Output = Result<Leased>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|lease| lease.map(Leased))
    }
}

struct Nothing;

fn dial(_: SlotId) -> Dial<Nothing> {
    Box::pin(async { Ok(Nothing) })
}

impl Member for Nothing {
    fn retire(&mut self) -> Retired {
        Retired::Keep { keep_alive: None }
    }

    fn traffic(&self) -> u64 {
        0
    }

    fn end(self) {}
}

/// A keeper that is always about to look. It is asked with every return, and answers at the real
/// one's price: two locks and a comparison.
struct Watch {
    running: Mutex<Mutex<Instant>>,
}

impl Keeping<Key, Nothing> for Watch {
    fn tend(&self, _: &Arc<Shell<Key, Nothing>>, _: &Arc<Cell<Key, Nothing>>) {}

    fn is_watching(&self, _: &Key, now: Instant) -> bool {
        let running = lock(&self.running);
        let next_look = lock(&running);
        *next_look <= now + ADOPTION
    }

    fn idle(&self, _: &Arc<Shell<Key, Nothing>>, _: &Arc<Cell<Key, Nothing>>, _: Instant) {}

    fn emptied(&self) {}
}
