//! The fetch loop: pages under way, lines out, progress and shutdown, for any source of URLs.

use std::io::Write as _;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{Capacity, Next, UrlSource};
use crate::exit::Exit;
use crate::host_table::HostTable;
use crate::json_output::JsonSink;
use crate::output::{FLUSH_INTERVAL, Output};
use crate::page::Page;
use crate::progress::{Progress, ProgressUpdate};
use crate::shutdown::{GracefulShutdown, ShutdownAction};
use crate::summary::{PageCounts, Summary};
use crate::terminal;

/// Settings of a run.
#[derive(Clone, Copy)]
pub(crate) struct RunSettings {
    /// End at the first failure.
    pub(crate) fail_fast: bool,
    /// Print the table of hosts before the summary.
    pub(crate) per_host: bool,
}

/// State of a run that does not depend on the source of its URLs.
pub(crate) struct Run {
    pub(crate) output: Output,
    pub(crate) counts: PageCounts,
    /// Counts per host, with `--per-host`.
    pub(crate) hosts: Option<HostTable>,
    /// Reason to start no more pages.
    pub(crate) stop: Option<Exit>,
    fail_fast: bool,
    shows_progress: bool,
}

/// Fetches the pages of `source`, closes the session and prints the summary.
///
/// # Errors
///
/// The output could not be written, the source failed for good, or the system has no thread left.
pub(crate) async fn run<S: UrlSource>(
    mut source: S,
    json: JsonSink,
    settings: RunSettings,
    mut shutdown: GracefulShutdown,
) -> anyhow::Result<Exit> {
    let mut run = Run::start(json, settings)?;
    let session = source.session().clone();
    let begun = Instant::now();
    let fetched = run.fetch(&mut source, &mut shutdown).await;
    source.cancel(&mut run).await;
    let finish = async { (session.close_within(Duration::ZERO).await, run.output.finish().await).1 };
    let written = match shutdown.finish(finish).await {
        Ok(written) => Some(written),
        Err(signal) => {
            run.stop = signal.map(Exit::Signal).or(run.stop);
            None
        }
    };
    source.release(matches!(written, Some(Ok(true)))).await;
    fetched?;
    if !written.transpose()?.unwrap_or(true) && !matches!(run.stop, Some(Exit::Signal(_))) {
        return Ok(Exit::PipeClosed);
    }
    let summary = Summary::new(run.counts, begun.elapsed(), &session.stats());
    let table = run.hosts.map(|hosts| hosts.table(terminal::width()).to_string()).unwrap_or_default();
    // One write, because other programs may write to the terminal as well. A closed standard error
    // is not an error.
    let _ = std::io::stderr().write_all(format!("{table}{summary}\n").as_bytes());
    Ok(run.stop.unwrap_or(Exit::Complete { failed: run.counts.failed }))
}

impl Run {
    fn start(json: JsonSink, settings: RunSettings) -> std::io::Result<Self> {
        let RunSettings { fail_fast, per_host } = settings;
        Ok(Self {
            output: Output::start(json)?,
            counts: PageCounts::default(),
            hosts: per_host.then(HostTable::default),
            stop: None,
            fail_fast,
            shows_progress: Progress::is_wanted(),
        })
    }

    async fn fetch<S: UrlSource>(&mut self, source: &mut S, shutdown: &mut GracefulShutdown) -> anyhow::Result<()> {
        let mut flush = interval(FLUSH_INTERVAL);
        // After a pause the first line is handed over at once.
        flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.is_over(source) {
            let capacity = self.capacity(shutdown);
            source.start_due_work(capacity);
            let next = tokio::select! {
                biased;
                action = shutdown.next_action() => match action {
                    ShutdownAction::WindDown(signal) => self.wind_down(signal, source, shutdown),
                    ShutdownAction::EndNow => break,
                },
                _ = flush.tick(), if self.shows_progress || !self.output.is_empty() => self.flush(source),
                handed = self.output.hand_over(), if self.output.is_due() => match handed {
                    Ok(written) => {
                        source.handed_over(written);
                        Next::Continue
                    }
                    // `Output::finish` returns the reason.
                    Err(_) => Next::OutputClosed,
                },
                event = source.next(capacity) => source.handle(event, self)?,
            };
            if next == Next::OutputClosed {
                self.stop = Some(self.stop.unwrap_or(Exit::PipeClosed));
                break;
            }
        }
        Ok(())
    }

    fn is_over(&self, source: &impl UrlSource) -> bool {
        match self.stop {
            Some(Exit::FailedFast | Exit::Complete { .. }) => true,
            Some(_) => source.is_drained(),
            None => source.is_exhausted(),
        }
    }

    fn capacity(&self, shutdown: &GracefulShutdown) -> Capacity {
        let has_room = !self.output.is_full();
        Capacity { may_start: self.stop.is_none() && has_room, may_finish: has_room || shutdown.has_begun() }
    }

    /// Counts a page and writes its line.
    ///
    /// # Errors
    ///
    /// The page cannot be written as JSON.
    pub(crate) fn finished(&mut self, page: &Page) -> anyhow::Result<()> {
        self.counts.count(page);
        self.output.page(page)?;
        if page.outcome.is_failure() {
            self.fail();
        }
        Ok(())
    }

    /// Records a failure, which ends the run with `--fail-fast`.
    pub(crate) fn fail(&mut self) {
        if self.fail_fast && self.stop.is_none() {
            self.stop = Some(Exit::FailedFast);
        }
    }

    /// Writes a line to standard error without waiting for the next flush.
    pub(crate) fn note_now(&mut self, text: &str) {
        self.output.note(text);
        self.output.flush_soon();
    }

    fn flush(&mut self, source: &impl UrlSource) -> Next {
        if self.shows_progress {
            let (stats, done) = (source.session().stats(), self.counts.pages + self.counts.skipped);
            let (total, open, waiting) = (source.total(), stats.open, stats.waiting);
            self.output.progress(ProgressUpdate { done, total, open, waiting });
        }
        self.output.flush_soon();
        Next::Continue
    }

    fn wind_down(&mut self, signal: u8, source: &mut impl UrlSource, shutdown: &mut GracefulShutdown) -> Next {
        self.stop = Some(Exit::Signal(signal));
        source.wind_down(self);
        if !source.is_idle() {
            self.note_now("finishing the pages under way; press Ctrl-C again to end at once");
        }
        shutdown.begin(source.session());
        Next::Continue
    }
}
