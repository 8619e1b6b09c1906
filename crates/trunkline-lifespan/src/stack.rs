//! Stack of acquired resources. The last is released first, each in a task of its own and within
//! its limit.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::error::{BoxError, Error, Failure, Phase, catch_panic};
use crate::report::{Step, StepKind};
use crate::resource::Resource;

/// The time that an aborted task has to end. Only a task that blocks its thread takes longer.
const ABORTED: Duration = Duration::from_millis(100);

/// A release that has not begun.
type Release = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>> + Send>;

#[derive(Debug, Default)]
pub(crate) struct Stack {
    entries: Mutex<Vec<ResourceEntry>>,
    released: Mutex<Vec<Released>>,
}

/// The result of a release.
#[derive(Debug)]
pub(crate) struct Released {
    pub(crate) step: Step,
    pub(crate) error: Option<Error>,
}

struct ResourceEntry {
    name: String,
    limit: Duration,
    state: ReleaseState,
}

enum ReleaseState {
    Acquired(Release),
    Releasing { begun: Instant, task: JoinHandle<Result<(), Failure>> },
    Released,
}

impl Stack {
    /// Pushes a resource, on the drop of the returned guard at the latest.
    pub(crate) fn hold<R: Resource>(
        &self,
        name: &str,
        limit: Duration,
        resource: R,
        handle: R::Handle,
    ) -> AcquiredResource<'_, R> {
        AcquiredResource { stack: self, name: name.to_owned(), limit, resource: Some((resource, handle)) }
    }

    /// Releases every resource, the last first. The results of earlier releases are included.
    ///
    /// # Cancel safety
    ///
    /// The resource being released stays on the stack.
    pub(crate) async fn release_all(&self) -> Vec<Released> {
        loop {
            let Some(entry) = lock(&self.entries).pop() else {
                return mem::take(&mut *lock(&self.released));
            };
            self.release(entry).await;
        }
    }

    async fn release(&self, entry: ResourceEntry) {
        let mut taken = TakenEntry { stack: self, entry: Some(entry) };
        if let Some(entry) = &mut taken.entry {
            let released = entry.release().await;
            lock(&self.released).push(released);
        }
        taken.entry = None;
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        for entry in lock(&self.entries).iter().rev() {
            tracing::error!(target: "trunkline::lifespan", name = entry.name, "dropped, not released");
        }
    }
}

/// An entry that was taken off the stack. Its drop puts the entry back.
struct TakenEntry<'a> {
    stack: &'a Stack,
    entry: Option<ResourceEntry>,
}

impl Drop for TakenEntry<'_> {
    fn drop(&mut self) {
        lock(&self.stack.entries).extend(self.entry.take());
    }
}

/// A resource that was acquired and is being checked. Its drop pushes it on the stack.
pub(crate) struct AcquiredResource<'a, R: Resource> {
    stack: &'a Stack,
    name: String,
    limit: Duration,
    resource: Option<(R, R::Handle)>,
}

impl<R: Resource> AcquiredResource<'_, R> {
    pub(crate) async fn check(&mut self) -> Result<(), Failure> {
        match &mut self.resource {
            Some((resource, handle)) => catch_panic(async { resource.check(handle).await }).await,
            None => Ok(()),
        }
    }

    /// Releases the resource at once.
    pub(crate) async fn release(mut self) {
        if let Some(entry) = self.entry() {
            self.stack.release(entry).await;
        }
    }

    fn entry(&mut self) -> Option<ResourceEntry> {
        let (resource, handle) = self.resource.take()?;
        let release: Release = Box::new(|| Box::pin(async move { resource.release(handle).await.map_err(Into::into) }));
        Some(ResourceEntry {
            name: mem::take(&mut self.name),
            limit: self.limit,
            state: ReleaseState::Acquired(release),
        })
    }
}

impl<R: Resource> Drop for AcquiredResource<'_, R> {
    fn drop(&mut self) {
        let entry = self.entry();
        lock(&self.stack.entries).extend(entry);
    }
}

impl ResourceEntry {
    /// Begins or continues the release, within the limit.
    async fn release(&mut self) -> Released {
        if let ReleaseState::Acquired(_) = self.state
            && let ReleaseState::Acquired(release) = mem::replace(&mut self.state, ReleaseState::Released)
        {
            let task = tokio::spawn(catch_panic(async move { release().await }));
            self.state = ReleaseState::Releasing { begun: Instant::now(), task };
        }
        let (failure, elapsed) = match &mut self.state {
            ReleaseState::Releasing { begun, task } => (finish(task, *begun, self.limit).await.err(), begun.elapsed()),
            ReleaseState::Acquired(_) | ReleaseState::Released => (None, Duration::ZERO),
        };
        let error = failure.map(|failure| Error::new(Phase::Release, &self.name, elapsed, failure).log());
        Released { step: Step::new(StepKind::Released, &self.name, elapsed, error.is_some()), error }
    }
}

/// Waits for a task up to its limit, then aborts it.
pub(crate) async fn finish(
    task: &mut JoinHandle<Result<(), Failure>>,
    begun: Instant,
    limit: Duration,
) -> Result<(), Failure> {
    // None: the limit is beyond the clock's range.
    let deadline = begun.checked_add(limit);
    let ended = match deadline {
        Some(deadline) => timeout_at(deadline, &mut *task).await,
        None => Ok((&mut *task).await),
    };
    match ended {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => Err(Failure::Failed(error.into())),
        Err(_) => {
            task.abort();
            let _ = timeout(ABORTED, task).await;
            Err(Failure::Late(limit))
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for ResourceEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceEntry").field("name", &self.name).field("limit", &self.limit).finish_non_exhaustive()
    }
}
