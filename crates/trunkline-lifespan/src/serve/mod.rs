//! Servers of an application: listen, accept, and drain under a deadline.

mod connection;
mod connection_limit;
mod in_flight;
mod tasks;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use self::connection::ConnectionContext;
use self::connection_limit::ConnectionLimit;
pub use self::connection_limit::{ListenerStats, Listeners};
use self::in_flight::InFlight;
use self::tasks::Tasks;
use crate::error::{Error, Phase, Result};
use crate::report::{Step, StepKind};
use crate::settings::Lifespan;
use crate::stack::lock;
use crate::stop::{Cause, Lifecycle, Readiness, Stop, Stopper};

/// The time that aborted tasks have to end. Only a task that blocks its thread takes longer.
const ABORTED: Duration = Duration::from_secs(1);

/// The least time that servers of the last stage have to drain, so that their idle connections do
/// not count as aborted requests.
const LAST: Duration = Duration::from_millis(100);

/// The number of connections accepted from a listener's queue before it closes: more than a queue
/// holds.
const QUEUE: usize = 65_536;

/// The servers of an application.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    running: Mutex<Vec<Arc<Server>>>,
    /// The connections of all servers, for metrics.
    pub(crate) listeners: Listeners,
    /// When the drain began. A drain that is taken up again has the same deadline.
    draining: OnceLock<Instant>,
    /// Aborted requests. The lock is held while draining.
    aborted: tokio::sync::Mutex<usize>,
    steps: Mutex<Vec<Step>>,
}

impl Servers {
    /// Begins to serve. The caller announces the address.
    pub(crate) fn begin(
        &self,
        listener: TcpListener,
        router: Router,
        stage: Stage,
        settings: &Lifespan,
        stopping: Stop,
    ) -> Result<SocketAddr> {
        let address = listener.local_addr();
        let address = address.map_err(|error| Error::new(Phase::Bind, "a listener", Duration::ZERO, error))?;
        let limit = self.listeners.add(address, settings.connections);
        let server = Server::start(listener, address, stage, limit, router, stopping);
        lock(&self.running).push(Arc::new(server));
        Ok(address)
    }

    /// Drains every server, each once. Returns the number of requests aborted so far.
    pub(crate) async fn drain(&self, lifecycle: &Lifecycle, settings: &Lifespan) -> usize {
        let mut aborted = self.aborted.lock().await;
        lifecycle.end(Cause::Returned);
        // A server stays in the list until it is drained, in case this future is dropped.
        let servers = lock(&self.running).clone();
        let pause = settings.pause.saturating_sub(lifecycle.elapsed());
        if !servers.is_empty() && lifecycle.was_up() && !pause.is_zero() {
            sleep(pause).await;
        }
        let begun = *self.draining.get_or_init(Instant::now);
        for stage in [Stage::First, Stage::Last] {
            let servers: Vec<_> = servers.iter().filter(|server| server.stage == stage).collect();
            for server in &servers {
                server.draining.request();
            }
            for server in servers {
                *aborted += self.drain_one(server, begun, settings.drain_within).await;
            }
        }
        *aborted
    }

    /// Waits for a server that was asked to drain. Returns the number of aborted requests.
    async fn drain_one(&self, server: &Arc<Server>, begun: Instant, within: Duration) -> usize {
        let left = within.saturating_sub(begun.elapsed());
        let left = if server.stage == Stage::Last { left.max(LAST) } else { left };
        let cut = server.finish(left).await;
        let step = Step::new(StepKind::Drained, &format!("http://{}", server.address), begun.elapsed(), cut > 0);
        lock(&self.steps).push(step);
        lock(&self.running).retain(|other| !Arc::ptr_eq(other, server));
        cut
    }

    pub(crate) fn take_steps(&self) -> Vec<Step> {
        std::mem::take(&mut *lock(&self.steps))
    }
}

/// The order in which servers are drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    First,
    Last,
}

#[derive(Debug)]
struct Server {
    address: SocketAddr,
    stage: Stage,
    draining: Stopper,
    tasks: Tasks,
    in_flight: InFlight,
}

impl Server {
    fn start(
        listener: TcpListener,
        address: SocketAddr,
        stage: Stage,
        limit: Arc<ConnectionLimit>,
        router: Router,
        stopping: Stop,
    ) -> Self {
        let (draining, tasks, in_flight) = (Stopper::new(), Tasks::default(), InFlight::default());
        let context = ConnectionContext {
            router,
            tasks: tasks.clone(),
            in_flight: in_flight.clone(),
            stopping,
            draining: draining.stop(),
        };
        tasks.spawn(accept(listener, context, limit));
        Self { address, stage, draining, tasks, in_flight }
    }

    /// Waits for the requests in flight and aborts those beyond the limit. Returns their number.
    async fn finish(&self, limit: Duration) -> usize {
        if timeout(limit, self.tasks.finished()).await.is_ok() {
            return 0;
        }
        let aborted = self.in_flight.get();
        self.tasks.abort();
        let _ = timeout(ABORTED, self.tasks.finished()).await;
        aborted
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.abort();
    }
}

async fn accept(mut listener: TcpListener, context: ConnectionContext, limit: Arc<ConnectionLimit>) {
    let mut next = async || {
        limit.free().await;
        // axum's `accept` does not fail: without a free descriptor it waits.
        Listener::accept(&mut listener).await
    };
    while let Some((stream, peer)) = context.draining.or(next()).await {
        context.spawn(stream, peer, limit.take());
    }
    // Clients in the queue are connected and may have sent a request: closing the listener would
    // reset them.
    let Ok(listener) = listener.into_std() else { return };
    for _ in 0..QUEUE {
        let Ok((stream, peer)) = listener.accept() else { return };
        if stream.set_nonblocking(true).is_ok()
            && let Ok(stream) = TcpStream::from_std(stream)
        {
            context.spawn(stream, peer, limit.take());
        }
    }
}

/// Announces the address of a server.
pub(crate) fn announce(address: SocketAddr) {
    tracing::info!(target: "trunkline::lifespan", %address, "listening on http://{address}");
}

/// 200, or 503 if the application is not ready.
impl IntoResponse for Readiness {
    fn into_response(self) -> Response {
        match self.is_ready() {
            true => (StatusCode::OK, "ready\n").into_response(),
            false => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response(),
        }
    }
}
