//! Work beside the application: asked to stop, waited for, and not to be lost sight of when it
//! fails.

use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::ending::{Step, StepKind};
use crate::error::{BoxError, Error, Fault, Phase, caught};
use crate::stack::{finish, lock};
use crate::stop::{Cause, Course, Stopper};

/// How background work may end: with nothing to say, or with a result.
pub trait Outcome: Send + 'static {
    /// What it comes to.
    ///
    /// # Errors
    ///
    /// What the work failed with.
    fn into_result(self) -> Result<(), Box<dyn StdError + Send + Sync>>;
}

impl Outcome for () {
    fn into_result(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<E: Into<BoxError> + Send + 'static> Outcome for Result<(), E> {
    fn into_result(self) -> Result<(), BoxError> {
        self.map_err(Into::into)
    }
}

/// All the work of an application, in the order in which it was begun.
#[derive(Debug, Default)]
pub(crate) struct Works {
    begun: Mutex<Vec<Work>>,
    /// What failed, in the order in which it did.
    failures: Arc<Mutex<Vec<Error>>>,
}

struct Work {
    name: String,
    limit: Duration,
    stopper: Stopper,
    /// Its own failure it tells the others by itself; what comes from here is about the task.
    task: JoinHandle<Result<(), Fault>>,
}

impl Works {
    /// Begins it. If it fails, the application comes down.
    pub(crate) fn begin<W>(
        &self,
        course: &Arc<Course>,
        name: String,
        limit: Duration,
        work: W,
        stopper: Stopper,
    ) -> usize
    where
        W: Future<Output: Outcome> + Send + 'static,
    {
        let (course, failures, begun) = (course.clone(), self.failures.clone(), Instant::now());
        let task = tokio::spawn({
            let name = name.clone();
            async move {
                match caught(async { work.await.into_result() }).await {
                    Ok(()) => tracing::info!(target: "trunkline::lifespan", name, elapsed = ?begun.elapsed(), "ended"),
                    Err(fault) => {
                        let error = Error::new(Phase::Background, name, begun.elapsed(), fault);
                        lock(&failures).push(error.log());
                        course.end(Cause::Failure);
                    }
                }
                Ok(())
            }
        });
        let mut works = lock(&self.begun);
        works.push(Work { name, limit, stopper, task });
        works.len() - 1
    }

    /// Asks the last to stop, and waits for it. None if there is none.
    pub(crate) async fn stop_last(&self) -> Option<Step> {
        let mut work = lock(&self.begun).pop()?;
        let begun = Instant::now();
        work.stopper.request();
        let stopped = finish(&mut work.task, begun, work.limit).await;
        let failed = stopped.is_err();
        if let Err(fault) = stopped {
            lock(&self.failures).push(Error::new(Phase::Background, &work.name, begun.elapsed(), fault).log());
        }
        Some(Step::new(StepKind::Stopped, &work.name, begun.elapsed(), failed))
    }

    /// What has failed so far.
    pub(crate) fn take_failures(&self) -> Vec<Error> {
        std::mem::take(&mut lock(&self.failures))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").field("name", &self.name).field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// Background work that has begun. There is no need to keep this.
#[derive(Debug)]
pub struct Background<'a> {
    pub(crate) works: &'a Works,
    pub(crate) position: usize,
}

impl Background<'_> {
    /// How long it may take to end when it is asked to; then it is aborted.
    pub fn stop_within(self, limit: Duration) {
        if let Some(work) = lock(&self.works.begun).get_mut(self.position) {
            work.limit = limit;
        }
    }
}
