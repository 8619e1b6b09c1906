//! The loop: URLs in, pages under way, lines out, until the input ends or something asks for an
//! end.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use trunkline_scrape::{Fetch, Fetched, Scraper, SeenUrls};

use crate::bodies::Bodies;
use crate::closing::{Closing, Wish};
use crate::config::Config;
use crate::ending::Ending;
use crate::hosts::Hosts;
use crate::input::{Entry, Input, Url};
use crate::login::log_in;
use crate::output::{BEAT, Output};
use crate::page::{Asked, Fate, Kept, Page};
use crate::progress::{Figures, Progress};
use crate::signals::Shutdown;
use crate::summary::{Summary, Tally};
use crate::{target, terminal};

/// Logs in if that is asked for, fetches everything, closes the session, prints the summary and,
/// however it ended, writes the cookie file.
///
/// # Errors
///
/// The login failed: then nothing was fetched, and all files are as they were. Or the output or the
/// cookie file could not be written, or the system gave no thread.
pub(crate) async fn run(mut config: Config, mut shutdown: Shutdown) -> anyhow::Result<Ending> {
    if let Some(plan) = config.login.take()
        && let Err(signal) = log_in(plan, &config.scraper, &mut shutdown).await?
    {
        return Ok(Ending::Signal(signal));
    }
    let cookies = config.cookies.take();
    let ending = fetch(config, Closing::new(shutdown)).await;
    let Some(cookies) = cookies else { return ending };
    match (ending, cookies.save().await) {
        (Err(error), Err(also)) => Err(error.context(also)),
        (Ok(_), Err(error)) => Err(error),
        (ending, Ok(_)) => ending,
    }
}

async fn fetch(config: Config, mut closing: Closing) -> anyhow::Result<Ending> {
    let session = config.scraper.session().clone();
    let mut run = Run::start(config).await?;
    let begun = Instant::now();
    run.work(&mut closing).await?;
    run.pages.cancel().await;
    run.tally.given_up = run.begun.load(Ordering::Relaxed).saturating_sub(run.ended);
    let end = async { (session.close_within(Duration::ZERO).await, run.output.finish().await).1 };
    let written = match closing.last(end).await {
        Ok(written) => written?,
        Err(signal) => {
            run.stop = signal.map(Ending::Signal).or(run.stop);
            true
        }
    };
    if !written && !matches!(run.stop, Some(Ending::Signal(_))) {
        return Ok(Ending::PipeClosed);
    }
    let table = run.hosts.map(|hosts| hosts.table(terminal::width()).to_string()).unwrap_or_default();
    let summary = Summary::new(run.tally, begun.elapsed(), &session.stats());
    // In one piece, as others may write there as well. Whoever closed it wants no summary.
    let _ = std::io::stderr().write_all(format!("{table}{summary}\n").as_bytes());
    Ok(run.stop.unwrap_or(Ending::Complete { failed: run.tally.failed }))
}

struct Run {
    input: Input,
    output: Output,
    scraper: Scraper,
    /// Those that wait for their turn, and never more than `concurrency` under way.
    pages: Fetch<Asked, Kept>,
    /// How many there have been an attempt at, and how many of them were not given up.
    begun: Arc<AtomicU64>,
    ended: u64,
    tally: Tally,
    /// The same by host, if that is wanted.
    hosts: Option<Hosts>,
    fail_fast: bool,
    /// Somebody watches a bar.
    progress: bool,
    /// Why no more pages are begun.
    stop: Option<Ending>,
}

impl Run {
    async fn start(config: Config) -> anyhow::Result<Self> {
        let Config { scraper, urls, input, fail_fast, per_host, results, bodies, .. } = config;
        // It may copy a large file.
        let (json, seen) = tokio::task::spawn_blocking(|| results.begin()).await??;
        if let Some(bodies) = bodies.as_ref().filter(|_| seen.is_some()) {
            bodies.sweep()?;
        }
        let (progress, begun) = (Progress::is_wanted(), Arc::default());
        Ok(Self {
            input: Input::start(urls, input, progress)?,
            output: Output::start(json)?,
            pages: pages(&scraper, bodies, &begun, seen),
            scraper,
            begun,
            ended: 0,
            tally: Tally::default(),
            hosts: per_host.then(Hosts::default),
            fail_fast,
            progress,
            stop: None,
        })
    }

    async fn work(&mut self, closing: &mut Closing) -> anyhow::Result<()> {
        let mut beat = interval(BEAT);
        // After a pause the first line is handed over at once.
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.is_over() {
            let wanted = self.stop.is_none() && self.pages.has_room() && !self.input.has_ended();
            // At the end there are few lines more, and a reader that takes none holds up no page.
            let room = !self.output.is_full() || closing.has_begun();
            let waited_for = !self.pages.is_empty();
            tokio::select! {
                biased;
                wish = closing.wish() => match wish {
                    Wish::WindDown(signal) => self.wind_down(signal, closing),
                    Wish::EndNow => break,
                },
                _ = beat.tick(), if self.progress || !self.output.is_empty() => self.beat(),
                handed = self.output.hand_over(), if self.output.is_due() => if handed.is_err() {
                    // Why is told by its end.
                    self.stop = Some(self.stop.unwrap_or(Ending::PipeClosed));
                    break;
                },
                fetched = self.pages.next(), if room && waited_for => if let Some(fetched) = fetched {
                    self.fetched(fetched)?;
                },
                entry = self.input.next(), if wanted && room => if let Some(entry) = entry {
                    self.take(entry)?;
                },
            }
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        match self.stop {
            Some(Ending::FailedFast) => true,
            Some(_) => self.pages.is_empty(),
            None => self.pages.is_empty() && self.input.has_ended(),
        }
    }

    fn take(&mut self, entry: Entry) -> anyhow::Result<()> {
        match entry {
            Entry::Url(url) => self.take_url(url),
            Entry::Bad { place, reason } => {
                self.output.note(&format!("{place}: {reason}"));
                self.tally.count_failure();
                self.failed();
                Ok(())
            }
        }
    }

    fn take_url(&mut self, url: Url) -> anyhow::Result<()> {
        match target::parse(&url.text) {
            Ok(parsed) => {
                let is_new = self.pages.push(parsed, Asked::new(url));
                self.tally.skipped += u64::from(!is_new);
                Ok(())
            }
            Err(told) => self.finished(&Page::unusable(url, told)),
        }
    }

    fn fetched(&mut self, fetched: Fetched<Asked, Kept>) -> anyhow::Result<()> {
        let (host, retries) = (fetched.url.origin(), fetched.attempts.saturating_sub(1));
        let page = Page::of(fetched);
        self.ended += u64::from(page.fate != Fate::GivenUp);
        if let Some(hosts) = &mut self.hosts {
            hosts.count(host.ascii_serialization(), &page, retries);
        }
        self.finished(&page)
    }

    fn finished(&mut self, page: &Page) -> anyhow::Result<()> {
        self.tally.count(page);
        self.output.page(page)?;
        if matches!(page.fate, Fate::Refused | Fate::Failed) {
            self.failed();
        }
        Ok(())
    }

    fn failed(&mut self) {
        if self.fail_fast && self.stop.is_none() {
            self.stop = Some(Ending::FailedFast);
        }
    }

    fn beat(&mut self) {
        if self.progress {
            let (stats, done) = (self.scraper.session().stats(), self.tally.pages + self.tally.skipped);
            self.output.figures(Figures { done, total: self.input.total(), open: stats.open, waiting: stats.waiting });
        }
        self.output.beat();
    }

    fn wind_down(&mut self, signal: u8, closing: &mut Closing) {
        self.stop = Some(Ending::Signal(signal));
        self.output.wind_down();
        self.pages.stop();
        if !self.pages.is_empty() {
            self.output.note("finishing the pages under way; once more to end at once");
        }
        closing.begin(self.scraper.session());
    }
}

fn pages(
    scraper: &Scraper,
    bodies: Option<Bodies>,
    begun: &Arc<AtomicU64>,
    seen: Option<SeenUrls>,
) -> Fetch<Asked, Kept> {
    let (bodies, begun) = (bodies.map(Arc::new), begun.clone());
    let pages = scraper.fetch_with(move |asked: &Asked| {
        begun.fetch_add(u64::from(asked.begin()), Ordering::Relaxed);
        let reader = asked.reader(bodies.clone());
        move |response| reader.clone().read(response)
    });
    // With --resume, URLs are remembered.
    match seen {
        Some(seen) => pages.once(seen),
        None => pages,
    }
}
