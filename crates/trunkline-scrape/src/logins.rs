//! What a scraper logs in with: one login at a time, kept for the next, and the rules of when it is
//! enough.

use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use trunkline::Session;
use url::Url;

use crate::document::Parser;
use crate::error::{Error, Result};
use crate::login::{Door, Login};
use crate::page::Page;
use crate::renew::{Entrance, Renew};
use crate::retries;

/// So many logins one after another may let nobody in. Then it is not the login that is missing,
/// and servers lock accounts.
const MOST_IN_VAIN: u32 = 3;

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
    pub(crate) let_in: bool,
    /// How many logins before this one let nobody in, since one that did.
    in_vain: u32,
    /// What the attempts to follow this turn came to, if they failed: they are not made for each
    /// page.
    failed: Option<Failed>,
}

/// A login that has worked.
pub(crate) struct Known {
    pub(crate) login: Login,
    /// What it is shared through.
    renew: Option<Arc<dyn Renew>>,
    door: Door,
}

#[derive(Clone)]
struct Failed {
    why: String,
    attempts: u32,
    /// Until then it is not tried again; never, if it would fail the same way.
    until: Option<Instant>,
}

impl Known {
    /// Until its form has been found, that is taken to be at this address.
    pub(crate) fn shared(login: Login, renew: Arc<dyn Renew>, at: Url) -> Self {
        Self { login, renew: Some(renew), door: Door::at(at) }
    }

    /// Does this page say that it has run out?
    pub(crate) fn is_over(&self, page: &Page) -> bool {
        self.login.is_over(page, &self.door)
    }

    /// The next one of its kind.
    async fn again(&self, session: &Session, parser: &Parser) -> Result<Self> {
        let Self { login, renew, door } = self;
        let mut found = None;
        let entrance = Entrance { session, parser, login, door: &mut found };
        match renew {
            Some(renew) => renew.renew(entrance).await?,
            None => entrance.log_in().await.map(drop)?,
        }
        Ok(Self { login: login.clone(), renew: renew.clone(), door: found.unwrap_or_else(|| door.clone()) })
    }
}

impl Logins {
    /// Logs in, and keeps what it takes to do so again.
    pub(crate) async fn login(&self, session: &Session, parser: &Parser, login: Login) -> Result<Page> {
        let _turn = self.renewing.lock().await;
        let (page, door) = login.perform(session, parser).await?;
        self.entered(Known { login, renew: None, door }, 0);
        Ok(page)
    }

    /// The same, through the one that it is shared through.
    pub(crate) async fn login_with(&self, session: &Session, parser: &Parser, known: Known) -> Result<()> {
        let _turn = self.renewing.lock().await;
        self.entered(known.again(session, parser).await?, 0);
        Ok(())
    }

    /// Logs in again, unless somebody has since this turn.
    pub(crate) async fn renew(&self, session: &Session, parser: &Parser, turn: u64) -> Result<()> {
        let _turn = self.renewing.lock().await;
        let Current { turn: now, login, failed, let_in, in_vain } = self.current();
        let Some(known) = login.filter(|_| now == turn) else { return Ok(()) };
        if let Some(error) = failed.as_ref().and_then(Failed::stands) {
            return Err(error);
        }
        let in_vain = if let_in { 0 } else { in_vain + 1 };
        if in_vain > MOST_IN_VAIN {
            return Err(Error::login(format!("logged in {in_vain} times, and no page was to be had")));
        }
        match known.again(session, parser).await {
            Ok(known) => {
                self.entered(known, in_vain);
                Ok(())
            }
            Err(error) => Err(self.failed(error, failed.map_or(0, |failed| failed.attempts) + 1)),
        }
    }

    fn entered(&self, known: Known, in_vain: u32) {
        let mut current = self.lock();
        let turn = current.turn + 1;
        *current = Current { turn, login: Some(Arc::new(known)), in_vain, ..Current::default() };
    }

    /// What broke on the way may go well in a while; a password does not become right.
    fn failed(&self, error: Error, attempts: u32) -> Error {
        let passing = error.is_passing();
        let pause = passing.then(|| error.pause().unwrap_or_else(|| retries::backoff(attempts)));
        let until = pause.map(|pause| Instant::now() + pause);
        self.lock().failed = Some(Failed { why: error.to_string(), attempts, until });
        if passing { error.pausing(pause) } else { error.shut_out() }
    }

    pub(crate) fn current(&self) -> Current {
        self.lock().clone()
    }

    pub(crate) fn let_in(&self, turn: u64) {
        let mut current = self.lock();
        current.let_in |= current.turn == turn;
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failed {
    /// Its error, for as long as there is no other attempt.
    fn stands(&self) -> Option<Error> {
        let error = || Error::login(self.why.clone());
        match self.until {
            None => Some(error().shut_out()),
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                (left > Duration::ZERO).then(|| error().passing(true).pausing(Some(left)))
            }
        }
    }
}
