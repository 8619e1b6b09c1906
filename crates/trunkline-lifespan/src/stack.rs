//! What has been acquired, in order. The last is released first, each in a task of its own and
//! within its own time.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::ending::{Step, StepKind};
use crate::error::{BoxError, Error, Fault, Phase, caught};
use crate::resource::Resource;

/// How long a task that was aborted may take to be gone. Longer takes only one that blocks its
/// thread.
const ABORTED: Duration = Duration::from_millis(100);

/// A release, not begun.
type Release = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>> + Send>;

#[derive(Debug, Default)]
pub(crate) struct Stack {
    entries: Mutex<Vec<Entry>>,
    released: Mutex<Vec<Released>>,
}

/// What became of a release.
#[derive(Debug)]
pub(crate) struct Released {
    pub(crate) step: Step,
    pub(crate) error: Option<Error>,
}

struct Entry {
    name: String,
    limit: Duration,
    state: State,
}

enum State {
    Held(Release),
    Releasing { begun: Instant, task: JoinHandle<Result<(), Fault>> },
    Released,
}

impl Stack {
    /// Puts on the stack what is in `held`, on its drop at the latest.
    pub(crate) fn hold<R: Resource>(&self, name: &str, limit: Duration, resource: R, handle: R::Handle) -> Held<'_, R> {
        Held { stack: self, name: name.to_owned(), limit, what: Some((resource, handle)) }
    }

    /// Releases everything, the last first. What was released before is part of the answer.
    ///
    /// # Cancel safety
    ///
    /// What is being released stays on the stack.
    pub(crate) async fn release_all(&self) -> Vec<Released> {
        loop {
            let Some(entry) = lock(&self.entries).pop() else {
                return mem::take(&mut *lock(&self.released));
            };
            self.release(entry).await;
        }
    }

    async fn release(&self, entry: Entry) {
        let mut out = Out { stack: self, entry: Some(entry) };
        if let Some(entry) = &mut out.entry {
            let released = entry.release().await;
            lock(&self.released).push(released);
        }
        out.entry = None;
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        for entry in lock(&self.entries).iter().rev() {
            tracing::error!(target: "trunkline::lifespan", name = entry.name, "dropped, not released");
        }
    }
}

/// An entry off the stack, and back on it if whoever took it is dropped.
struct Out<'a> {
    stack: &'a Stack,
    entry: Option<Entry>,
}

impl Drop for Out<'_> {
    fn drop(&mut self) {
        lock(&self.stack.entries).extend(self.entry.take());
    }
}

/// A resource that was acquired and is being checked.
pub(crate) struct Held<'a, R: Resource> {
    stack: &'a Stack,
    name: String,
    limit: Duration,
    what: Option<(R, R::Handle)>,
}

impl<R: Resource> Held<'_, R> {
    pub(crate) async fn check(&mut self) -> Result<(), Fault> {
        match &mut self.what {
            Some((resource, handle)) => caught(async { resource.check(handle).await }).await,
            None => Ok(()),
        }
    }

    /// Releases it at once.
    pub(crate) async fn release(mut self) {
        if let Some(entry) = self.entry() {
            self.stack.release(entry).await;
        }
    }

    fn entry(&mut self) -> Option<Entry> {
        let (resource, handle) = self.what.take()?;
        let release: Release = Box::new(|| Box::pin(async move { resource.release(handle).await.map_err(Into::into) }));
        Some(Entry { name: mem::take(&mut self.name), limit: self.limit, state: State::Held(release) })
    }
}

impl<R: Resource> Drop for Held<'_, R> {
    fn drop(&mut self) {
        let entry = self.entry();
        lock(&self.stack.entries).extend(entry);
    }
}

impl Entry {
    /// Begins, or goes on, and ends within the limit.
    async fn release(&mut self) -> Released {
        if let State::Held(_) = self.state
            && let State::Held(release) = mem::replace(&mut self.state, State::Released)
        {
            let task = tokio::spawn(caught(async move { release().await }));
            self.state = State::Releasing { begun: Instant::now(), task };
        }
        let (fault, elapsed) = match &mut self.state {
            State::Releasing { begun, task } => (finish(task, *begun, self.limit).await.err(), begun.elapsed()),
            State::Held(_) | State::Released => (None, Duration::ZERO),
        };
        let error = fault.map(|fault| Error::new(Phase::Release, &self.name, elapsed, fault).log());
        Released { step: Step::new(StepKind::Released, &self.name, elapsed, error.is_some()), error }
    }
}

/// Waits for a task until its time is up, then aborts it.
pub(crate) async fn finish(
    task: &mut JoinHandle<Result<(), Fault>>,
    begun: Instant,
    limit: Duration,
) -> Result<(), Fault> {
    // Without an end that a clock can show there is none.
    let deadline = begun.checked_add(limit);
    let ended = match deadline {
        Some(deadline) => timeout_at(deadline, &mut *task).await,
        None => Ok((&mut *task).await),
    };
    match ended {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => Err(Fault::Failed(error.into())),
        Err(_) => {
            task.abort();
            let _ = timeout(ABORTED, task).await;
            Err(Fault::Late(limit))
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("name", &self.name).field("limit", &self.limit).finish_non_exhaustive()
    }
}
