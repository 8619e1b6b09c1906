//! The lifecycle of an application: starting, up, stopping; and the handles that ask for the end.

use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// A request to stop, which background work and streams wait for. Clones share it.
#[derive(Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// True once the stop is requested.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the stop is requested.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost; call it again.
    pub async fn requested(&self) {
        // Without a sender there is nothing to work for either.
        let _ = self.0.clone().wait_for(|&stop| stop).await;
    }

    /// Runs the work until it is done or the stop is requested. None if the stop came first; the work
    /// does not begin if it came before.
    ///
    /// ```
    /// # use tokio::sync::mpsc::Receiver;
    /// async fn worker(mut jobs: Receiver<String>, stop: trunkline_lifespan::Stop) {
    ///     while let Some(Some(job)) = stop.or(jobs.recv()).await {
    ///         println!("{job}"); // a job that has begun is finished
    ///     }
    /// }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// That of `work`, which is dropped when the stop is requested.
    pub async fn or<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        tokio::select! {
            biased;
            () = self.requested() => None,
            done = &mut work => Some(done),
        }
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stop").field("is_requested", &self.is_requested()).finish()
    }
}

/// The sender of a [`Stop`].
#[derive(Debug)]
pub(crate) struct Stopper(watch::Sender<bool>);

impl Stopper {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    pub(crate) fn stop(&self) -> Stop {
        Stop(self.0.subscribe())
    }

    /// Requests the stop. True for the first request.
    pub(crate) fn request(&self) -> bool {
        !self.0.send_replace(true)
    }
}

/// The cause of an application's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The application's function returned.
    Returned,
    /// [`Shutdown::begin`].
    Requested,
    Signal(u8),
    /// Background work failed.
    Failure,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned => f.write_str("returned"),
            Self::Requested => f.write_str("asked"),
            Self::Signal(2) => f.write_str("SIGINT"),
            Self::Signal(15) => f.write_str("SIGTERM"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Failure => f.write_str("failure"),
        }
    }
}

/// The state of an application: starting, up or stopping.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    up: watch::Sender<bool>,
    stopper: Stopper,
    /// The cause of the end, and when it began.
    ended: OnceLock<(Cause, Instant)>,
    /// The number of futures of the application's function that waited for the stop when it came.
    waiting: AtomicUsize,
}

impl Lifecycle {
    pub(crate) fn new() -> Arc<Self> {
        let (up, waiting) = (watch::Sender::new(false), AtomicUsize::new(0));
        Arc::new(Self { up, stopper: Stopper::new(), ended: OnceLock::new(), waiting })
    }

    /// Begins the end. The first cause counts.
    pub(crate) fn end(&self, cause: Cause) {
        if self.ended.set((cause, Instant::now())).is_ok() && self.stopper.request() {
            tracing::info!(target: "trunkline::lifespan", %cause, "stopping");
        }
    }

    pub(crate) fn cause(&self) -> Option<Cause> {
        self.ended.get().map(|&(cause, _)| cause)
    }

    /// The time since the end began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.ended.get().map_or(Duration::ZERO, |(_, since)| since.elapsed())
    }

    pub(crate) fn stop(&self) -> Stop {
        self.stopper.stop()
    }

    /// True if the application was up before it was asked to stop.
    pub(crate) fn was_up(&self) -> bool {
        *self.up.borrow()
    }

    /// Marks the application as up, unless it was asked to stop before.
    pub(crate) fn mark_up(&self) {
        if self.cause().is_none() {
            self.up.send_replace(true);
        }
    }

    /// Marks the application as up and waits until it is asked to stop.
    pub(crate) async fn wait_for_stop(&self) {
        let _waiting = WaitGuard::new(self);
        self.mark_up();
        self.stop().requested().await;
    }

    /// True if the application's function waits for the stop, or waited when the stop came: then the
    /// function acts on it.
    pub(crate) fn is_waited_for(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }
}

/// Counts a future that waits for the stop.
struct WaitGuard<'a>(&'a Lifecycle);

impl<'a> WaitGuard<'a> {
    fn new(lifecycle: &'a Lifecycle) -> Self {
        lifecycle.waiting.fetch_add(1, Ordering::AcqRel);
        Self(lifecycle)
    }
}

impl Drop for WaitGuard<'_> {
    fn drop(&mut self) {
        // Dropped before the stop: nothing is left to act on it.
        if self.0.cause().is_none() {
            self.0.waiting.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// The readiness of the application for requests: the answer to `/readyz`. Clones share it.
///
/// It turns true when the application serves, or [waits for its stop](crate::App::until_stopped),
/// before the address is announced. It turns false when the application is asked to stop, before
/// anything else happens. With the feature `serve` a handler can return it:
///
/// ```
/// # #[cfg(feature = "serve")]
/// fn health(app: &trunkline_lifespan::App) -> axum::Router {
///     let readiness = app.readiness();
///     axum::Router::new().route("/readyz", axum::routing::get(|| async { readiness }))
/// }
/// ```
#[derive(Clone)]
pub struct Readiness(pub(crate) Arc<Lifecycle>);

impl Readiness {
    /// True from serving until the application is asked to stop.
    pub fn is_ready(&self) -> bool {
        self.0.was_up() && self.0.cause().is_none()
    }

    /// Waits until the application is ready. Never returns if it is asked to stop before.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost; call it again.
    pub async fn ready(&self) {
        let mut up = self.0.up.subscribe();
        if up.wait_for(|&up| up).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness").field("is_ready", &self.is_ready()).finish()
    }
}

/// A handle that asks the application to stop, as a signal does. Clones share it.
#[derive(Clone)]
pub struct Shutdown(pub(crate) Arc<Lifecycle>);

impl Shutdown {
    /// Begins the end and returns at once. Later calls change nothing.
    pub fn begin(&self) {
        self.0.end(Cause::Requested);
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown").finish_non_exhaustive()
    }
}
