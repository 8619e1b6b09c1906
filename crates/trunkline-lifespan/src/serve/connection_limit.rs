//! Limit on the connections of a listener. Reaching the limit is logged once, not per client.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::stack::lock;

/// The listeners of an application, for its metrics. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Listeners(Arc<Mutex<Vec<Arc<ConnectionLimit>>>>);

/// The connections of one listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenerStats {
    /// The address of the listener.
    pub address: SocketAddr,
    /// Open connections. An upgraded one (a WebSocket) belongs to its handler and does not count.
    pub open: usize,
    /// The limit on them: [`Lifespan::connections`](crate::Lifespan::connections).
    pub limit: usize,
    /// The number of times the limit was reached. It is reached again only after more than a tenth of
    /// the permits were free.
    pub times_full: u64,
}

impl Listeners {
    /// The connections of each listener, in the order in which they began to serve.
    pub fn stats(&self) -> Vec<ListenerStats> {
        lock(&self.0).iter().map(|limit| limit.stats()).collect()
    }

    /// A limit of zero counts as one.
    pub(super) fn add(&self, address: SocketAddr, limit: usize) -> Arc<ConnectionLimit> {
        let connections =
            Arc::new(ConnectionLimit { address, limit: limit.max(1), occupancy: watch::Sender::default() });
        lock(&self.0).push(connections.clone());
        connections
    }
}

/// The permits of a listener for connections.
#[derive(Debug)]
pub(super) struct ConnectionLimit {
    address: SocketAddr,
    limit: usize,
    occupancy: watch::Sender<Occupancy>,
}

#[derive(Debug, Default)]
struct Occupancy {
    open: usize,
    /// When the limit was reached. None once more than a tenth of the permits are free again.
    full: Option<Instant>,
    times_full: u64,
}

impl ConnectionLimit {
    /// Waits until a permit is free. Only the accepting task may wait; it then [takes](Self::take) it.
    pub(super) async fn free(&self) {
        let begins = self.occupancy.send_if_modified(|occupancy| {
            let begins = occupancy.open >= self.limit && occupancy.full.is_none();
            if begins {
                occupancy.full = Some(Instant::now());
                occupancy.times_full += 1;
            }
            begins
        });
        let Self { address, limit, .. } = self;
        if begins {
            tracing::warn!(target: "trunkline::lifespan", %address, limit, "connection limit reached: new clients wait until a connection ends");
        }
        // The sender is this object, so the wait does not fail.
        let _ = self.occupancy.subscribe().wait_for(|occupancy| occupancy.open < self.limit).await;
    }

    /// Takes a permit, also beyond the limit: the last clients in the queue are not refused.
    pub(super) fn take(self: &Arc<Self>) -> Permit {
        self.occupancy.send_modify(|occupancy| occupancy.open += 1);
        Permit(self.clone())
    }

    fn give_back(&self) {
        let mut full = None;
        self.occupancy.send_modify(|occupancy| {
            occupancy.open -= 1;
            // Connections that come and go at the limit do not count as reaching it again.
            if occupancy.open < self.limit - self.limit / 10 {
                full = occupancy.full.take();
            }
        });
        if let Some(since) = full {
            let Self { address, limit, .. } = self;
            tracing::info!(target: "trunkline::lifespan", %address, limit, lasted = ?since.elapsed(), "connections are accepted again");
        }
    }

    fn stats(&self) -> ListenerStats {
        let occupancy = self.occupancy.borrow();
        ListenerStats {
            address: self.address,
            open: occupancy.open,
            limit: self.limit,
            times_full: occupancy.times_full,
        }
    }
}

/// A permit for one connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Permit(Arc<ConnectionLimit>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn connections_that_come_and_go_at_the_limit_reach_it_once() {
        let listeners = Listeners::default();
        let limit = listeners.add(SocketAddr::from(([127, 0, 0, 1], 80)), 20);
        let is_free = || pin!(limit.free()).poll(&mut Context::from_waker(Waker::noop())).is_ready();
        let stats = || listeners.stats().iter().map(|stats| (stats.open, stats.times_full)).collect::<Vec<_>>();
        let mut inside: Vec<_> = (0..20).map(|_| limit.take()).collect();
        assert_eq!(stats(), [(20, 0)]);
        assert!(!is_free());
        for _ in 0..50 {
            inside.truncate(18);
            while is_free() {
                inside.push(limit.take());
            }
        }
        assert_eq!(stats(), [(20, 1)]);
        inside.truncate(17);
        inside.extend((0..3).map(|_| limit.take()));
        assert!(!is_free());
        assert_eq!(stats(), [(20, 2)]);
        drop(inside);
        assert_eq!(stats(), [(0, 2)]);
    }
}
