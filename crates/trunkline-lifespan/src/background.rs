//! Background work: stopped and awaited at the end; its failure ends the application.

use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::error::{BoxError, Error, Failure, Phase, catch_panic};
use crate::report::{Step, StepKind};
use crate::stack::{finish, lock};
use crate::stop::{Cause, Lifecycle, Stopper};

/// The output of background work: `()` or a `Result<(), E>`.
pub trait TaskOutput: Send + 'static {
    /// The output as a result.
    ///
    /// # Errors
    ///
    /// The error of the work.
    fn into_result(self) -> Result<(), Box<dyn StdError + Send + Sync>>;
}

impl TaskOutput for () {
    fn into_result(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<E: Into<BoxError> + Send + 'static> TaskOutput for Result<(), E> {
    fn into_result(self) -> Result<(), BoxError> {
        self.map_err(Into::into)
    }
}

/// The background work of an application, in the order of its beginning.
#[derive(Debug, Default)]
pub(crate) struct BackgroundTasks {
    begun: Mutex<Vec<BackgroundTask>>,
    /// Failures, in the order of their occurrence.
    failures: Arc<Mutex<Vec<Error>>>,
}

struct BackgroundTask {
    name: String,
    limit: Duration,
    stopper: Stopper,
    /// The task records the failure of the work itself; this result is that of the task.
    task: JoinHandle<Result<(), Failure>>,
}

impl BackgroundTasks {
    /// Begins work. If it fails, the application ends.
    pub(crate) fn begin<W>(
        &self,
        lifecycle: &Arc<Lifecycle>,
        name: String,
        limit: Duration,
        work: W,
        stopper: Stopper,
    ) -> usize
    where
        W: Future<Output: TaskOutput> + Send + 'static,
    {
        let (lifecycle, failures, begun) = (lifecycle.clone(), self.failures.clone(), Instant::now());
        let task = tokio::spawn({
            let name = name.clone();
            async move {
                match catch_panic(async { work.await.into_result() }).await {
                    Ok(()) => tracing::info!(target: "trunkline::lifespan", name, elapsed = ?begun.elapsed(), "ended"),
                    Err(failure) => {
                        let error = Error::new(Phase::Background, name, begun.elapsed(), failure);
                        lock(&failures).push(error.log());
                        lifecycle.end(Cause::Failure);
                    }
                }
                Ok(())
            }
        });
        let mut tasks = lock(&self.begun);
        tasks.push(BackgroundTask { name, limit, stopper, task });
        tasks.len() - 1
    }

    /// Stops the work that was begun last and waits for it. None if no work is left.
    pub(crate) async fn stop_last(&self) -> Option<Step> {
        let mut work = lock(&self.begun).pop()?;
        let begun = Instant::now();
        work.stopper.request();
        let stopped = finish(&mut work.task, begun, work.limit).await;
        let failed = stopped.is_err();
        if let Err(failure) = stopped {
            lock(&self.failures).push(Error::new(Phase::Background, &work.name, begun.elapsed(), failure).log());
        }
        Some(Step::new(StepKind::Stopped, &work.name, begun.elapsed(), failed))
    }

    /// Takes the failures so far.
    pub(crate) fn take_failures(&self) -> Vec<Error> {
        std::mem::take(&mut lock(&self.failures))
    }
}

impl Drop for BackgroundTask {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for BackgroundTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackgroundTask").field("name", &self.name).field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// A handle to background work, to set its limit. It need not be kept.
#[derive(Debug)]
pub struct Background<'a> {
    pub(crate) tasks: &'a BackgroundTasks,
    pub(crate) position: usize,
}

impl Background<'_> {
    /// The limit on stopping, after which the work is aborted.
    pub fn stop_within(self, limit: Duration) {
        if let Some(work) = lock(&self.tasks.begun).get_mut(self.position) {
            work.limit = limit;
        }
    }
}
