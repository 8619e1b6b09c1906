//! What an application's function is given: it opens, begins work and serves with it.

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

use crate::background::{Background, Outcome, Works};
use crate::error::{Error, Phase, Result, caught, within};
use crate::resource::Resource;
#[cfg(feature = "serve")]
use crate::serve::{Listeners, Servers, Stage};
use crate::settings::Lifespan;
use crate::stack::Stack;
use crate::stop::{Course, Readiness, Shutdown, Stop, Stopper};

/// The life of an application, from the first thing it opens to the end of the last.
pub struct Life {
    pub(crate) settings: Lifespan,
    pub(crate) course: Arc<Course>,
    // In the order in which a `Life` that is dropped half way gives them up: what serves, what works, what they stand
    // on.
    #[cfg(feature = "serve")]
    pub(crate) servers: Servers,
    pub(crate) works: Works,
    pub(crate) stack: Stack,
}

impl Life {
    pub(crate) fn new(settings: Lifespan) -> Self {
        Self {
            settings,
            course: Course::new(),
            #[cfg(feature = "serve")]
            servers: Servers::default(),
            works: Works::default(),
            stack: Stack::default(),
        }
    }

    /// Opens a resource: acquires and checks it when this is awaited, and releases it at the end,
    /// before all that was opened earlier. Returns its handle.
    ///
    /// # Errors
    ///
    /// If it cannot be acquired; if its check fails, by which time it is released; and if either
    /// panics or takes too long.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it acquires, the resource cleans up after itself; dropped later, it is
    /// released at the end.
    pub fn open<R: Resource>(&self, name: impl Into<String>, resource: R) -> Opening<'_, R> {
        let release_within = self.settings.release_within;
        Opening { life: self, name: name.into(), resource, open_within: Duration::MAX, release_within }
    }

    /// Begins work that runs beside the application, in a task of its own. After the last request
    /// has ended it is asked to stop, by what it is given, and waited for, the last begun
    /// first. It may end earlier if it has nothing more to do.
    ///
    /// If it fails or panics, the application is brought down in order, as if by a signal, and its
    /// error comes first in the [`Ending`](crate::Ending).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # fn example(life: &trunkline_lifespan::Life) {
    /// life.background("heartbeat", async |stop| {
    ///     while stop.or(tokio::time::sleep(Duration::from_secs(10))).await.is_some() {
    ///         println!("still here");
    ///     }
    /// });
    /// # }
    /// ```
    pub fn background<F, W>(&self, name: impl Into<String>, work: F) -> Background<'_>
    where
        F: FnOnce(Stop) -> W,
        W: Future<Output: Outcome> + Send + 'static,
    {
        let stopper = Stopper::new();
        let work = work(stopper.stop());
        let position = self.works.begin(&self.course, name.into(), self.settings.stop_within, work, stopper);
        Background { works: &self.works, position }
    }

    /// For an application that serves nobody: says that it is up, and waits until it is asked to
    /// stop, by a signal, by the failure of background work or by [`Shutdown::begin`].
    ///
    /// # Cancel safety
    ///
    /// Dropped, it loses nothing.
    pub async fn until_stopped(&self) {
        self.course.attend().await;
    }

    /// Tells as soon as the application is asked to stop, before requests are drained: for streams
    /// and sockets that would go on for ever.
    pub fn stopping(&self) -> Stop {
        self.course.stop()
    }

    /// Whether the application is ready for requests, for `/readyz`.
    pub fn readiness(&self) -> Readiness {
        Readiness(self.course.clone())
    }

    /// By which the application can be asked to stop from inside.
    pub fn shutdown(&self) -> Shutdown {
        Shutdown(self.course.clone())
    }
}

#[cfg(feature = "serve")]
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

    /// Serves until the application is asked to stop, and returns when the last request has ended:
    /// on all listeners, those of [`serve_beside`](Self::serve_beside) and
    /// [`serve_throughout`](Self::serve_throughout) too. HTTP/1.1 and HTTP/2 (without TLS, with
    /// prior knowledge) are spoken.
    ///
    /// Asked to stop, it
    ///
    /// 1. is [not ready](Self::readiness) any more, and says so in each answer over HTTP/1 by
    ///    `connection: close`;
    /// 2. goes on for the [pause](crate::Lifespan::pause);
    /// 3. takes what has connected out of the queue, also beyond the
    ///    [limit](crate::Lifespan::connections), and closes the listener: new connections are
    ///    refused;
    /// 4. closes connections that are idle and tells the others that this is the end (HTTP/2:
    ///    GOAWAY);
    /// 5. waits for the requests under way, up to the limit of
    ///    [`Lifespan::drain_within`](crate::Lifespan::drain_within), then aborts them.
    ///
    /// Requests whose heads have arrived are never cut off before that. A connection that asks for
    /// nothing is closed after 30 s at any time, and so is one over HTTP/2 whose client does
    /// not answer a PING any more. A handler finds the client's address in
    /// `ConnectInfo<SocketAddr>`. A connection that was upgraded (a WebSocket) is its
    /// handler's: let that listen to [`stopping`](Self::stopping).
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
        self.servers.drain(&self.course, &self.settings).await;
        Ok(())
    }

    /// Serves from now on, beside what follows, and is drained together with it. For a console on
    /// an address of its own, that answers while the rest starts. Returns the address.
    ///
    /// # Errors
    ///
    /// If the listener has no address to announce.
    pub fn serve_beside(&self, listener: TcpListener, router: Router) -> Result<SocketAddr> {
        self.begin_serving(listener, router, Stage::First)
    }

    /// The same, but it goes on until the others are drained, and is drained after them, in what
    /// they have left of the time for it. For metrics and a console, which are wanted most when
    /// something is slow to end.
    ///
    /// # Errors
    ///
    /// If the listener has no address to announce.
    pub fn serve_throughout(&self, listener: TcpListener, router: Router) -> Result<SocketAddr> {
        self.begin_serving(listener, router, Stage::Last)
    }

    /// The connections that clients have made to each listener, and the most there may be: for
    /// metrics.
    pub fn listeners(&self) -> Listeners {
        self.servers.listeners.clone()
    }

    fn begin_serving(&self, listener: TcpListener, router: Router, stage: Stage) -> Result<SocketAddr> {
        self.servers.begin(listener, router, stage, &self.settings, self.stopping())
    }
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Life").field("settings", &self.settings).field("course", &self.course).finish_non_exhaustive()
    }
}

/// A resource about to be opened. Await it, or set its limits first.
#[must_use = "a resource is opened when this is awaited"]
pub struct Opening<'a, R> {
    life: &'a Life,
    name: String,
    resource: R,
    open_within: Duration,
    release_within: Duration,
}

impl<'a, R: Resource> Opening<'a, R> {
    /// How long acquiring and checking may take, together. By default as long as they like: a
    /// signal ends it.
    pub fn open_within(mut self, limit: Duration) -> Self {
        self.open_within = limit;
        self
    }

    /// How long releasing may take; then it is aborted and counts as failed. By default
    /// [`Lifespan::release_within`], ten seconds.
    pub fn release_within(mut self, limit: Duration) -> Self {
        self.release_within = limit;
        self
    }

    async fn open(self) -> Result<R::Handle> {
        let Self { life, name, mut resource, open_within, release_within } = self;
        let begun = Instant::now();
        let failed = |phase, fault| Error::new(phase, &name, begun.elapsed(), fault);
        let acquired = within(open_within, caught(async { resource.acquire().await })).await;
        let handle = acquired.map_err(|fault| failed(Phase::Acquire, fault))?;
        // From here on it is released, whatever becomes of this future.
        let mut held = life.stack.hold(&name, release_within, resource, handle.clone());
        let checked = within(open_within.saturating_sub(begun.elapsed()), held.check()).await;
        if let Err(fault) = checked {
            let error = failed(Phase::Check, fault);
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
