//! Serving: bind, announce, accept, and, when it is time, drain under a deadline.

mod connection;
mod count;
mod tasks;

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use self::connection::Shared;
use self::count::Total;
use self::tasks::Tasks;
use crate::ending::{Step, StepKind};
use crate::error::{Error, Phase, Result};
use crate::life::Life;
use crate::stack::lock;
use crate::stop::{Cause, Readiness, Stop, Stopper};

/// How long tasks that were aborted may take to be gone. Longer takes only one that blocks its thread.
const ABORTED: Duration = Duration::from_secs(1);

/// What servers that are drained last have at least, also if the others have used up the time: idle connections are not aborted requests.
const LAST: Duration = Duration::from_millis(100);

/// How many connections are taken out of a listener's queue before it closes: more than a queue holds.
const QUEUE: usize = 65_536;

impl Life {
    /// Binds a listener. Nobody is served yet; what connects, waits.
    ///
    /// # Errors
    ///
    /// If the address cannot be listened on; the error names it.
    pub async fn bind(&self, address: impl ToSocketAddrs + fmt::Display) -> Result<TcpListener> {
        let (begun, name) = (Instant::now(), address.to_string());
        let bound = TcpListener::bind(address).await;
        bound.map_err(|error| Error::new(Phase::Bind, name, begun.elapsed(), error))
    }

    /// Serves until the application is asked to stop, and returns when the last request has ended: on all listeners, those of
    /// [`serve_beside`](Self::serve_beside) and [`serve_throughout`](Self::serve_throughout) too. HTTP/1.1 and HTTP/2 (without TLS, with
    /// prior knowledge) are spoken.
    ///
    /// Asked to stop, it
    ///
    /// 1. is [not ready](Self::readiness) any more, and says so in each answer over HTTP/1 by `connection: close`;
    /// 2. goes on for the [pause](crate::Lifespan::pause);
    /// 3. takes what has connected out of the queue, also beyond the [limit](crate::Lifespan::connections), and closes the listener: new
    ///    connections are refused;
    /// 4. closes connections that are idle and tells the others that this is the end (HTTP/2: GOAWAY);
    /// 5. waits for the requests under way, up to the limit of [`Lifespan::drain_within`](crate::Lifespan::drain_within), then aborts them.
    ///
    /// Requests whose heads have arrived are never cut off before that. A connection that asks for nothing is closed after 30 s at any time, and so is one
    /// over HTTP/2 whose client does not answer a PING any more. A handler finds the client's address in `ConnectInfo<SocketAddr>`.
    /// A connection that was upgraded (a WebSocket) is its handler's: let that listen to [`stopping`](Self::stopping).
    ///
    /// # Errors
    ///
    /// If the listener has no address to announce.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves the server running, to be drained when the application comes down.
    pub async fn serve(&self, listener: TcpListener, router: Router) -> Result<()> {
        self.serve_beside(listener, router)?;
        self.until_stopped().await;
        self.drain().await;
        Ok(())
    }

    /// Serves from now on, beside what follows, and is drained together with it. For a console on an address of its own, that answers
    /// while the rest starts. Returns the address.
    ///
    /// # Errors
    ///
    /// If the listener has no address to announce.
    pub fn serve_beside(&self, listener: TcpListener, router: Router) -> Result<SocketAddr> {
        self.begin_serving(listener, router, Stage::First)
    }

    /// The same, but it goes on until the others are drained, and is drained after them, in what they have left of the time for it. For
    /// metrics and a console, which are wanted most when something is slow to end.
    ///
    /// # Errors
    ///
    /// If the listener has no address to announce.
    pub fn serve_throughout(&self, listener: TcpListener, router: Router) -> Result<SocketAddr> {
        self.begin_serving(listener, router, Stage::Last)
    }

    fn begin_serving(&self, listener: TcpListener, router: Router, stage: Stage) -> Result<SocketAddr> {
        let address = listener.local_addr();
        let address = address.map_err(|error| Error::new(Phase::Bind, "a listener", Duration::ZERO, error))?;
        let places = self.settings.connections.clamp(1, Semaphore::MAX_PERMITS);
        let server = Server::start(listener, address, stage, places, router, self.stopping());
        lock(&self.servers.running).push(Arc::new(server));
        tracing::info!(target: "trunkline::lifespan", %address, "listening on http://{address}");
        Ok(address)
    }

    /// Drains all servers, each once. How many requests had to be aborted so far.
    pub(crate) async fn drain(&self) -> usize {
        let mut aborted = self.servers.aborted.lock().await;
        self.course.end(Cause::Returned);
        // Each stays where it is until it is done, for whoever drains if this is dropped.
        let servers = lock(&self.servers.running).clone();
        let pause = self.settings.pause.saturating_sub(self.course.elapsed());
        if !servers.is_empty() && self.course.was_up() && !pause.is_zero() {
            sleep(pause).await;
        }
        let begun = *self.servers.draining.get_or_init(Instant::now);
        for stage in [Stage::First, Stage::Last] {
            let servers: Vec<_> = servers.iter().filter(|server| server.stage == stage).collect();
            for server in &servers {
                server.draining.request();
            }
            for server in servers {
                *aborted += self.drain_one(server, begun).await;
            }
        }
        *aborted
    }

    /// How many requests had to be aborted. It has been asked to drain.
    async fn drain_one(&self, server: &Arc<Server>, begun: Instant) -> usize {
        let left = self.settings.drain_within.saturating_sub(begun.elapsed());
        let left = if server.stage == Stage::Last { left.max(LAST) } else { left };
        let cut = server.finish(left).await;
        let step = Step::new(StepKind::Drained, &format!("http://{}", server.address), begun.elapsed(), cut > 0);
        lock(&self.servers.steps).push(step);
        lock(&self.servers.running).retain(|other| !Arc::ptr_eq(other, server));
        cut
    }
}

/// The servers of an application.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    running: Mutex<Vec<Arc<Server>>>,
    /// Since when they are drained. Who takes that up again has no more time than the first.
    draining: OnceLock<Instant>,
    /// Requests; held by whoever drains.
    aborted: tokio::sync::Mutex<usize>,
    steps: Mutex<Vec<Step>>,
}

impl Servers {
    pub(crate) fn take_steps(&self) -> Vec<Step> {
        std::mem::take(&mut *lock(&self.steps))
    }
}

/// When a server is drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
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
        places: usize,
        router: Router,
        stopping: Stop,
    ) -> Self {
        let (draining, tasks, total) = (Stopper::new(), Tasks::default(), Total::default());
        let shared = Shared { router, tasks: tasks.clone(), total: total.clone(), stopping, draining: draining.stop() };
        tasks.spawn(accept(listener, shared, Arc::new(Semaphore::new(places))));
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

async fn accept(mut listener: TcpListener, shared: Shared, places: Arc<Semaphore>) {
    let mut next = async || {
        // Never closed, so it is there once a connection has ended.
        let place = places.clone().acquire_owned().await.ok();
        // axum's `accept` does not fail: it waits if there are no descriptors left.
        (Listener::accept(&mut listener).await, place)
    };
    while let Some(((stream, peer), place)) = shared.draining.or(next()).await {
        shared.take_in(stream, peer, place);
    }
    // Those in the queue have a connection, and may have sent a request: closing the listener would reset them.
    let Ok(listener) = listener.into_std() else { return };
    for _ in 0..QUEUE {
        let Ok((stream, peer)) = listener.accept() else { return };
        if stream.set_nonblocking(true).is_ok()
            && let Ok(stream) = TcpStream::from_std(stream)
        {
            shared.take_in(stream, peer, None);
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
