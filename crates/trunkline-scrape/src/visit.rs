//! One attempt at one page, with all the rules but waiting: robots.txt, the login, what is worth
//! another attempt and when.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use trunkline::Response;
use url::Url;

use crate::error::{Error, Result};
use crate::page::Page;
use crate::renewal::Renewal;
use crate::retries::{self, asked, backoff};
use crate::robots::RulesResult;
use crate::scraper::Scraper;

/// The result of one attempt at a page; see [`Scraper::visit`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Visit<T> {
    /// The page was there, and this is what was made of it.
    Done(T),
    /// Another attempt may go well, after a pause.
    #[non_exhaustive]
    Again {
        /// The reason for the retry.
        cause: Error,
        /// The pause before the retry: the server's, or a random time below a bound that doubles
        /// with each attempt.
        pause: Duration,
        /// The server asks for it: the pause is the whole host's, and not this page's alone.
        host: bool,
    },
    /// The page failed for good, or the attempts are used up.
    Failed(Error),
}

/// The result of an attempt with the facts that only the fetch needs.
pub(crate) struct VisitOutcome<T> {
    pub(crate) visit: Visit<T>,
    /// The server wants to be left alone for so long. (It may have been the last attempt, so that
    /// the page is there all the same.)
    pub(crate) host_pause: Option<Duration>,
    /// True if the response came over a reused connection. None without a response.
    pub(crate) reused: Option<bool>,
}

/// The test that a page is from behind the login.
pub(crate) enum LoginCheck<T> {
    /// By its head alone, before it is read.
    Head,
    /// By this, when it has been read.
    Whole(fn(&T) -> &Page),
}

/// The attempt, as asked for.
#[derive(Clone, Copy)]
pub(crate) struct Attempt<'a> {
    pub(crate) url: &'a Url,
    /// From 1.
    pub(crate) number: u32,
    /// There is none after it.
    pub(crate) last: bool,
}

impl Scraper {
    /// A page, whatever its status. If the login has run out, it logs in again, once, and fetches
    /// the page again; all that find out at the same time wait for that one login. (Should it
    /// run out once more before the page is there, it does so once more, up to three times.)
    ///
    /// # Errors
    ///
    /// Errors [of the session](Error::http), a page beyond the limits, and one that
    /// [`is_login`](Error::is_login) if a new login failed or did not help. A failed login is not
    /// repeated for other pages, unless the connection or the server failed (429, 5xx): then it is,
    /// after a pause, during which [all pages have the same error](Error::is_passing). After three
    /// logins in a row without success there is no further one.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it logs in again, it leaves that to the next one that waits.
    pub async fn get(&self, url: impl AsRef<str>) -> Result<Page> {
        let url = self.url(url)?;
        // One attempt, and what comes of it is what is wanted.
        let attempt = Attempt { url: &url, number: 1, last: true };
        match self.visit_page(attempt).await.visit {
            Visit::Done(page) => Ok(page),
            Visit::Failed(error) | Visit::Again { cause: error, .. } => Err(error),
        }
    }

    /// One attempt at a page, the first, second, … as `attempt` says, from 1. For those who keep a
    /// schedule of their own: it waits for nothing but the server. ([`fetch`](Self::fetch) and
    /// [`fetch_with`](Self::fetch_with) wait as well.)
    ///
    /// - If [robots.txt](Self::robots) is obeyed, it has to allow the page.
    /// - If there is a [login](Self::login), and the answer says that it is over, it logs in again
    ///   and asks again, as [`get`](Self::get) does. It finds that out by status and address: what
    ///   is given to [`Login::is_over_when`](crate::Login::is_over_when) is shown a page without a
    ///   body.
    /// - An answer with the status 429, 500, 502, 503 or 504 asks to come [again](Visit::Again),
    ///   and so does a connection that cannot be made or breaks, unless the attempts are [used
    ///   up](Self::retries). Then it is a page as any other, and the broken connection an error.
    /// - The pause is what `Retry-After` asks for, in seconds or as a date, or else random, between
    ///   0 and 500 ms before the second attempt, and twice as much before each one that follows, 30
    ///   s at most. A server that wants to be left alone for more than ten minutes is not waited
    ///   for: the page is delivered as it is.
    ///
    /// `read` makes of the response what is wanted of it: a file, a length, a whole page. What it
    /// fails with is judged as what the session fails with.
    ///
    /// ```no_run
    /// # use trunkline_scrape::Scraper;
    /// # async fn example(scraper: Scraper) -> Result<(), Box<dyn std::error::Error>> {
    /// use trunkline_scrape::Visit;
    ///
    /// let url = scraper.url("https://example.com/page")?;
    /// let mut attempt = 1;
    /// let body = loop {
    ///     match scraper.visit(&url, attempt, |response| response.bytes()).await {
    ///         Visit::Done(body) => break body,
    ///         Visit::Again { pause, .. } => tokio::time::sleep(pause).await,
    ///         Visit::Failed(error) => return Err(error.into()),
    ///         _ => unreachable!("there is nothing else yet"),
    ///     }
    ///     attempt += 1;
    /// };
    /// println!("{} bytes", body.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropped, what was read is lost. While it logs in again or asks for robots.txt, it leaves
    /// that to the next one that waits.
    pub async fn visit<T, R, F>(&self, url: &Url, attempt: u32, read: R) -> Visit<T>
    where
        R: FnMut(Response) -> F + Send,
        F: Future<Output = trunkline::Result<T>> + Send,
        T: Send,
    {
        self.attempt(self.numbered(url, attempt), LoginCheck::Head, read).await.visit
    }

    /// The pause between the starts of two requests to this URL's host: [`delay`](Self::delay), or
    /// the `Crawl-delay` of its robots.txt if that is longer, a minute at most. If robots.txt is
    /// obeyed and not known yet, it is fetched.
    ///
    /// # Cancel safety
    ///
    /// As [`visit`](Self::visit).
    pub async fn pause_of(&self, url: &Url) -> Duration {
        self.pause_of_origin(&url.origin().ascii_serialization()).await
    }

    pub(crate) async fn pause_of_origin(&self, origin: &str) -> Duration {
        let settings = self.settings();
        let Some(robots) = &settings.robots else { return settings.delay };
        match robots.of(origin, self.session(), settings.attempts()).await {
            RulesResult::Rules(rules) => settings.delay.max(rules.delay()),
            RulesResult::Unreadable { .. } | RulesResult::Closed(_) => settings.delay,
        }
    }

    pub(crate) fn numbered<'a>(&self, url: &'a Url, number: u32) -> Attempt<'a> {
        Attempt { url, number, last: number >= self.settings().attempts() }
    }

    /// A whole page.
    pub(crate) async fn visit_page(&self, attempt: Attempt<'_>) -> VisitOutcome<Page> {
        let requested = attempt.url;
        let read = |response| async move {
            let page = self.parses().page(response).await?;
            Ok::<_, Error>(Page { requested: requested.clone(), ..page })
        };
        self.attempt(attempt, LoginCheck::Whole(|page| page), read).await
    }

    /// See [`visit`](Self::visit).
    pub(crate) async fn attempt<T, E, R, F>(
        &self,
        attempt: Attempt<'_>,
        login_check: LoginCheck<T>,
        read: R,
    ) -> VisitOutcome<T>
    where
        R: FnMut(Response) -> F,
        F: Future<Output = Result<T, E>>,
        E: Into<Error>,
    {
        if let Some(refused) = self.refused(attempt).await {
            return refused;
        }
        match self.exchange(attempt, login_check, read).await {
            Ok(seen) => seen,
            Err(error) if !attempt.last && error.is_passing() => {
                let pause = error.pause().unwrap_or_else(|| backoff(attempt.number));
                VisitOutcome::new(Visit::Again { cause: error, pause, host: false })
            }
            Err(error) => VisitOutcome::new(Visit::Failed(error)),
        }
    }

    /// If robots.txt does not allow it, or cannot be read.
    async fn refused<T>(&self, attempt: Attempt<'_>) -> Option<VisitOutcome<T>> {
        let robots = self.settings().robots.as_ref()?;
        let origin = attempt.url.origin().ascii_serialization();
        let (why, pause) = match robots.of(&origin, self.session(), self.settings().attempts()).await {
            RulesResult::Rules(rules) => (rules.refusal(attempt.url, robots.agent())?, None),
            RulesResult::Unreadable { why, pause } => (why, pause),
            RulesResult::Closed(error) => return Some(VisitOutcome::new(Visit::Failed(error.into()))),
        };
        let cause = Error::robots(why).passing(pause.is_some());
        Some(match pause.filter(|_| !attempt.last) {
            Some(pause) => {
                VisitOutcome { host_pause: Some(pause), ..VisitOutcome::new(Visit::Again { cause, pause, host: true }) }
            }
            None => VisitOutcome::new(Visit::Failed(cause)),
        })
    }

    /// Requests the page, again after each renewal of a login that ran out.
    async fn exchange<T, E, R, F>(
        &self,
        attempt: Attempt<'_>,
        login_check: LoginCheck<T>,
        mut read: R,
    ) -> Result<VisitOutcome<T>>
    where
        R: FnMut(Response) -> F,
        F: Future<Output = Result<T, E>>,
        E: Into<Error>,
    {
        let mut renewal = Renewal::new(self);
        loop {
            let response = self.session().get(attempt.url).error_for_status(false).send().await?;
            let (status, reused) = (response.status(), Some(response.connection().reused));
            if matches!(login_check, LoginCheck::Head)
                && renewal.is_possible()
                && renewal.is_over(&Page::head(attempt.url, &response, self.parses()))
            {
                drop(response);
                renewal.renew(status).await?;
                continue;
            }
            let pause_asked = host_pause(&response, attempt.number);
            if let Some(again) = again(status, pause_asked, attempt) {
                return Ok(VisitOutcome { visit: again, host_pause: pause_asked.wanted(), reused });
            }
            let content = read(response).await.map_err(Into::into)?;
            if let LoginCheck::Whole(page) = login_check
                && renewal.is_over(page(&content))
            {
                renewal.renew(status).await?;
                continue;
            }
            renewal.mark_useful();
            return Ok(VisitOutcome { visit: Visit::Done(content), host_pause: pause_asked.wanted(), reused });
        }
    }
}

/// The pause that a server asks for.
#[derive(Clone, Copy)]
enum HostPause {
    /// No pause.
    None,
    /// A pause of this length.
    For(Duration),
    /// Longer than the limit on waiting.
    TooLong,
}

impl HostPause {
    fn wanted(self) -> Option<Duration> {
        if let Self::For(pause) = self { Some(pause) } else { None }
    }
}

fn host_pause(response: &Response, number: u32) -> HostPause {
    let status = response.status();
    if !retries::is_transient(status) {
        return HostPause::None;
    }
    match asked(response.headers(), SystemTime::now()) {
        Some(pause) if pause > retries::LONGEST_RETRY_AFTER => HostPause::TooLong,
        Some(pause) => HostPause::For(pause),
        // The limit of a 429 holds for all pages of the host.
        None if status == StatusCode::TOO_MANY_REQUESTS => HostPause::For(backoff(number)),
        None => HostPause::None,
    }
}

fn again<T>(status: StatusCode, pause_asked: HostPause, attempt: Attempt<'_>) -> Option<Visit<T>> {
    if attempt.last || !retries::is_transient(status) {
        return None;
    }
    let (pause, host) = match pause_asked {
        HostPause::TooLong => return None,
        HostPause::For(pause) => (pause, true),
        HostPause::None => (backoff(attempt.number), false),
    };
    Some(Visit::Again { cause: Error::answered(status), pause, host })
}

impl<T> VisitOutcome<T> {
    fn new(visit: Visit<T>) -> Self {
        Self { visit, host_pause: None, reused: None }
    }
}
