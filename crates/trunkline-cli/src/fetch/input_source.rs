//! URLs of the command line and the input file, fetched through the scraper.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::oneshot;
use trunkline::Session;
use trunkline_scrape::{Fetch, Fetched, Scraper, SeenUrls};

use super::{Capacity, Next, Run, UrlSource};
use crate::bodies::BodyDirectory;
use crate::input::{Input, InputEntry, InputUrl};
use crate::page::{Page, PageOutcome, PageRequest, SavedBody};
use crate::url_argument;

/// Source that reads the input as the pages need it.
pub(super) struct InputSource {
    input: Input,
    scraper: Scraper,
    /// Queued pages and pages under way, at most `concurrency` at a time.
    pages: Fetch<PageRequest, SavedBody>,
    /// Number of pages with at least one attempt.
    begun: Arc<AtomicU64>,
    /// Number of those pages that were not given up.
    ended: u64,
}

/// Event of the input or of a page.
pub(super) enum InputEvent {
    /// A page ended; `None` if none is under way.
    Fetched(Option<Fetched<PageRequest, SavedBody>>),
    /// An entry was read; `None` at the end of the input.
    Read(Option<InputEntry>),
}

impl InputSource {
    /// Source that skips the URLs in `seen`, and repeated URLs, if `seen` is given.
    pub(super) fn new(scraper: Scraper, input: Input, bodies: Option<BodyDirectory>, seen: Option<SeenUrls>) -> Self {
        let begun = Arc::<AtomicU64>::default();
        let (bodies, counter) = (bodies.map(Arc::new), begun.clone());
        let pages = scraper.fetch_with(move |request: &PageRequest| {
            counter.fetch_add(u64::from(request.begin()), Ordering::Relaxed);
            let reader = request.reader(bodies.clone());
            move |response| reader.clone().read(response)
        });
        let pages = match seen {
            Some(seen) => pages.once(seen),
            None => pages,
        };
        Self { input, scraper, pages, begun, ended: 0 }
    }

    fn read(&mut self, entry: InputEntry, run: &mut Run) -> anyhow::Result<()> {
        match entry {
            InputEntry::Url(url) => self.push(url, run),
            InputEntry::Bad { location, reason } => {
                run.output.note(&format!("{location}: {reason}"));
                run.counts.count_failure();
                run.fail();
                Ok(())
            }
        }
    }

    fn push(&mut self, url: InputUrl, run: &mut Run) -> anyhow::Result<()> {
        match url_argument::parse(&url.text) {
            Ok(parsed) => {
                let is_new = self.pages.push(parsed, PageRequest::new(url));
                run.counts.skipped += u64::from(!is_new);
                Ok(())
            }
            Err(reason) => run.finished(&Page::invalid_url(url, reason)),
        }
    }

    fn fetched(&mut self, fetched: Fetched<PageRequest, SavedBody>, run: &mut Run) -> anyhow::Result<()> {
        let (origin, retries) = (fetched.url.origin(), fetched.attempts.saturating_sub(1));
        let page = Page::from_fetched(fetched);
        self.ended += u64::from(page.outcome != PageOutcome::GivenUp);
        if let Some(hosts) = &mut run.hosts {
            hosts.count(origin.ascii_serialization(), &page, retries);
        }
        run.finished(&page)
    }
}

impl UrlSource for InputSource {
    type Event = InputEvent;

    fn session(&self) -> &Session {
        self.scraper.session()
    }

    fn total(&self) -> Option<u64> {
        self.input.total()
    }

    fn is_idle(&self) -> bool {
        self.pages.is_empty()
    }

    fn is_drained(&self) -> bool {
        self.pages.is_empty()
    }

    fn is_exhausted(&self) -> bool {
        self.pages.is_empty() && self.input.has_ended()
    }

    fn start_due_work(&mut self, _: Capacity) {}

    async fn next(&mut self, capacity: Capacity) -> InputEvent {
        let may_finish = capacity.may_finish && !self.pages.is_empty();
        let may_read = capacity.may_start && self.pages.has_room() && !self.input.has_ended();
        tokio::select! {
            biased;
            fetched = self.pages.next(), if may_finish => InputEvent::Fetched(fetched),
            entry = self.input.next(), if may_read => InputEvent::Read(entry),
            else => std::future::pending().await,
        }
    }

    fn handle(&mut self, event: InputEvent, run: &mut Run) -> anyhow::Result<Next> {
        match event {
            InputEvent::Fetched(Some(fetched)) => self.fetched(fetched, run)?,
            InputEvent::Read(Some(entry)) => self.read(entry, run)?,
            InputEvent::Fetched(None) | InputEvent::Read(None) => {}
        }
        Ok(Next::Continue)
    }

    fn handed_over(&mut self, _: oneshot::Receiver<()>) {}

    fn wind_down(&mut self, run: &mut Run) {
        run.output.ignore_closed_stdout();
        self.pages.stop();
    }

    async fn cancel(&mut self, run: &mut Run) {
        self.pages.cancel().await;
        run.counts.given_up = self.begun.load(Ordering::Relaxed).saturating_sub(self.ended);
    }

    async fn release(&mut self, _: bool) {}
}
