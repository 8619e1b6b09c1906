//! Login state of a scraper: the current login, and the limits on renewing it.

use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use trunkline::Session;
use url::Url;

use crate::document::Parser;
use crate::error::{Error, Result};
use crate::login::{Login, LoginPage};
use crate::login::{LoginContext, Renew};
use crate::page::Page;
use crate::retries;

/// Consecutive logins that may serve no page. Beyond that another login does not help, and servers
/// lock accounts.
const MAX_USELESS_LOGINS: u32 = 3;

/// Login state that a scraper shares with its clones.
#[derive(Default)]
pub(crate) struct LoginState {
    current: StdMutex<LoginSnapshot>,
    /// Held while logging in; other pages wait for it.
    renewing: Mutex<()>,
}

/// Copy of the login state at one moment.
#[derive(Clone, Default)]
pub(crate) struct LoginSnapshot {
    /// Number of logins so far.
    pub(crate) turn: u64,
    pub(crate) login: Option<Arc<ActiveLogin>>,
    /// True if a page has been fetched with this login.
    pub(crate) useful: bool,
    /// Number of consecutive logins before this one that served no page.
    useless_logins: u32,
    /// Failed attempts to renew this login: they are not repeated for each page.
    failed: Option<FailedRenewal>,
}

/// A login that has worked.
pub(crate) struct ActiveLogin {
    pub(crate) login: Login,
    /// Renewal given by the caller.
    renew: Option<Arc<dyn Renew>>,
    login_page: LoginPage,
}

#[derive(Clone)]
struct FailedRenewal {
    why: String,
    attempts: u32,
    /// Time of the next attempt. None if it would fail the same way.
    until: Option<Instant>,
}

impl ActiveLogin {
    /// Login with a renewal of the caller's. `at` is taken for its login page until the form has
    /// been found.
    pub(crate) fn shared(login: Login, renew: Arc<dyn Renew>, at: Url) -> Self {
        Self { login, renew: Some(renew), login_page: LoginPage::at(at) }
    }

    /// True if the page means that this login has expired.
    pub(crate) fn is_over(&self, page: &Page) -> bool {
        self.login.is_over(page, &self.login_page)
    }

    /// Logs in again in the same way.
    async fn again(&self, session: &Session, parser: &Parser) -> Result<Self> {
        let Self { login, renew, login_page } = self;
        let mut found = None;
        let context = LoginContext { session, parser, login, login_page: &mut found };
        match renew {
            Some(renew) => renew.renew(context).await?,
            None => context.log_in().await.map(drop)?,
        }
        Ok(Self { login: login.clone(), renew: renew.clone(), login_page: found.unwrap_or_else(|| login_page.clone()) })
    }
}

impl LoginState {
    /// Logs in, and keeps the login for renewals.
    pub(crate) async fn login(&self, session: &Session, parser: &Parser, login: Login) -> Result<Page> {
        let _turn = self.renewing.lock().await;
        let (page, login_page) = login.perform(session, parser).await?;
        self.entered(ActiveLogin { login, renew: None, login_page }, 0);
        Ok(page)
    }

    /// Logs in through the caller's renewal, and keeps it.
    pub(crate) async fn login_with(&self, session: &Session, parser: &Parser, known: ActiveLogin) -> Result<()> {
        let _turn = self.renewing.lock().await;
        self.entered(known.again(session, parser).await?, 0);
        Ok(())
    }

    /// Logs in again, unless that has happened since this turn.
    pub(crate) async fn renew(&self, session: &Session, parser: &Parser, turn: u64) -> Result<()> {
        let _turn = self.renewing.lock().await;
        let LoginSnapshot { turn: now, login, failed, useful, useless_logins } = self.current();
        let Some(known) = login.filter(|_| now == turn) else { return Ok(()) };
        if let Some(error) = failed.as_ref().and_then(FailedRenewal::stands) {
            return Err(error);
        }
        let useless_logins = if useful { 0 } else { useless_logins + 1 };
        if useless_logins > MAX_USELESS_LOGINS {
            return Err(Error::login(format!("logged in {useless_logins} times, and no page could be fetched")));
        }
        match known.again(session, parser).await {
            Ok(known) => {
                self.entered(known, useless_logins);
                Ok(())
            }
            Err(error) => Err(self.failed(error, failed.map_or(0, |failed| failed.attempts) + 1)),
        }
    }

    fn entered(&self, known: ActiveLogin, useless_logins: u32) {
        let mut current = self.lock();
        let turn = current.turn + 1;
        *current = LoginSnapshot { turn, login: Some(Arc::new(known)), useless_logins, ..LoginSnapshot::default() };
    }

    /// Records a failed renewal: after a passing failure it is repeated after a pause, a refused
    /// password is not sent again.
    fn failed(&self, error: Error, attempts: u32) -> Error {
        let passing = error.is_passing();
        let pause = passing.then(|| error.pause().unwrap_or_else(|| retries::backoff(attempts)));
        let until = pause.map(|pause| Instant::now() + pause);
        self.lock().failed = Some(FailedRenewal { why: error.to_string(), attempts, until });
        if passing { error.pausing(pause) } else { error.shut_out() }
    }

    pub(crate) fn current(&self) -> LoginSnapshot {
        self.lock().clone()
    }

    pub(crate) fn mark_useful(&self, turn: u64) {
        let mut current = self.lock();
        current.useful |= current.turn == turn;
    }

    fn lock(&self) -> MutexGuard<'_, LoginSnapshot> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FailedRenewal {
    /// The error, until the time of the next attempt.
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
