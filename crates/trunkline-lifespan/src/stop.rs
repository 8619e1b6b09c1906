//! The way to the end: who asks for it, and who is told.

use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Tells when it is time to stop. A clone tells the same.
#[derive(Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Whether it is time.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is time.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it loses nothing; ask again.
    pub async fn requested(&self) {
        // Whoever would ask is gone: then it is time as well.
        let _ = self.0.clone().wait_for(|&stop| stop).await;
    }

    /// Does this, unless it is time before it is done. If it is time already, it is not begun.
    ///
    /// ```
    /// # use tokio::sync::mpsc::Receiver;
    /// async fn worker(mut jobs: Receiver<String>, stop: trunkline_lifespan::Stop) {
    ///     while let Some(Some(job)) = stop.or(jobs.recv()).await {
    ///         println!("{job}"); // what has begun is finished
    ///     }
    /// }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// That of `work`, which is dropped when it is time.
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

/// Asks for a [`Stop`].
#[derive(Debug)]
pub(crate) struct Stopper(watch::Sender<bool>);

impl Stopper {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    pub(crate) fn stop(&self) -> Stop {
        Stop(self.0.subscribe())
    }

    /// True for the first who asks.
    pub(crate) fn request(&self) -> bool {
        !self.0.send_replace(true)
    }
}

/// Why the application ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Its function returned.
    Returned,
    /// [`Shutdown::begin`].
    Asked,
    Signal(u8),
    /// Background work failed.
    Failure,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned => f.write_str("returned"),
            Self::Asked => f.write_str("asked"),
            Self::Signal(2) => f.write_str("SIGINT"),
            Self::Signal(15) => f.write_str("SIGTERM"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Failure => f.write_str("failure"),
        }
    }
}

/// Where the application is on its way: coming up, up, or on its way down.
#[derive(Debug)]
pub(crate) struct Course {
    up: AtomicBool,
    stopper: Stopper,
    /// Why it is on its way down, and since when.
    ended: OnceLock<(Cause, Instant)>,
    /// How many places of the application's function waited for the end when it came.
    attentive: AtomicUsize,
}

impl Course {
    pub(crate) fn new() -> Arc<Self> {
        let (up, attentive) = (AtomicBool::new(false), AtomicUsize::new(0));
        Arc::new(Self { up, stopper: Stopper::new(), ended: OnceLock::new(), attentive })
    }

    /// From here on it is on its way down. The first cause is the one that counts.
    pub(crate) fn end(&self, cause: Cause) {
        if self.ended.set((cause, Instant::now())).is_ok() && self.stopper.request() {
            tracing::info!(target: "trunkline::lifespan", %cause, "stopping");
        }
    }

    pub(crate) fn cause(&self) -> Option<Cause> {
        self.ended.get().map(|&(cause, _)| cause)
    }

    /// How long it has been on its way down.
    pub(crate) fn elapsed(&self) -> Duration {
        self.ended.get().map_or(Duration::ZERO, |(_, since)| since.elapsed())
    }

    pub(crate) fn stop(&self) -> Stop {
        self.stopper.stop()
    }

    /// It was up before it was asked to stop.
    pub(crate) fn was_up(&self) -> bool {
        self.up.load(Ordering::Acquire)
    }

    /// The application is up: waits until it is asked to stop.
    pub(crate) async fn attend(&self) {
        let _attending = Attending::new(self);
        let stop = self.stop();
        if !stop.is_requested() {
            self.up.store(true, Ordering::Release);
        }
        stop.requested().await;
    }

    /// The application's function waits for the end, or has waited when the end came: it is left to
    /// act on it.
    pub(crate) fn is_attended(&self) -> bool {
        self.attentive.load(Ordering::Acquire) > 0
    }
}

struct Attending<'a>(&'a Course);

impl<'a> Attending<'a> {
    fn new(course: &'a Course) -> Self {
        course.attentive.fetch_add(1, Ordering::AcqRel);
        Self(course)
    }
}

impl Drop for Attending<'_> {
    fn drop(&mut self) {
        // Given up before there was anything to act on.
        if self.0.cause().is_none() {
            self.0.attentive.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// Whether the application is ready for requests: what `/readyz` answers. A clone is a handle to
/// the same.
///
/// It turns true when the application serves, or [waits for its end](crate::Life::until_stopped),
/// and false, before anything else happens, when it is asked to stop. With the feature `serve` a
/// handler can return it:
///
/// ```
/// # #[cfg(feature = "serve")]
/// fn health(life: &trunkline_lifespan::Life) -> axum::Router {
///     let readiness = life.readiness();
///     axum::Router::new().route("/readyz", axum::routing::get(|| async { readiness }))
/// }
/// ```
#[derive(Clone)]
pub struct Readiness(pub(crate) Arc<Course>);

impl Readiness {
    /// True from serving until the application is asked to stop.
    pub fn is_ready(&self) -> bool {
        self.0.was_up() && self.0.cause().is_none()
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness").field("is_ready", &self.is_ready()).finish()
    }
}

/// Asks the application to stop, as a signal does. A clone is a handle to the same.
#[derive(Clone)]
pub struct Shutdown(pub(crate) Arc<Course>);

impl Shutdown {
    /// Begins the end, and returns at once. Asking again changes nothing.
    pub fn begin(&self) {
        self.0.end(Cause::Asked);
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown").finish_non_exhaustive()
    }
}
