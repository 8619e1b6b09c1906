//! Pages under way, and those that wait for their turn.

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Instant, Sleep, sleep_until};
use url::Url;

use super::figures::{FetchFigures, HostFigures};
use super::schedule::{Schedule, Start};
use super::seen::SeenUrls;
use crate::error::{Error, Result};
use crate::scraper::Scraper;
use crate::visit::{Visit, VisitOutcome};

/// Many pages at once, pushed in and taken out: what [`Scraper::fetch`] stands on, for those whose
/// URLs come from a source of their own, or who do not want whole pages. See
/// [`Scraper::fetch_with`].
///
/// A pushed URL waits until its host may be requested and a place is free. Pages in flight are
/// tasks of their own, so a caller that takes none out for a while does not stop one in the middle.
/// A finished page keeps its place until it is taken out: there are never more than
/// [`concurrency`](Scraper::concurrency) of both. New pages start while a caller waits in
/// [`next`](Self::next).
///
/// Dropped, it cancels all that is under way.
pub struct Fetch<K, T> {
    scraper: Scraper,
    visitor: Visitor<K, T>,
    measure: Option<Measure<T>>,
    schedule: Schedule<Job<K>>,
    under_way: JoinSet<Exchanged<T>>,
    started: HashMap<Id, StartedJob<K>>,
    clock: Option<Pin<Box<Sleep>>>,
    seen: Option<SeenUrls>,
    figures: FetchFigures,
    stopped: bool,
}

type Visitor<K, T> = Box<dyn Fn(&K, Url, u32) -> Visiting<T> + Send>;
pub(super) type Visiting<T> = Pin<Box<dyn Future<Output = VisitOutcome<T>> + Send>>;
type Measure<T> = Box<dyn Fn(&T) -> u64 + Send>;

/// A page that was asked for, and what came of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Fetched<K, T> {
    /// The key that the URL was pushed with.
    pub key: K,
    /// The URL requested.
    pub url: Url,
    /// The number of attempts.
    pub attempts: u32,
    /// The duration of the last attempt, from the request to the end of the body, without the wait
    /// before it.
    pub elapsed: Duration,
    /// The visitor's output. An error knows URL and attempts as well.
    pub result: Result<T>,
}

struct Job<K> {
    key: K,
    url: Url,
    attempts: u32,
}

enum StartedJob<K> {
    /// For the rules of a host.
    Ask(Arc<str>, AbortHandle),
    Visit(Arc<str>, Job<K>),
}

/// The output of a task.
enum Exchanged<T> {
    Pause(Duration),
    Visit(VisitOutcome<T>, Duration),
}

impl<K, T: Send + 'static> Fetch<K, T> {
    pub(super) fn new(scraper: Scraper, visitor: impl Fn(&K, Url, u32) -> Visiting<T> + Send + 'static) -> Self {
        let settings = scraper.settings();
        let schedule = Schedule::new(settings.delay, settings.robots.is_some());
        Self {
            scraper,
            visitor: Box::new(visitor),
            measure: None,
            schedule,
            under_way: JoinSet::new(),
            started: HashMap::new(),
            clock: None,
            seen: None,
            figures: FetchFigures::default(),
            stopped: false,
        }
    }

    /// Sets the size of a page in the [figures](Self::figures), in bytes. Default: none.
    #[must_use = "it is the one returned that counts so"]
    pub fn measured(self, bytes: impl Fn(&T) -> u64 + Send + 'static) -> Self {
        Self { measure: Some(Box::new(bytes)), ..self }
    }

    /// Takes each URL once, and none of those in `before`; fragments make no difference. Default: a
    /// URL is taken as often as it is pushed.
    #[must_use = "it is the one returned that does so"]
    pub fn once(self, before: SeenUrls) -> Self {
        Self { seen: Some(before), ..self }
    }

    /// True if more URLs are wanted: fewer than 1,000 wait, or fewer than 20,000 if all their hosts
    /// must pause. A URL that is pushed is taken in any case.
    pub fn has_room(&self) -> bool {
        self.schedule.has_room()
    }

    /// True if no page waits, is in flight, or is finished and not taken out.
    pub fn is_empty(&self) -> bool {
        self.schedule.len() == 0 && self.under_way.is_empty()
    }

    /// The number of waiting pages.
    pub fn waiting(&self) -> usize {
        self.schedule.len()
    }

    /// The number of pages in flight, or finished and not taken out.
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Queues a page; `key` identifies it to the caller. False if it was not taken: a repeated URL
    /// after [`once`](Self::once), or any URL after [`stop`](Self::stop).
    pub fn push(&mut self, url: Url, key: K) -> bool {
        if self.stopped || self.seen.as_mut().is_some_and(|seen| !seen.insert(&url)) {
            return false;
        }
        let host = url.origin().ascii_serialization().into();
        self.schedule.push(&host, Job { key, url, attempts: 0 }, now());
        true
    }

    /// The next finished page. None when [no page is left](Self::is_empty); more may be pushed
    /// then.
    ///
    /// Outside of a tokio runtime, each page is an error.
    ///
    /// # Panics
    ///
    /// The visitor of the pages panicked.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn next(&mut self) -> Option<Fetched<K, T>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Starts no more pages and drops the waiting ones; returns their number. Pages in flight still
    /// arrive. One that would be tried again counts as failed, or is dropped if it was never
    /// requested because its robots.txt could not be read.
    pub fn stop(&mut self) -> usize {
        self.stopped = true;
        for started in self.started.values() {
            // The fetch was dropped.
            if let StartedJob::Ask(_, task) = started {
                task.abort();
            }
        }
        std::iter::from_fn(|| self.schedule.give_up(now())).count()
    }

    /// Cancels what is under way, and returns when nothing of it is left.
    ///
    /// # Cancel safety
    ///
    /// Everything is cancelled in any case.
    pub async fn cancel(&mut self) {
        self.stop();
        self.under_way.shutdown().await;
        self.started.clear();
    }

    /// The totals so far, by host.
    pub fn figures(&self) -> Vec<HostFigures> {
        self.figures.list()
    }

    pub(super) fn scraper(&self) -> &Scraper {
        &self.scraper
    }

    /// As [`next`](Self::next).
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Fetched<K, T>>> {
        loop {
            let outside = Handle::try_current().is_err();
            if !outside {
                self.start();
            }
            match self.under_way.poll_join_next_with_id(cx) {
                Poll::Ready(Some(joined)) => {
                    if let Some(fetched) = self.finish_job(joined) {
                        return Poll::Ready(Some(fetched));
                    }
                }
                Poll::Ready(None) if outside => return Poll::Ready(self.schedule.give_up(now()).map(homeless)),
                Poll::Ready(None) if self.schedule.len() == 0 => return Poll::Ready(None),
                Poll::Pending if outside => return Poll::Pending,
                Poll::Ready(None) | Poll::Pending => ready!(self.poll_clock(cx)),
            }
        }
    }

    fn start(&mut self) {
        let now = now();
        while self.under_way.len() < self.scraper.settings().concurrency {
            match self.schedule.take(now) {
                None => return,
                Some(Start::Ask(host)) => {
                    let (scraper, origin) = (self.scraper.clone(), host.clone());
                    let task =
                        self.under_way.spawn(async move { Exchanged::Pause(scraper.pause_of_origin(&origin).await) });
                    self.started.insert(task.id(), StartedJob::Ask(host, task));
                }
                Some(Start::Visit(host, mut job)) => {
                    job.attempts += 1;
                    let visiting = (self.visitor)(&job.key, job.url.clone(), job.attempts);
                    let task = self.under_way.spawn(async move {
                        let begun = Instant::now();
                        let seen = visiting.await;
                        Exchanged::Visit(seen, begun.elapsed())
                    });
                    self.started.insert(task.id(), StartedJob::Visit(host, job));
                }
            }
        }
    }

    /// A page, unless it is to be tried again.
    fn finish_job(&mut self, joined: Result<(Id, Exchanged<T>), JoinError>) -> Option<Fetched<K, T>> {
        let now = now();
        let (id, outcome) = match joined {
            Ok((id, outcome)) => (id, Ok(outcome)),
            Err(error) => (error.id(), Err(error)),
        };
        match (self.started.remove(&id)?, outcome) {
            (_, Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            (StartedJob::Ask(host, _), outcome) => {
                if let Ok(Exchanged::Pause(pause)) = outcome {
                    self.schedule.ruled(&host, pause, now);
                }
                self.schedule.finished(&host, now);
                None
            }
            (StartedJob::Visit(host, job), Ok(Exchanged::Visit(seen, elapsed))) => {
                let fetched = self.seen(&host, job, seen, elapsed);
                self.schedule.finished(&host, now);
                fetched
            }
            // Only a runtime that ends cancels them.
            (StartedJob::Visit(host, job), _) => {
                self.schedule.finished(&host, now);
                Some(homeless(job))
            }
        }
    }

    fn seen(
        &mut self,
        host: &Arc<str>,
        job: Job<K>,
        seen: VisitOutcome<T>,
        elapsed: Duration,
    ) -> Option<Fetched<K, T>> {
        let now = now();
        let figures = self.figures.of(host);
        if let Some(reused) = seen.reused {
            figures.answered(reused);
        }
        if let Some(pause) = seen.host_pause {
            self.schedule.pause_host(host, now + pause, now);
        }
        let result = match seen.visit {
            Visit::Done(page) => {
                figures.record_page(self.measure.as_ref().map_or(0, |bytes| bytes(&page)), elapsed);
                Ok(page)
            }
            Visit::Again { pause, .. } if !self.stopped => {
                figures.retries += 1;
                self.schedule.again(host, job, now + pause, now);
                return None;
            }
            Visit::Again { cause, .. } if cause.is_robots() => return None,
            Visit::Again { cause: error, .. } | Visit::Failed(error) => {
                figures.failed += 1;
                Err(error.of(&job.url, job.attempts))
            }
        };
        Some(Fetched { key: job.key, url: job.url, attempts: job.attempts, elapsed, result })
    }

    /// Until something may be started, if that is what is waited for.
    fn poll_clock(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let free = self.under_way.len() < self.scraper.settings().concurrency;
        let Some(wake) = self.schedule.wake().filter(|_| free).map(Instant::from_std) else { return Poll::Pending };
        let clock = self.clock.get_or_insert_with(|| Box::pin(sleep_until(wake)));
        if clock.deadline() != wake {
            clock.as_mut().reset(wake);
        }
        clock.as_mut().poll(cx)
    }
}

/// There is no runtime that it could run on.
fn homeless<K, T>(job: Job<K>) -> Fetched<K, T> {
    let error = Error::runtime().of(&job.url, job.attempts);
    Fetched { key: job.key, url: job.url, attempts: job.attempts, elapsed: Duration::ZERO, result: Err(error) }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// It refers to nothing in itself.
impl<K, T> Unpin for Fetch<K, T> {}

impl<K, T> fmt::Debug for Fetch<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetch")
            .field("scraper", &self.scraper)
            .field("waiting", &self.schedule.len())
            .field("under_way", &self.under_way.len())
            .finish_non_exhaustive()
    }
}
