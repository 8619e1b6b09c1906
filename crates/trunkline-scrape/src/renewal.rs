//! A login that has run out, found out by a page: renewed once for all who find out.

use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use http::StatusCode;
use tokio::sync::Mutex;
use url::Url;

use crate::error::{Error, Result};
use crate::login::Login;
use crate::page::Page;
use crate::scraper::Scraper;

/// So often a page may find that the login has run out since it logged in for it: under load, others use up what the login is good for.
const MOST: usize = 3;

/// What a scraper and its clones log in with.
#[derive(Default)]
pub(crate) struct Logins {
    current: StdMutex<Current>,
    /// Held by the one that logs in; the others wait for it.
    renewing: Mutex<()>,
}

/// What the pages that are fetched now are fetched with.
#[derive(Clone, Default)]
pub(crate) struct Current {
    /// How many logins there have been.
    pub(crate) turn: u64,
    pub(crate) login: Option<Arc<Known>>,
    /// Has a page been fetched with it?
    let_in: bool,
    /// What the attempt to follow this turn came to, if it failed: it is not made again for each page.
    failed: Option<String>,
}

/// A login that has worked.
pub(crate) struct Known {
    pub(crate) login: Login,
    /// Where its form was.
    pub(crate) at: Url,
}

/// What one page makes of the login. It is asked for again for as long as the login was over and could be renewed.
pub(crate) struct Renewal<'a> {
    scraper: &'a Scraper,
    before: Current,
    renewals: usize,
}

impl Logins {
    /// Logs in, and keeps what it takes to do so again.
    pub(crate) async fn login(&self, scraper: &Scraper, login: Login) -> Result<Page> {
        let _turn = self.renewing.lock().await;
        self.perform(scraper, login).await
    }

    /// Logs in again, unless somebody has since this turn.
    async fn renew(&self, scraper: &Scraper, turn: u64) -> Result<()> {
        let _turn = self.renewing.lock().await;
        let Current { turn: now, login, failed, .. } = self.current();
        let Some(known) = login.filter(|_| now == turn) else { return Ok(()) };
        if let Some(failed) = failed {
            return Err(Error::login(failed));
        }
        let done = self.perform(scraper, known.login.clone()).await;
        if let Err(error) = &done
            && !error.is_passing()
        {
            // What broke on the way may go well the next time; a password does not become right.
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            current.failed = Some(error.to_string());
        }
        done.map(drop)
    }

    async fn perform(&self, scraper: &Scraper, login: Login) -> Result<Page> {
        let (page, at) = login.perform(scraper.session(), scraper.parses()).await?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = current.turn + 1;
        *current = Current { turn, login: Some(Arc::new(Known { login, at })), ..Current::default() };
        Ok(page)
    }

    pub(crate) fn current(&self) -> Current {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn let_in(&self, turn: u64) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.let_in |= current.turn == turn;
    }
}

impl<'a> Renewal<'a> {
    pub(crate) fn new(scraper: &'a Scraper) -> Self {
        Self { scraper, before: scraper.logins().current(), renewals: 0 }
    }

    /// Is there a login that could be over?
    pub(crate) fn is_possible(&self) -> bool {
        self.before.login.is_some()
    }

    /// Does this page say that it is?
    pub(crate) fn is_over(&self, page: &Page) -> bool {
        self.before.login.as_ref().is_some_and(|known| known.login.is_over(page, &known.at))
    }

    /// The page is one from behind the login.
    pub(crate) fn let_in(&self) {
        if self.is_possible() {
            self.scraper.logins().let_in(self.before.turn);
        }
    }

    /// Logs in again. `status` is that of the page which said that the login is over.
    pub(crate) async fn renew(&mut self, status: StatusCode) -> Result<()> {
        // A login that has not let anybody in yet has not run out either.
        let useless = self.renewals > 0 && !self.scraper.logins().current().let_in;
        if useless || self.renewals == MOST {
            let told = format!("logged in again, and still the page is not to be had (status {status})");
            return Err(Error::login(told));
        }
        self.scraper.logins().renew(self.scraper, self.before.turn).await?;
        self.renewals += 1;
        self.before = self.scraper.logins().current();
        Ok(())
    }
}
