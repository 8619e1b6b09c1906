//! What an application's function is given: it opens, begins work and serves with it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::background::{Background, Outcome, Works};
use crate::error::{Error, Phase, Result, caught, within};
use crate::resource::Resource;
use crate::run::Lifespan;
use crate::stack::Stack;
use crate::stop::{Course, Readiness, Shutdown, Stop, Stopper};

/// The life of an application, from the first thing it opens to the end of the last.
pub struct Life {
    pub(crate) settings: Lifespan,
    pub(crate) course: Arc<Course>,
    // In the order in which a `Life` that is dropped half way gives them up: what serves, what works, what they stand on.
    #[cfg(feature = "serve")]
    pub(crate) servers: crate::serve::Servers,
    pub(crate) works: Works,
    pub(crate) stack: Stack,
}

impl Life {
    pub(crate) fn new(settings: Lifespan) -> Self {
        Self {
            settings,
            course: Course::new(),
            #[cfg(feature = "serve")]
            servers: crate::serve::Servers::default(),
            works: Works::default(),
            stack: Stack::default(),
        }
    }

    /// Opens a resource: acquires and checks it when this is awaited, and releases it at the end, before all that was opened earlier.
    /// Returns its handle.
    ///
    /// # Errors
    ///
    /// If it cannot be acquired; if its check fails, by which time it is released; and if either panics or takes too long.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it acquires, the resource cleans up after itself; dropped later, it is released at the end.
    pub fn open<R: Resource>(&self, name: impl Into<String>, resource: R) -> Opening<'_, R> {
        let release_within = self.settings.release_within;
        Opening { life: self, name: name.into(), resource, open_within: Duration::MAX, release_within }
    }

    /// Begins work that runs beside the application, in a task of its own. After the last request has ended it is asked to stop, by
    /// what it is given, and waited for, the last begun first. It may end earlier if it has nothing more to do.
    ///
    /// If it fails or panics, the application is brought down in order, as if by a signal, and its error comes first in the [`Ending`](crate::Ending).
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

    /// For an application that serves nobody: says that it is up, and waits until it is asked to stop, by a signal, by the failure of
    /// background work or by [`Shutdown::begin`].
    ///
    /// # Cancel safety
    ///
    /// Dropped, it loses nothing.
    pub async fn until_stopped(&self) {
        self.course.attend().await;
    }

    /// Tells as soon as the application is asked to stop, before requests are drained: for streams and sockets that would go on for ever.
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
    /// How long acquiring and checking may take, together. By default as long as they like: a signal ends it.
    pub fn open_within(mut self, limit: Duration) -> Self {
        self.open_within = limit;
        self
    }

    /// How long releasing may take; then it is aborted and counts as failed. By default [`Lifespan::release_within`], ten seconds.
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
