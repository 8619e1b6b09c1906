//! A scraper as a resource: logged in before the application works with it, closed after its last
//! page.

use std::mem;
use std::time::Duration;

use trunkline::{Session, SessionBuilder};
use trunkline_lifespan::Resource;

use crate::error::{Error, Result};
use crate::login::Login;
use crate::scraper::Scraper;

/// A scraper with a session of its own, which is logged in when it is opened, and closed, awaited,
/// at the end. With the feature `lifespan`.
///
/// If the login fails, the session is closed before the error is told: no socket is left.
///
/// ```no_run
/// # async fn example(app: &trunkline_lifespan::App) -> trunkline_lifespan::Result<()> {
/// use trunkline::Session;
/// use trunkline_scrape::{Login, Scraper};
///
/// let login = Login::at("https://example.com/login").field("user", "ann").field("pass", "s3cret");
/// let resource = trunkline_scrape::resource(Session::builder(), login).probe("https://example.com/account");
/// let scraper: Scraper = app.open("example.com", resource).await?;
/// # drop(scraper); Ok(())
/// # }
/// ```
pub fn resource(session: SessionBuilder, login: Login) -> ScraperResource {
    ScraperResource { session, login, probe: None, grace: Duration::from_secs(5) }
}

/// See [`resource`].
#[derive(Debug)]
#[must_use = "a resource does nothing until it is opened"]
pub struct ScraperResource {
    session: SessionBuilder,
    login: Login,
    probe: Option<String>,
    grace: Duration,
}

impl ScraperResource {
    /// A page behind the login that has to be there, with a status of success, before the
    /// application goes on. By default none is asked for.
    pub fn probe(self, url: impl Into<String>) -> Self {
        Self { probe: Some(url.into()), ..self }
    }

    /// How long requests that are under way at the end may take to finish. By default 5 s, which
    /// leaves half of the time that a release has by default.
    pub fn grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }
}

impl Resource for ScraperResource {
    type Handle = Scraper;
    type Error = Error;

    async fn acquire(&mut self) -> Result<Scraper> {
        let session = mem::replace(&mut self.session, Session::builder()).build()?;
        let scraper = Scraper::new(session);
        match scraper.login(self.login.clone()).await {
            Ok(_) => Ok(scraper),
            Err(error) => {
                scraper.session().close_within(self.grace).await;
                Err(error)
            }
        }
    }

    async fn check(&mut self, scraper: &Scraper) -> Result<()> {
        let Some(url) = &self.probe else { return Ok(()) };
        let page = scraper.get(url).await?;
        if page.status.is_success() {
            return Ok(());
        }
        let here = trunkline::redact_url(&page.url);
        Err(Error::login(format!("{here} answers with the status {} behind the login", page.status)))
    }

    async fn release(self, scraper: Scraper) -> Result<()> {
        scraper.session().close_within(self.grace).await;
        Ok(())
    }
}
