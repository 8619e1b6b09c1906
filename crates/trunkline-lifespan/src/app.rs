//! Handle of a running application: opens resources, begins background work, serves.

use std::fmt;
#[cfg(feature = "serve")]
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "serve")]
use axum::Router;
#[cfg(feature = "serve")]
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::time::Instant;

use crate::background::{Background, BackgroundTasks, TaskOutput};
use crate::error::{Error, Phase, Result, catch_panic, with_limit};
use crate::resource::Resource;
#[cfg(feature = "serve")]
use crate::serve::{Listeners, Servers, Stage, announce};
use crate::settings::Lifespan;
use crate::stack::Stack;
use crate::stop::{Lifecycle, Readiness, Shutdown, Stop, Stopper};

/// A running application: the argument of its function. It opens resources, begins background work
/// and serves.
pub struct App {
    pub(crate) settings: Lifespan,
    pub(crate) lifecycle: Arc<Lifecycle>,
    // Fields drop in this order if the application is dropped while it runs: servers, background
    // work, resources.
    #[cfg(feature = "serve")]
    pub(crate) servers: Servers,
    pub(crate) background: BackgroundTasks,
    pub(crate) stack: Stack,
}

impl App {
    pub(crate) fn new(settings: Lifespan) -> Self {
        Self {
            settings,
            lifecycle: Lifecycle::new(),
            #[cfg(feature = "serve")]
            servers: Servers::default(),
            background: BackgroundTasks::default(),
            stack: Stack::default(),
        }
    }

    /// Opens a resource: acquires and checks it when this is awaited, and releases it at the end,
    /// before the resources that were opened earlier. Returns its handle.
    ///
    /// # Errors
    ///
    /// The resource cannot be acquired, or its check fails (it is released by then), or either panics
    /// or exceeds its limit.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it acquires, the resource cleans up after itself. Dropped later, it is released
    /// at the end.
    pub fn open<R: Resource>(&self, name: impl Into<String>, resource: R) -> Opening<'_, R> {
        let release_within = self.settings.release_within;
        Opening { app: self, name: name.into(), resource, open_within: Duration::MAX, release_within }
    }

    /// Begins work in a task of its own. After the last request has ended, the [`Stop`] of the work is
    /// requested and the work is awaited, the last begun first. It may end earlier.
    ///
    /// If the work fails or panics, the application ends as by a signal, and the error of the work
    /// comes first in the [`Report`](crate::Report).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # fn example(app: &trunkline_lifespan::App) {
    /// app.background("heartbeat", async |stop| {
    ///     while stop.or(tokio::time::sleep(Duration::from_secs(10))).await.is_some() {
    ///         println!("still here");
    ///     }
    /// });
    /// # }
    /// ```
    pub fn background<F, W>(&self, name: impl Into<String>, work: F) -> Background<'_>
    where
        F: FnOnce(Stop) -> W,
        W: Future<Output: TaskOutput> + Send + 'static,
    {
        let stopper = Stopper::new();
        let work = work(stopper.stop());
        let position = self.background.begin(&self.lifecycle, name.into(), self.settings.stop_within, work, stopper);
        Background { tasks: &self.background, position }
    }

    /// Marks the application as ready and waits until it is asked to stop: by a signal, by the failure
    /// of background work or by [`Shutdown::begin`]. For an application without a server.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost; call it again.
    pub async fn until_stopped(&self) {
        self.lifecycle.wait_for_stop().await;
    }

    /// The stop of the application, requested before requests are drained: for streams and sockets
    /// that would never end.
    pub fn stopping(&self) -> Stop {
        self.lifecycle.stop()
    }

    /// The readiness of the application for requests, for `/readyz`.
    pub fn readiness(&self) -> Readiness {
        Readiness(self.lifecycle.clone())
    }

    /// A handle that asks the application to stop from inside.
    pub fn shutdown(&self) -> Shutdown {
        Shutdown(self.lifecycle.clone())
    }
}

#[cfg(feature = "serve")]
impl App {
    /// Binds a listener. Clients that connect wait until it serves.
    ///
    /// # Errors
    ///
    /// The address cannot be listened on; the error names it.
    pub async fn bind(&self, address: impl ToSocketAddrs + fmt::Display) -> Result<TcpListener> {
        let (begun, name) = (Instant::now(), address.to_string());
        let bound = TcpListener::bind(address).await;
        bound.map_err(|error| Error::new(Phase::Bind, name, begun.elapsed(), error))
    }

    /// Serves until the application is asked to stop, and returns when the last request has ended on
    /// all listeners, those of [`serve_beside`](Self::serve_beside) and
    /// [`serve_throughout`](Self::serve_throughout) included. It speaks HTTP/1.1 and HTTP/2 (without
    /// TLS, with prior knowledge). The application is ready before the address is announced.
    ///
    /// Asked to stop, it
    ///
    /// 1. is no longer [ready](Self::readiness), and sends `connection: close` in each response over
    ///    HTTP/1;
    /// 2. continues for the [pause](crate::Lifespan::pause);
    /// 3. accepts the connections in the kernel's queue, also beyond the
    ///    [limit](crate::Lifespan::connections), and closes the listener: new connections are refused;
    /// 4. closes idle connections and announces the end on the others (HTTP/2: GOAWAY);
    /// 5. waits for the requests in flight, up to
    ///    [`Lifespan::drain_within`](crate::Lifespan::drain_within), then aborts them.
    ///
    /// Requests whose heads have arrived are not cut off before that. A connection without a request
    /// is closed after 30 s, and so is one over HTTP/2 whose client does not answer a PING. A handler
    /// finds the client's address in `ConnectInfo<SocketAddr>`. An upgraded connection (a WebSocket)
    /// belongs to its handler, which should wait for [`stopping`](Self::stopping).
    ///
    /// # Errors
    ///
    /// The listener has no address to announce.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves the server running; the server is drained when the application ends.
    pub async fn serve(&self, listener: TcpListener, router: Router) -> Result<()> {
        let address = self.begin_serving(listener, router, Stage::First)?;
        self.lifecycle.mark_up();
        announce(address);
        self.until_stopped().await;
        self.servers.drain(&self.lifecycle, &self.settings).await;
        Ok(())
    }

    /// Begins to serve and returns the address; the server is drained together with that of
    /// [`serve`](Self::serve). For a console on an address of its own, which answers while the rest
    /// starts: the address is announced at once, ready or not.
    ///
    /// # Errors
    ///
    /// The listener has no address to announce.
    pub fn serve_beside(&self, listener: TcpListener, router: Router) -> Result<SocketAddr> {
        let address = self.begin_serving(listener, router, Stage::First)?;
        announce(address);
        Ok(address)
    }

    /// Like [`serve_beside`](Self::serve_beside), but serves until the other servers are drained, and
    /// is drained after them in the time they left. For metrics and a console, which are wanted most
    /// when the end is slow.
    ///
    /// # Errors
    ///
    /// The listener has no address to announce.
    pub fn serve_throughout(&self, listener: TcpListener, router: Router) -> Result<SocketAddr> {
        let address = self.begin_serving(listener, router, Stage::Last)?;
        announce(address);
        Ok(address)
    }

    /// The connections of each listener and their limit: for metrics.
    pub fn listeners(&self) -> Listeners {
        self.servers.listeners.clone()
    }

    fn begin_serving(&self, listener: TcpListener, router: Router, stage: Stage) -> Result<SocketAddr> {
        self.servers.begin(listener, router, stage, &self.settings, self.stopping())
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("settings", &self.settings)
            .field("lifecycle", &self.lifecycle)
            .finish_non_exhaustive()
    }
}

/// A resource to be opened. Await it, or set its limits first.
#[must_use = "a resource is opened when this is awaited"]
pub struct Opening<'a, R> {
    app: &'a App,
    name: String,
    resource: R,
    open_within: Duration,
    release_within: Duration,
}

impl<'a, R: Resource> Opening<'a, R> {
    /// The limit on acquiring and checking, together. By default there is none; a signal ends both.
    pub fn open_within(mut self, limit: Duration) -> Self {
        self.open_within = limit;
        self
    }

    /// The limit on releasing, after which the release is aborted and counts as failed. By default
    /// [`Lifespan::release_within`], ten seconds.
    pub fn release_within(mut self, limit: Duration) -> Self {
        self.release_within = limit;
        self
    }

    async fn open(self) -> Result<R::Handle> {
        let Self { app, name, mut resource, open_within, release_within } = self;
        let begun = Instant::now();
        let failed = |phase, failure| Error::new(phase, &name, begun.elapsed(), failure);
        let acquired = with_limit(open_within, catch_panic(async { resource.acquire().await })).await;
        let handle = acquired.map_err(|failure| failed(Phase::Acquire, failure))?;
        // From here on the resource is released, even if this future is dropped.
        let mut held = app.stack.hold(&name, release_within, resource, handle.clone());
        let checked = with_limit(open_within.saturating_sub(begun.elapsed()), held.check()).await;
        if let Err(failure) = checked {
            let error = failed(Phase::Check, failure);
            held.release().await;
            return Err(error);
        }
        tracing::info!(target: "trunkline::lifespan", name, elapsed = ?begun.elapsed(), "opened");
        Ok(handle)
    }
}

impl<'a, R: Resource> IntoFuture for Opening<'a, R> {
    type Output = Result<R::Handle>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<R::Handle>> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async { self.open().await.map_err(Error::log) })
    }
}

impl<R> fmt::Debug for Opening<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").field("name", &self.name).finish_non_exhaustive()
    }
}
