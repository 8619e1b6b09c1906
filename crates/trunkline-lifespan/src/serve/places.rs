//! How many connections each listener has, and the most there may be. That there are no more places
//! is said once, not for each who waits.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::stack::lock;

/// The listeners of an application, for its metrics. A clone is a handle to the same.
#[derive(Clone, Debug, Default)]
pub struct Listeners(Arc<Mutex<Vec<Arc<Places>>>>);

/// The connections that clients have made to a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connections {
    /// What is listened on.
    pub address: SocketAddr,
    /// Those that are there now. One that was upgraded (a WebSocket) is its handler's and does not
    /// count.
    pub open: usize,
    /// The most there may be: [`Lifespan::connections`](crate::Lifespan::connections).
    pub limit: usize,
    /// How often the limit was reached. It counts anew when more than a tenth of the places have
    /// been free meanwhile.
    pub times_full: u64,
}

impl Listeners {
    /// The connections of each listener, in the order in which they began to serve.
    pub fn connections(&self) -> Vec<Connections> {
        lock(&self.0).iter().map(|places| places.figures()).collect()
    }

    /// A limit of zero counts as one.
    pub(super) fn add(&self, address: SocketAddr, limit: usize) -> Arc<Places> {
        let places = Arc::new(Places { address, limit: limit.max(1), taken: watch::Sender::default() });
        lock(&self.0).push(places.clone());
        places
    }
}

/// The places for connections that a listener has.
#[derive(Debug)]
pub(super) struct Places {
    address: SocketAddr,
    limit: usize,
    taken: watch::Sender<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    now: usize,
    /// Since when all are taken, or only few have become free.
    full: Option<Instant>,
    times_full: u64,
}

impl Places {
    /// Waits until there is one. Only one may wait, who then [takes](Self::take) it.
    pub(super) async fn one_is_free(&self) {
        let begins = self.taken.send_if_modified(|taken| {
            let begins = taken.now >= self.limit && taken.full.is_none();
            if begins {
                taken.full = Some(Instant::now());
                taken.times_full += 1;
            }
            begins
        });
        let Self { address, limit, .. } = self;
        if begins {
            tracing::warn!(target: "trunkline::lifespan", %address, limit, "all connections are taken: who comes waits until one ends");
        }
        // The sender is here, so this has no other end.
        let _ = self.taken.subscribe().wait_for(|taken| taken.now < self.limit).await;
    }

    /// Takes one; beyond the limit too, where nobody is to be left waiting.
    pub(super) fn take(self: &Arc<Self>) -> Place {
        self.taken.send_modify(|taken| taken.now += 1);
        Place(self.clone())
    }

    fn leave(&self) {
        let mut full = None;
        self.taken.send_modify(|taken| {
            taken.now -= 1;
            // Where connections come and go at the limit, it is one and the same time.
            if taken.now < self.limit - self.limit / 10 {
                full = taken.full.take();
            }
        });
        if let Some(since) = full {
            let Self { address, limit, .. } = self;
            tracing::info!(target: "trunkline::lifespan", %address, limit, lasted = ?since.elapsed(), "connections are accepted again");
        }
    }

    fn figures(&self) -> Connections {
        let taken = self.taken.borrow();
        Connections { address: self.address, open: taken.now, limit: self.limit, times_full: taken.times_full }
    }
}

/// A connection's place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<Places>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn the_limit_is_reached_once_while_connections_come_and_go_at_it() {
        let listeners = Listeners::default();
        let places = listeners.add(SocketAddr::from(([127, 0, 0, 1], 80)), 20);
        let is_free = || pin!(places.one_is_free()).poll(&mut Context::from_waker(Waker::noop())).is_ready();
        let figures = || listeners.connections().iter().map(|here| (here.open, here.times_full)).collect::<Vec<_>>();
        let mut inside: Vec<_> = (0..20).map(|_| places.take()).collect();
        assert_eq!(figures(), [(20, 0)]);
        assert!(!is_free());
        for _ in 0..50 {
            inside.truncate(18);
            while is_free() {
                inside.push(places.take());
            }
        }
        assert_eq!(figures(), [(20, 1)]);
        inside.truncate(17);
        inside.extend((0..3).map(|_| places.take()));
        assert!(!is_free());
        assert_eq!(figures(), [(20, 2)]);
        drop(inside);
        assert_eq!(figures(), [(0, 2)]);
    }
}
