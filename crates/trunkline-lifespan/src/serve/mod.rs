//! Serving: listen, accept, and, when it is time, drain under a deadline.

mod connection;
mod count;
mod places;
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

use self::connection::Shared;
use self::count::Total;
use self::places::Places;
pub use self::places::{Connections, Listeners};
use self::tasks::Tasks;
use crate::ending::{Step, StepKind};
use crate::error::{Error, Phase, Result};
use crate::settings::Lifespan;
use crate::stack::lock;
use crate::stop::{Cause, Course, Readiness, Stop, Stopper};

/// How long tasks that were aborted may take to be gone. Longer takes only one that blocks its
/// thread.
const ABORTED: Duration = Duration::from_secs(1);

/// What servers that are drained last have at least, also if the others have used up the time: idle
/// connections are not aborted requests.
const LAST: Duration = Duration::from_millis(100);

/// How many connections are taken out of a listener's queue before it closes: more than a queue
/// holds.
const QUEUE: usize = 65_536;

/// The servers of an application.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    running: Mutex<Vec<Arc<Server>>>,
    /// The connections of all, for whoever wants to know.
    pub(crate) listeners: Listeners,
    /// Since when they are drained. Who takes that up again has no more time than the first.
    draining: OnceLock<Instant>,
    /// Requests; held by whoever drains.
    aborted: tokio::sync::Mutex<usize>,
    steps: Mutex<Vec<Step>>,
}

impl Servers {
    /// Serves from now on.
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
        let places = self.listeners.add(address, settings.connections);
        let server = Server::start(listener, address, stage, places, router, stopping);
        lock(&self.running).push(Arc::new(server));
        tracing::info!(target: "trunkline::lifespan", %address, "listening on http://{address}");
        Ok(address)
    }

    /// Drains them all, each once. How many requests had to be aborted so far.
    pub(crate) async fn drain(&self, course: &Course, settings: &Lifespan) -> usize {
        let mut aborted = self.aborted.lock().await;
        course.end(Cause::Returned);
        // Each stays where it is until it is done, for whoever drains if this is dropped.
        let servers = lock(&self.running).clone();
        let pause = settings.pause.saturating_sub(course.elapsed());
        if !servers.is_empty() && course.was_up() && !pause.is_zero() {
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

    /// How many requests had to be aborted. It has been asked to drain.
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

/// When a server is drained.
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
    total: Total,
}

impl Server {
    fn start(
        listener: TcpListener,
        address: SocketAddr,
        stage: Stage,
        places: Arc<Places>,
        router: Router,
        stopping: Stop,
    ) -> Self {
        let (draining, tasks, total) = (Stopper::new(), Tasks::default(), Total::default());
        let shared = Shared { router, tasks: tasks.clone(), total: total.clone(), stopping, draining: draining.stop() };
        tasks.spawn(accept(listener, shared, places));
        Self { address, stage, draining, tasks, total }
    }

    /// Waits for what is under way, and aborts what takes longer. How many requests that were.
    async fn finish(&self, limit: Duration) -> usize {
        if timeout(limit, self.tasks.finished()).await.is_ok() {
            return 0;
        }
        let aborted = self.total.get();
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

async fn accept(mut listener: TcpListener, shared: Shared, places: Arc<Places>) {
    let mut next = async || {
        places.one_is_free().await;
        // axum's `accept` does not fail: it waits if there are no descriptors left.
        Listener::accept(&mut listener).await
    };
    while let Some((stream, peer)) = shared.draining.or(next()).await {
        shared.take_in(stream, peer, places.take());
    }
    // Those in the queue have a connection, and may have sent a request: closing the listener would
    // reset them.
    let Ok(listener) = listener.into_std() else { return };
    for _ in 0..QUEUE {
        let Ok((stream, peer)) = listener.accept() else { return };
        if stream.set_nonblocking(true).is_ok()
            && let Ok(stream) = TcpStream::from_std(stream)
        {
            shared.take_in(stream, peer, places.take());
        }
    }
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
