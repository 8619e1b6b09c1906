//! One login for all workers: who logs in leaves the cookies on the frontier, and the others take them from there.

use std::sync::{Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::anyhow;
use http::StatusCode;
use tokio::sync::Mutex;
use trunkline::{CookieJar, Response, Session};
use trunkline_scrape::Scraper;

use super::address::Address;
use super::store::{LoginTurn, Store, is_passing};
use crate::login::Prepared;

/// So often a page may find that the login has run out since it logged in for it: under load, others use up what the login is good for.
const MOST: u32 = 3;

/// So many logins one after another may let nobody in. Then it is not the login that is missing, and servers lock accounts.
const MOST_IN_VAIN: u32 = 3;

/// Before it is tried again, where the failure may pass.
const PAUSE: Duration = Duration::from_secs(1);

/// The login of a worker.
pub(super) struct SharedLogin {
    address: Address,
    /// Workers know it by the address of its form, as it was given.
    prepared: Prepared,
    /// Over the worker's session. It alone knows of a login, so that no page logs in by itself.
    door: Scraper,
    current: StdMutex<Current>,
    /// Held by the page that renews it; the others wait for it.
    renewing: Mutex<()>,
}

/// What pages are fetched with now.
#[derive(Clone, Default)]
struct Current {
    /// How many logins of all workers there have been.
    turn: i64,
    /// Has a page been fetched with it?
    let_in: bool,
    /// How many logins before this one, of this worker or others, let no page of this worker in, since one that did.
    in_vain: u32,
    /// What the attempt to follow this turn came to, if there is no use in another.
    failed: Option<String>,
}

/// What one page makes of the login.
pub(super) struct Entry<'a> {
    login: &'a SharedLogin,
    before: Current,
    renewals: u32,
}

/// Why a page stays outside.
pub(super) struct Outside {
    pub(super) cause: anyhow::Error,
    /// It may be otherwise in that time.
    pub(super) passing: Option<Duration>,
}

impl SharedLogin {
    pub(super) fn new(address: Address, session: Session, prepared: Prepared) -> Self {
        let door = Scraper::new(session);
        Self { address, prepared, door, current: StdMutex::default(), renewing: Mutex::default() }
    }

    /// Takes over what another worker has left, or logs in.
    ///
    /// # Errors
    ///
    /// Neither is possible.
    pub(super) async fn enter(&self) -> anyhow::Result<()> {
        self.renew(0).await.map_err(|outside| outside.cause)
    }

    pub(super) fn entry(&self) -> Entry<'_> {
        Entry { login: self, before: self.current().clone(), renewals: 0 }
    }

    /// Logs in, unless another page or another worker has since this turn.
    async fn renew(&self, turn: i64) -> Result<(), Outside> {
        let _turn = self.renewing.lock().await;
        let before = self.current().clone();
        if before.turn != turn {
            return Ok(());
        }
        if let Some(failed) = before.failed {
            return Err(Outside { cause: anyhow!(failed), passing: None });
        }
        // None is in vain before the first.
        let in_vain = if before.let_in || turn == 0 { 0 } else { before.in_vain + 1 };
        if in_vain > MOST_IN_VAIN {
            return Err(Outside {
                cause: anyhow!("logged in {in_vain} times, and no page was to be had"),
                passing: None,
            });
        }
        let mut store = Store::connect(&self.address).await.map_err(Outside::of_database)?;
        let renewed = self.renew_in(&mut store, turn, in_vain).await;
        store.close().await;
        if let Err(Outside { cause, passing: None }) = &renewed {
            self.current().failed = Some(format!("{cause:#}"));
        }
        renewed
    }

    async fn renew_in(&self, store: &mut Store, turn: i64, in_vain: u32) -> Result<(), Outside> {
        store.take_turn(&self.prepared.url).await.map_err(Outside::of_database)?;
        let last = store.last_login(&self.prepared.url).await.map_err(Outside::of_database)?;
        if let Some(last) = last.as_ref().filter(|last| last.turn > turn) {
            return self.take_over(last, in_vain);
        }
        self.door.login(self.prepared.login.clone()).await.map_err(Outside::of_login)?;
        let cookies = self.door.session().cookies().to_netscape();
        let turn = last.map_or(0, |last| last.turn).max(turn) + 1;
        let login = LoginTurn { turn, cookies };
        *self.current() = Current { turn, in_vain, ..Current::default() };
        // Without it others log in for themselves.
        store.leave_login(&self.prepared.url, &login).await.map_err(Outside::of_database)
    }

    fn take_over(&self, login: &LoginTurn, in_vain: u32) -> Result<(), Outside> {
        let jar =
            CookieJar::from_netscape(&login.cookies).map_err(|error| Outside { cause: error.into(), passing: None })?;
        self.door.session().cookies().extend(&jar);
        *self.current() = Current { turn: login.turn, in_vain, ..Current::default() };
        Ok(())
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry<'_> {
    /// Does this answer say that nobody is logged in?
    pub(super) fn is_outside(&self, response: &Response) -> bool {
        self.login.prepared.over.says(response.status(), response.url())
    }

    /// The page is one from behind the login.
    pub(super) fn let_in(&self) {
        let mut current = self.login.current();
        current.let_in |= current.turn == self.before.turn;
    }

    /// Sees to it that the page may be asked for again. `status` is what it answered with.
    ///
    /// # Errors
    ///
    /// If there is no use in that.
    pub(super) async fn renew(&mut self, status: StatusCode) -> Result<(), Outside> {
        // A login that has not let anybody in yet has not run out either.
        let useless = self.renewals > 0 && !self.login.current().let_in;
        if useless || self.renewals == MOST {
            let cause = anyhow!("logged in again, and still the page is not to be had (status {status})");
            return Err(Outside { cause, passing: None });
        }
        self.login.renew(self.before.turn).await?;
        self.renewals += 1;
        self.before = self.login.current().clone();
        Ok(())
    }
}

impl Outside {
    fn of_database(cause: anyhow::Error) -> Self {
        let passing = is_passing(&cause).then_some(PAUSE);
        Self { cause, passing }
    }

    fn of_login(error: trunkline_scrape::Error) -> Self {
        // What broke on the way may go well the next time; a password does not become right.
        let passing = error.http().map(|_| PAUSE);
        Self { cause: error.into(), passing }
    }
}
