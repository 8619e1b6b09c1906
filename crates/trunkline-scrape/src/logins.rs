//! What a scraper logs in with: one login at a time, kept for the next.

use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use tokio::sync::Mutex;
use trunkline::Session;
use url::Url;

use crate::document::Parser;
use crate::error::{Error, Result};
use crate::login::Login;
use crate::page::Page;

/// So many logins one after another may let nobody in. Then it is not the login that is missing, and servers lock accounts.
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
    /// What the attempt to follow this turn came to, if it failed: it is not made again for each page.
    failed: Option<String>,
}

/// A login that has worked.
pub(crate) struct Known {
    pub(crate) login: Login,
    /// Where its form was.
    pub(crate) at: Url,
}

impl Logins {
    /// Logs in, and keeps what it takes to do so again.
    pub(crate) async fn login(&self, session: &Session, parser: &Parser, login: Login) -> Result<Page> {
        let _turn = self.renewing.lock().await;
        self.perform(session, parser, login, 0).await
    }

    /// Logs in again, unless somebody has since this turn.
    pub(crate) async fn renew(&self, session: &Session, parser: &Parser, turn: u64) -> Result<()> {
        let _turn = self.renewing.lock().await;
        let Current { turn: now, login, failed, let_in, in_vain } = self.current();
        let Some(known) = login.filter(|_| now == turn) else { return Ok(()) };
        if let Some(failed) = failed {
            return Err(Error::login(failed));
        }
        let in_vain = if let_in { 0 } else { in_vain + 1 };
        if in_vain > MOST_IN_VAIN {
            return Err(Error::login(format!("logged in {in_vain} times, and no page was to be had")));
        }
        let done = self.perform(session, parser, known.login.clone(), in_vain).await;
        if let Err(error) = &done
            && !error.is_passing()
        {
            // What broke on the way may go well the next time; a password does not become right.
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            current.failed = Some(error.to_string());
        }
        done.map(drop)
    }

    async fn perform(&self, session: &Session, parser: &Parser, login: Login, in_vain: u32) -> Result<Page> {
        let (page, at) = login.perform(session, parser).await?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = current.turn + 1;
        *current = Current { turn, login: Some(Arc::new(Known { login, at })), in_vain, ..Current::default() };
        Ok(page)
    }

    pub(crate) fn current(&self) -> Current {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn let_in(&self, turn: u64) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.let_in |= current.turn == turn;
    }
}
