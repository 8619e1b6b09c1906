//! One session, logged in, for many pages.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use trunkline::Session;
use url::Url;

use crate::document::Parser;
use crate::error::{Error, Result};
use crate::login::Login;
use crate::login::Renew;
use crate::login::{ActiveLogin, LoginState};
use crate::page::Page;
use crate::robots::Robots;

/// One session, logged in, for many pages. A cheap handle: what it logs in with is shared by its
/// clones.
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
    logins: Arc<LoginState>,
    settings: Settings,
}

/// The settings of a scraper.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) concurrency: usize,
    pub(crate) retries: u32,
    pub(crate) delay: Duration,
    pub(crate) robots: Option<Arc<Robots>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { concurrency: 16, retries: 2, delay: Duration::ZERO, robots: None }
    }
}

impl Settings {
    /// The greatest number of attempts at a page.
    pub(crate) fn attempts(&self) -> u32 {
        self.retries.saturating_add(1)
    }
}

impl Scraper {
    /// Over this session. It stays the caller's to close.
    pub fn new(session: Session) -> Self {
        Self { session, parser: Parser::default(), logins: Arc::default(), settings: Settings::default() }
    }

    /// Sets the parser of pages, with its limits. Default: that of a [`Parser`].
    #[must_use = "it is the scraper returned that reads so"]
    pub fn parser(self, parser: Parser) -> Self {
        Self { parser, ..self }
    }

    /// The largest page, in bytes, after decompression: that of its [parser](Self::parser). A
    /// larger one is an error that [`is_page`](Error::is_page). Default: 10 MiB.
    #[must_use = "it is the scraper returned that has the limit"]
    pub fn max_body_size(self, bytes: usize) -> Self {
        Self { parser: self.parser.max_size(bytes), ..self }
    }

    /// The number of pages that each [`fetch`](Self::fetch) has in flight. Default: 16. 0 counts as
    /// 1.
    ///
    /// It counts pages, not connections: those are bounded by the session's pool
    /// (`Pool::builder().limit(100).limit_per_host(4)`).
    #[must_use = "it is the scraper returned that fetches so many"]
    pub fn concurrency(mut self, pages: usize) -> Self {
        self.settings.concurrency = pages.max(1);
        self
    }

    /// The number of further attempts at a page that asks for it, or whose connection fails; see
    /// [`visit`](Self::visit). Default: 2, which makes three attempts.
    #[must_use = "it is the scraper returned that tries again"]
    pub fn retries(mut self, retries: u32) -> Self {
        self.settings.retries = retries;
        self
    }

    /// The pause between the starts of two requests to one host (scheme, name and port), of one
    /// [`fetch`](Self::fetch); other hosts go on. Attempts count, redirects and logins do
    /// not. Default: none.
    #[must_use = "it is the scraper returned that leaves a pause"]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.settings.delay = delay;
        self
    }

    /// Obeys robots.txt (RFC 9309) under this name, which should be the one that the session's
    /// `User-Agent` begins with. What is not allowed is an error that
    /// [`is_robots`](Error::is_robots). Default: it is not asked for.
    ///
    /// Each host (scheme, name and port) is asked once a day, by one request for all who want to
    /// know; of more than tens of thousands, those asked longest ago are forgotten. If there is no
    /// robots.txt (a status of 4xx), everything is allowed; if it cannot be had (5xx, 429, no
    /// connection), nothing is, though that is tried again as with pages. A `Crawl-delay` is a
    /// [`delay`](Self::delay), a minute at most. What redirects lead to is not asked about.
    #[must_use = "it is the scraper returned that obeys"]
    pub fn robots(mut self, agent: impl AsRef<str>) -> Self {
        self.settings.robots = Some(Arc::new(Robots::new(agent.as_ref())));
        self
    }

    /// The session.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// A URL as the session understands it, by its base URL if it is a relative one.
    ///
    /// # Errors
    ///
    /// One of [the session's](Error::http), that names it, if it is no http or https URL.
    pub fn url(&self, url: impl AsRef<str>) -> Result<Url> {
        let url = url.as_ref();
        match Url::parse(url) {
            Ok(parsed) if matches!(parsed.scheme(), "http" | "https") => Ok(parsed),
            _ => {
                let address = self.session.get(url).build()?.uri().to_string();
                // The session made a request of the URL, so it parses.
                Url::parse(&address).map_err(|_| Error::input("the session's base URL is unusable"))
            }
        }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn logins(&self) -> &LoginState {
        &self.logins
    }

    /// The parser of pages.
    pub(crate) fn parses(&self) -> &Parser {
        &self.parser
    }

    /// Logs in, and keeps what it takes to do so again. What comes out is the page that it led to.
    ///
    /// # Errors
    ///
    /// One that [`is_login`](Error::is_login), if what is [expected](Login::expect) is not met; one
    /// that [`is_input`](Error::is_input), if the page has no such form or field; what [the
    /// session says](Error::http); and a page beyond the limits. Passwords are not told.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it may have logged in or not: the session has the cookies it was given, and
    /// [`get`](Self::get) does not know of the login.
    pub async fn login(&self, login: Login) -> Result<Page> {
        self.logins.login(&self.session, &self.parser, login).await
    }

    /// The same for a login that takes more than a form, or that others have as well: whenever one
    /// is needed, from now on, `renew` sees to it. What tells that it has run out is the
    /// `login`'s to say.
    ///
    /// # Errors
    ///
    /// The error of `renew`; or an error [of the session](Error::http) if the login's URL is
    /// invalid.
    ///
    /// # Cancel safety
    ///
    /// As [`login`](Self::login).
    pub async fn login_with(&self, login: Login, renew: impl Renew) -> Result<()> {
        let at = self.url(login.url())?;
        self.logins.login_with(&self.session, &self.parser, ActiveLogin::shared(login, Arc::new(renew), at)).await
    }
}

impl fmt::Debug for Scraper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let current = self.logins.current();
        f.debug_struct("Scraper")
            .field("session", &self.session)
            .field("logins", &current.turn)
            .field("login", &current.login.map(|known| known.login.clone()))
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
