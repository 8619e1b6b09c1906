//! The loop of a worker.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use trunkline_scrape::Error;

use super::desk::{Answer, Desk, Errand};
use super::idle::Idle;
use super::leases::Leases;
use super::visit::{Visited, Visitor};
use crate::closing::{AT_ONCE, Closing, Wish, until};
use crate::count::Count;
use crate::ending::Ending;
use crate::frontier::store::{Backoff, is_lease_over, is_passing};
use crate::output::{BEAT, Output};
use crate::page::Fate;
use crate::progress::Figures;
use crate::summary::Tally;

/// How a worker works.
pub(super) struct Plan {
    pub(super) concurrency: usize,
    pub(super) fail_fast: bool,
    pub(super) lease: Duration,
    /// Nothing left is no end.
    pub(super) follow: bool,
    /// Somebody watches a bar.
    pub(super) progress: bool,
}

pub(super) struct Worker {
    plan: Plan,
    visitor: Arc<Visitor>,
    pub(super) output: Output,
    pub(super) tally: Tally,
    /// Under way: never more than `concurrency`.
    pages: JoinSet<Result<Visited, Error>>,
    leases: Leases,
    /// None during an exchange.
    desk: Option<Desk>,
    exchange: Option<JoinHandle<(Desk, Errand, anyhow::Result<Answer>)>>,
    /// Pages were given up that the database may still hold for this worker's own.
    has_given_up: bool,
    timing: Timing,
    idle: Idle,
    backoff: Backoff,
    /// It has been said that the database fails.
    in_trouble: bool,
    /// Why no more pages are begun.
    pub(super) stop: Option<Ending>,
}

/// When to deal with the database.
struct Timing {
    /// What is held is this worker's own until then.
    lease_ends: Option<Instant>,
    renew_at: Instant,
    /// There may be something to claim.
    look_at: Instant,
    /// It has failed, and is left alone until then.
    not_before: Instant,
}

impl Worker {
    pub(super) fn new(plan: Plan, visitor: Arc<Visitor>, output: Output, desk: Desk) -> Self {
        let now = Instant::now();
        Self {
            plan,
            visitor,
            output,
            tally: Tally::default(),
            pages: JoinSet::new(),
            leases: Leases::default(),
            desk: Some(desk),
            exchange: None,
            has_given_up: false,
            timing: Timing { lease_ends: None, renew_at: now, look_at: now, not_before: now },
            idle: Idle::new(),
            backoff: Backoff::default(),
            in_trouble: false,
            stop: None,
        }
    }

    /// Works until nothing is left, or something asks for the end.
    ///
    /// # Errors
    ///
    /// What has no remedy: a right that was taken away, a table that is gone, a password that is no
    /// longer right. No page is to blame for that.
    pub(super) async fn run(&mut self, closing: &mut Closing) -> anyhow::Result<()> {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.is_over() {
            self.begin_exchange();
            let room = !self.output.is_full() || closing.has_begun();
            let (lease_ends, next_exchange) = (self.timing.lease_ends, self.next_exchange());
            tokio::select! {
                biased;
                wish = closing.wish() => match wish {
                    Wish::WindDown(signal) => self.wind_down(signal, closing),
                    Wish::EndNow => break,
                },
                () = until(lease_ends) => self.lose_lease(),
                _ = beat.tick(), if self.plan.progress => self.show(),
                handed = self.output.hand_over(), if self.output.is_due() => match handed {
                    Ok(written) => self.leases.handed_over(written),
                    Err(_) => {
                        // Why is told by its end.
                        self.stop = Some(self.stop.unwrap_or(Ending::PipeClosed));
                        break;
                    }
                },
                written = self.leases.written() => if !written {
                    self.stop = Some(self.stop.unwrap_or(Ending::PipeClosed));
                    break;
                },
                Some(visited) = self.pages.join_next(), if room => self.visited(visited?.context("the login is over")?)?,
                (desk, errand, answer) = ended(&mut self.exchange) => {
                    self.desk = Some(desk);
                    self.answered(errand, answer)?;
                }
                () = until(next_exchange) => {}
            }
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        match self.stop {
            Some(Ending::FailedFast | Ending::Complete { .. }) => true,
            Some(_) => self.pages.is_empty() && self.leases.len() == 0,
            None => false,
        }
    }

    /// How many more may be begun.
    fn room(&self) -> usize {
        if self.stop.is_some() || self.output.is_full() {
            return 0;
        }
        let most = self.plan.concurrency;
        // While some are written and settled, others are under way; but not without end.
        most.saturating_sub(self.pages.len()).min((2 * most).saturating_sub(self.leases.len()))
    }

    /// When to deal with the database next, unless that is under way.
    fn next_exchange(&self) -> Option<Instant> {
        let Timing { renew_at, look_at, not_before, .. } = self.timing;
        let at = match () {
            () if self.exchange.is_some() => return None,
            () if self.has_given_up || self.leases.has_settlements() => not_before,
            () if self.room() > 0 => renew_at.min(look_at),
            () => renew_at,
        };
        Some(at.max(not_before))
    }

    fn begin_exchange(&mut self) {
        if self.next_exchange().is_none_or(|at| at > Instant::now()) {
            return;
        }
        let Some(mut desk) = self.desk.take() else { return };
        if mem::take(&mut self.has_given_up) {
            desk.come_again();
        }
        let (held, room) = (self.leases.held(), self.room());
        let errand = Errand { settled: self.leases.take_settlements(), held, room };
        self.exchange = Some(tokio::spawn(async move {
            let answer = desk.exchange(&errand).await;
            (desk, errand, answer)
        }));
    }

    fn answered(&mut self, errand: Errand, answer: anyhow::Result<Answer>) -> anyhow::Result<()> {
        let now = Instant::now();
        match answer {
            Ok(answer) => {
                self.leases.settled(&errand.settled);
                if self.in_trouble {
                    self.note("the frontier answers again");
                }
                (self.in_trouble, self.backoff) = (false, Backoff::default());
                self.timing.renew_at = now + self.plan.lease / 3;
                // Its pages are given up before others begin with them.
                self.timing.lease_ends = Some(answer.until - self.plan.lease / 20);
                self.claimed(answer, errand.room, now);
            }
            Err(error) => {
                self.leases.unsettled(errand.settled);
                if is_lease_over(&error) {
                    self.lose_lease();
                } else if !is_passing(&error) {
                    return Err(error);
                } else if !self.in_trouble {
                    self.in_trouble = true;
                    self.note(&format!("the frontier fails, and is tried again: {error:#}"));
                }
                self.timing.not_before = now + self.backoff.next();
            }
        }
        Ok(())
    }

    fn claimed(&mut self, answer: Answer, room: usize, now: Instant) {
        let nothing = answer.rest.is_some_and(|rest| rest.is_nothing()) && self.leases.len() == 0;
        if nothing && !self.plan.follow {
            self.stop = self.stop.or(Some(Ending::Complete { failed: self.tally.failed }));
        }
        if !answer.claimed.is_empty() {
            self.idle = Idle::new();
        }
        if answer.claimed.len() < room {
            self.timing.look_at = self.idle.look_at(now, answer.rest.and_then(|rest| rest.look_in));
        }
        for url in answer.claimed {
            if self.leases.claimed(url.id) {
                let visitor = self.visitor.clone();
                self.pages.spawn(async move { visitor.visit(url).await });
            }
        }
    }

    /// What is under way belongs to nobody, or to others.
    fn lose_lease(&mut self) {
        self.timing.lease_ends = None;
        // The database may think otherwise, if only its answer was late.
        self.has_given_up = true;
        let lost = self.pages.len();
        // Dropped, they are cancelled.
        self.pages = JoinSet::new();
        self.leases.lost();
        if lost > 0 {
            self.note(&format!("the lease is over: {} under way left to others", Count(lost as u64, "page")));
        }
    }

    fn visited(&mut self, visited: Visited) -> anyhow::Result<()> {
        let Visited { page, settlement } = visited;
        let Some(page) = page else {
            self.leases.put_back(settlement);
            return Ok(());
        };
        self.tally.count(&page);
        self.output.page(&page)?;
        match page.fate {
            Fate::GivenUp => {
                self.tally.given_up += 1;
                self.leases.put_back(settlement);
            }
            Fate::Fetched | Fate::Refused | Fate::Failed => {
                self.output.beat();
                self.leases.ended(settlement);
            }
        }
        if self.plan.fail_fast && matches!(page.fate, Fate::Refused | Fate::Failed) {
            self.stop = self.stop.or(Some(Ending::FailedFast));
        }
        Ok(())
    }

    fn note(&mut self, text: &str) {
        self.output.note(text);
        self.output.beat();
    }

    fn show(&mut self) {
        let (stats, done) = (self.visitor.session().stats(), self.tally.pages);
        self.output.figures(Figures { done, total: None, open: stats.open, waiting: stats.waiting });
        self.output.beat();
    }

    fn wind_down(&mut self, signal: u8, closing: &mut Closing) {
        self.stop = Some(Ending::Signal(signal));
        if !self.pages.is_empty() {
            self.note("finishing the pages under way; once more to end at once");
        }
        closing.begin(self.visitor.session());
    }

    /// Cancels what is under way, and hands over the last lines, unless nobody takes them.
    pub(super) async fn end(&mut self) {
        self.tally.given_up += self.pages.len() as u64;
        self.pages.shutdown().await;
        if let Ok(Ok(written)) = timeout(AT_ONCE, self.output.hand_over()).await {
            self.leases.handed_over(written);
        }
    }

    /// Says what came of the pages, once it is known whether all lines are written, and gives the
    /// rest back.
    ///
    /// # Errors
    ///
    /// If the database fails: what is left is others' when the lease is over.
    pub(super) async fn leave(&mut self, all_written: bool) -> anyhow::Result<()> {
        if all_written {
            self.leases.all_written();
        } else {
            self.leases.written_so_far();
        }
        if self.exchange.is_some() {
            let (desk, errand, answer) = ended(&mut self.exchange).await;
            self.desk = Some(desk);
            if answer.is_err() {
                self.leases.unsettled(errand.settled);
            }
        }
        match self.desk.take() {
            Some(desk) => desk.leave(&self.leases.take_settlements()).await,
            None => Ok(()),
        }
    }
}

/// Waits for the end of an exchange. For ever, if none is under way.
///
/// # Cancel safety
///
/// Nothing is lost.
async fn ended<T>(exchange: &mut Option<JoinHandle<T>>) -> T {
    let ended = match exchange {
        Some(exchange) => exchange.await,
        None => return std::future::pending().await,
    };
    *exchange = None;
    match ended {
        Ok(ended) => ended,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is ending.
        Err(_) => std::future::pending().await,
    }
}
