//! One session, logged in, for many pages.

use std::fmt;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use tokio::sync::Mutex;
use trunkline::Session;
use url::Url;

use crate::document::Parser;
use crate::error::{Error, Result};
use crate::login::Login;
use crate::page::Page;

/// One session, logged in, for many pages. A cheap handle: what it logs in with is shared by its clones.
///
/// ```no_run
/// use trunkline::Session;
/// use trunkline_scrape::{Login, Scraper};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let session = Session::new();
/// let scraper = Scraper::new(session.clone());
/// let login = Login::at("https://example.com/login").field("user", "ann").field("pass", std::env::var("PASSWORD")?);
/// scraper.login(login).await?;
///
/// let page = scraper.get("https://example.com/account").await?;
/// println!("{} {} bytes", page.status, page.body.len());
/// # session.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Scraper {
    session: Session,
    parser: Parser,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    current: StdMutex<Current>,
    /// Held by the one that logs in; the others wait for it.
    renewing: Mutex<()>,
}

/// What the pages that are fetched now are fetched with.
#[derive(Clone, Default)]
struct Current {
    /// How many logins there have been.
    turn: u64,
    login: Option<Arc<Known>>,
    /// Has a page been fetched with it?
    let_in: bool,
    /// What the attempt to follow this turn came to, if it failed: it is not made again for each page.
    failed: Option<String>,
}

/// So often a page may find that the login has run out since it logged in for it: under load, others use up what the login is good for.
const RENEWALS: usize = 3;

/// A login that has worked.
struct Known {
    login: Login,
    /// Where its form was.
    at: Url,
}

impl Scraper {
    /// Over this session. It stays the caller's to close.
    pub fn new(session: Session) -> Self {
        Self { session, parser: Parser::default(), shared: Arc::default() }
    }

    /// How pages are read: the most that is read of one. Default: that of a [`Parser`].
    #[must_use = "it is the scraper returned that reads so"]
    pub fn parser(self, parser: Parser) -> Self {
        Self { parser, ..self }
    }

    /// The session.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Logs in, and keeps what it takes to do so again. What comes out is the page that it led to.
    ///
    /// # Errors
    ///
    /// One that [`is_login`](Error::is_login), if what is [expected](Login::expect) is not met; one that [`is_input`](Error::is_input), if the page has no such
    /// form or field; what [the session says](Error::http); and a page beyond the limits. Passwords are not told.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it may have logged in or not: the session has the cookies it was given, and [`get`](Self::get) does not know of the login.
    pub async fn login(&self, login: Login) -> Result<Page> {
        let _turn = self.shared.renewing.lock().await;
        self.perform(login).await
    }

    /// A page, whatever its status. If the login has run out, it logs in again, once, and fetches the page again; all that find out at the same time
    /// wait for that one login. (Should it run out once more before the page is there, it does so once more, up to three times.)
    ///
    /// # Errors
    ///
    /// What [the session says](Error::http), a page beyond the limits, and one that [`is_login`](Error::is_login) if it had to log in again and could
    /// not, or if that was no remedy. A login that has failed is not tried again for other pages, unless it was the connection that failed, or the
    /// server (429, 5xx).
    ///
    /// # Cancel safety
    ///
    /// Dropped while it logs in again, it leaves that to the next one that waits.
    pub async fn get(&self, url: impl AsRef<str>) -> Result<Page> {
        let mut renewals = 0;
        loop {
            let before = self.shared.current();
            let page = self.fetch(url.as_ref()).await?;
            let Some(known) = before.login else { return Ok(page) };
            if !known.login.is_over(&page, &known.at) {
                self.shared.let_in(before.turn);
                return Ok(page);
            }
            // A login that has not let anybody in yet has not run out either.
            let useless = renewals > 0 && !self.shared.current().let_in;
            if useless || renewals == RENEWALS {
                let status = page.status;
                return Err(Error::login(format!(
                    "logged in again, and still the page is not to be had (status {status})"
                )));
            }
            self.renew(before.turn).await?;
            renewals += 1;
        }
    }

    async fn fetch(&self, url: &str) -> Result<Page> {
        self.parser.page(self.session.get(url).await?).await
    }

    /// Logs in again, unless somebody has since this turn.
    async fn renew(&self, turn: u64) -> Result<()> {
        let _turn = self.shared.renewing.lock().await;
        let Current { turn: now, login, failed, .. } = self.shared.current();
        let Some(known) = login.filter(|_| now == turn) else { return Ok(()) };
        if let Some(failed) = failed {
            return Err(Error::login(failed));
        }
        let done = self.perform(known.login.clone()).await;
        if let Err(error) = &done
            && !error.is_passing()
        {
            // What broke on the way may go well the next time; a password does not become right.
            let mut current = self.shared.current.lock().unwrap_or_else(PoisonError::into_inner);
            current.failed = Some(error.to_string());
        }
        done.map(drop)
    }

    async fn perform(&self, login: Login) -> Result<Page> {
        let (page, at) = login.perform(&self.session, &self.parser).await?;
        let mut current = self.shared.current.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = current.turn + 1;
        *current = Current { turn, login: Some(Arc::new(Known { login, at })), ..Current::default() };
        Ok(page)
    }
}

impl Shared {
    fn let_in(&self, turn: u64) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.let_in |= current.turn == turn;
    }

    fn current(&self) -> Current {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Scraper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let current = self.shared.current();
        f.debug_struct("Scraper")
            .field("session", &self.session)
            .field("logins", &current.turn)
            .field("login", &current.login.map(|known| known.login.clone()))
            .finish_non_exhaustive()
    }
}
