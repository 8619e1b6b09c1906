//! URLs leased from the frontier, fetched and settled by this worker.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::{Instant, timeout};
use trunkline::Session;
use trunkline_scrape::Error;

use super::client::{ExchangeRequest, ExchangeResponse, QueueClient};
use super::leases::Leases;
use super::poll_interval::PollInterval;
use super::visit::{Visited, Visitor};
use crate::error_text;
use crate::exit::Exit;
use crate::fetch::{Capacity, Next, Run, UrlSource};
use crate::frontier::store::{Backoff, is_lease_over, is_passing};
use crate::page::PageOutcome;
use crate::shutdown::{MIN_FINISH_TIME, sleep_until_some};
use crate::summary::Count;

/// Time limit of the last exchange with the database.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);

/// Settings of a worker.
pub(super) struct WorkerSettings {
    pub(super) concurrency: usize,
    pub(super) lease: Duration,
    /// Wait for more URLs when none is left.
    pub(super) follow: bool,
}

/// Source that claims URLs and records their results, without ever waiting for the database: an
/// exchange runs as a task beside the pages.
pub(super) struct LeaseSource {
    settings: WorkerSettings,
    visitor: Arc<Visitor>,
    /// Pages under way, at most `concurrency`.
    pages: JoinSet<Result<Visited, Error>>,
    leases: Leases,
    /// `None` while an exchange runs, which owns the client.
    client: Option<QueueClient>,
    exchange: Option<JoinHandle<Exchanged>>,
    /// Pages were given up that the database may still count as leased by this worker.
    has_given_up: bool,
    timing: Timing,
    poll_interval: PollInterval,
    backoff: Backoff,
    /// The failure of the database was reported.
    database_fails: bool,
}

type Exchanged = (QueueClient, ExchangeRequest, anyhow::Result<ExchangeResponse>);

/// Times of the next exchanges with the database.
struct Timing {
    /// End of the lease, without the safety margin.
    lease_ends: Option<Instant>,
    renew_at: Instant,
    /// Time of the next attempt to claim URLs.
    poll_at: Instant,
    /// End of the pause after a failed exchange.
    not_before: Instant,
}

/// Event of the pages, the writer or the database.
pub(super) enum LeaseEvent {
    LeaseOver,
    /// The oldest lines being written are written; false if they never will be.
    Written(bool),
    Visited(Box<Result<Result<Visited, Error>, JoinError>>),
    Exchanged(Box<Exchanged>),
    /// An exchange is due, which [`UrlSource::start_due_work`] starts.
    ExchangeDue,
}

impl LeaseSource {
    pub(super) fn new(settings: WorkerSettings, visitor: Arc<Visitor>, client: QueueClient) -> Self {
        let now = Instant::now();
        Self {
            settings,
            visitor,
            pages: JoinSet::new(),
            leases: Leases::default(),
            client: Some(client),
            exchange: None,
            has_given_up: false,
            timing: Timing { lease_ends: None, renew_at: now, poll_at: now, not_before: now },
            poll_interval: PollInterval::new(),
            backoff: Backoff::default(),
            database_fails: false,
        }
    }

    /// Number of URLs to claim.
    fn room(&self, capacity: Capacity) -> usize {
        if !capacity.may_start {
            return 0;
        }
        let most = self.settings.concurrency;
        // While some pages are being written and settled, others are under way; twice the
        // concurrency bounds the sum.
        most.saturating_sub(self.pages.len()).min((2 * most).saturating_sub(self.leases.len()))
    }

    /// Time of the next exchange, unless one is running.
    fn next_exchange(&self, capacity: Capacity) -> Option<Instant> {
        let Timing { renew_at, poll_at, not_before, .. } = self.timing;
        let at = match () {
            () if self.exchange.is_some() => return None,
            () if self.has_given_up || self.leases.has_settlements() => not_before,
            () if self.room(capacity) > 0 => renew_at.min(poll_at),
            () => renew_at,
        };
        Some(at.max(not_before))
    }

    fn exchanged(&mut self, exchanged: Exchanged, run: &mut Run) -> anyhow::Result<()> {
        let (client, request, response) = exchanged;
        self.client = Some(client);
        let now = Instant::now();
        match response {
            Ok(response) => {
                self.leases.settled(&request.settled);
                if self.database_fails {
                    run.note_now("the frontier answers again");
                }
                (self.database_fails, self.backoff) = (false, Backoff::default());
                self.timing.renew_at = now + self.settings.lease / 3;
                // The margin lets this worker give up its pages before another one starts them.
                self.timing.lease_ends = Some(response.lease_ends - self.settings.lease / 20);
                self.claimed(response, request.room, now, run);
                Ok(())
            }
            Err(error) => self.exchange_failed(request, error, now, run),
        }
    }

    /// Handles a failed exchange: what was to be settled is settled again later.
    ///
    /// # Errors
    ///
    /// The failure is permanent: a missing privilege, a missing table, a changed password. No page
    /// is to blame for it.
    fn exchange_failed(
        &mut self,
        request: ExchangeRequest,
        error: anyhow::Error,
        now: Instant,
        run: &mut Run,
    ) -> anyhow::Result<()> {
        self.leases.unsettled(request.settled);
        if is_lease_over(&error) {
            self.lose_lease(run);
        } else if !is_passing(&error) {
            return Err(error);
        } else if !self.database_fails {
            self.database_fails = true;
            run.note_now(&format!("the frontier fails, trying again: {error:#}"));
        }
        self.timing.not_before = now + self.backoff.next();
        Ok(())
    }

    fn claimed(&mut self, response: ExchangeResponse, room: usize, now: Instant, run: &mut Run) {
        let is_done = response.queue.is_some_and(|queue| queue.is_done()) && self.leases.len() == 0;
        if is_done && !self.settings.follow {
            run.stop = run.stop.or(Some(Exit::Complete { failed: run.counts.failed }));
        }
        if !response.claimed.is_empty() {
            self.poll_interval = PollInterval::new();
        }
        if response.claimed.len() < room {
            let ready_in = response.queue.and_then(|queue| queue.ready_in);
            self.timing.poll_at = self.poll_interval.next_poll(now, ready_in);
        }
        for url in response.claimed {
            if self.leases.claim(url.id) {
                let visitor = self.visitor.clone();
                self.pages.spawn(async move { visitor.visit(url).await });
            }
        }
    }

    /// Cancels the pages under way: other workers may fetch them now.
    fn lose_lease(&mut self, run: &mut Run) {
        self.timing.lease_ends = None;
        // The database may not have ended the lease yet, if only its answer was late.
        self.has_given_up = true;
        let lost = self.pages.len();
        // Dropping the set cancels its tasks.
        self.pages = JoinSet::new();
        self.leases.lost();
        if lost > 0 {
            run.note_now(&format!("the lease is over: {} under way left to others", Count(lost as u64, "page")));
        }
    }

    fn visited(&mut self, visited: Visited, run: &mut Run) -> anyhow::Result<()> {
        let Visited { page, settlement } = visited;
        let Some(page) = page else {
            self.leases.put_back(settlement);
            return Ok(());
        };
        run.finished(&page)?;
        if page.outcome == PageOutcome::GivenUp {
            run.counts.given_up += 1;
            self.leases.put_back(settlement);
        } else {
            run.output.flush_soon();
            self.leases.ended(settlement);
        }
        Ok(())
    }

    async fn leave(&mut self) -> anyhow::Result<()> {
        if self.exchange.is_some() {
            let (client, request, response) = finished(&mut self.exchange).await;
            self.client = Some(client);
            if response.is_err() {
                self.leases.unsettled(request.settled);
            }
        }
        match self.client.take() {
            Some(client) => client.leave(&self.leases.take_settlements()).await,
            None => Ok(()),
        }
    }
}

impl UrlSource for LeaseSource {
    type Event = LeaseEvent;

    fn session(&self) -> &Session {
        self.visitor.session()
    }

    fn total(&self) -> Option<u64> {
        None
    }

    fn is_idle(&self) -> bool {
        self.pages.is_empty()
    }

    fn is_drained(&self) -> bool {
        self.pages.is_empty() && self.leases.len() == 0
    }

    /// Only the database knows; its answer sets the exit of the run.
    fn is_exhausted(&self) -> bool {
        false
    }

    fn start_due_work(&mut self, capacity: Capacity) {
        if self.next_exchange(capacity).is_none_or(|at| at > Instant::now()) {
            return;
        }
        let Some(mut client) = self.client.take() else { return };
        if mem::take(&mut self.has_given_up) {
            client.rejoin();
        }
        let (held, room) = (self.leases.held(), self.room(capacity));
        let request = ExchangeRequest { settled: self.leases.take_settlements(), held, room };
        self.exchange = Some(tokio::spawn(async move {
            let response = client.exchange(&request).await;
            (client, request, response)
        }));
    }

    async fn next(&mut self, capacity: Capacity) -> LeaseEvent {
        let (lease_ends, next_exchange) = (self.timing.lease_ends, self.next_exchange(capacity));
        tokio::select! {
            biased;
            () = sleep_until_some(lease_ends) => LeaseEvent::LeaseOver,
            written = self.leases.written() => LeaseEvent::Written(written),
            Some(visited) = self.pages.join_next(), if capacity.may_finish => LeaseEvent::Visited(Box::new(visited)),
            exchanged = finished(&mut self.exchange) => LeaseEvent::Exchanged(Box::new(exchanged)),
            () = sleep_until_some(next_exchange) => LeaseEvent::ExchangeDue,
        }
    }

    fn handle(&mut self, event: LeaseEvent, run: &mut Run) -> anyhow::Result<Next> {
        match event {
            LeaseEvent::LeaseOver => self.lose_lease(run),
            LeaseEvent::Written(true) | LeaseEvent::ExchangeDue => {}
            LeaseEvent::Written(false) => return Ok(Next::OutputClosed),
            LeaseEvent::Visited(visited) => self.visited((*visited)?.context("the login is over")?, run)?,
            LeaseEvent::Exchanged(exchanged) => self.exchanged(*exchanged, run)?,
        }
        Ok(Next::Continue)
    }

    fn handed_over(&mut self, written: oneshot::Receiver<()>) {
        self.leases.handed_over(written);
    }

    /// Claims no more: the run has a reason to stop. A closed standard output stays an error here,
    /// because a URL whose line was not written must not be settled.
    fn wind_down(&mut self, _: &mut Run) {}

    async fn cancel(&mut self, run: &mut Run) {
        run.counts.given_up += self.pages.len() as u64;
        self.pages.shutdown().await;
        if let Ok(Ok(written)) = timeout(MIN_FINISH_TIME, run.output.hand_over()).await {
            self.leases.handed_over(written);
        }
    }

    /// Settles the pages whose lines are written, and returns the other leases. If the database
    /// fails, other workers get them when the lease is over.
    async fn release(&mut self, all_written: bool) {
        if all_written {
            self.leases.all_written();
        } else {
            self.leases.written_so_far();
        }
        let left = timeout(LEAVE_WITHIN, self.leave()).await;
        if let Err(error) = left.unwrap_or_else(|_| Err(anyhow!("the database does not answer"))) {
            let reason = error_text::describe(error.as_ref());
            crate::output::print_note(&format!("other workers get the rest when the lease is over: {reason}"));
        }
    }
}

/// Waits for the end of an exchange; forever if none runs.
///
/// # Cancel safety
///
/// No exchange is lost.
async fn finished<T>(exchange: &mut Option<JoinHandle<T>>) -> T {
    let finished = match exchange {
        Some(exchange) => exchange.await,
        None => return std::future::pending().await,
    };
    *exchange = None;
    match finished {
        Ok(finished) => finished,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is ending.
        Err(_) => std::future::pending().await,
    }
}
