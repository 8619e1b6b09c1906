//! Renewal of a login by the application: several steps, or shared between programs.

use std::fmt;
use std::pin::Pin;

use trunkline::Session;

use crate::document::Parser;
use crate::error::Result;
use crate::login::{Login, LoginPage};
use crate::page::Page;

/// Future of [`Renew::renew`].
pub type RenewFuture<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// Renewal of a login that takes more than a form: several steps, or a login that programs share,
/// for example workers on several machines, where one logs in and stores its cookies for the rest.
/// For [`Scraper::login_with`](crate::Scraper::login_with).
///
/// The scraper decides when it is called and how often at most, by the rules of every
/// [login](crate::Scraper::login).
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use tokio::sync::Mutex;
/// use trunkline::CookieJar;
/// use trunkline_scrape::{LoginContext, Renew, RenewFuture};
///
/// /// One login for several scrapers, each with its own session: number of the login, and cookies.
/// type SharedLogin = Arc<Mutex<(u64, Vec<u8>)>>;
///
/// struct Shared {
///     login: SharedLogin,
///     /// Number of the login that this scraper has.
///     number: AtomicU64,
/// }
///
/// impl Renew for Shared {
///     fn renew<'a>(&'a self, context: LoginContext<'a>) -> RenewFuture<'a> {
///         Box::pin(async move {
///             // A scraper that comes during a login waits, and then takes over its cookies.
///             let mut shared = self.login.lock().await;
///             if shared.0 > self.number.load(Ordering::Relaxed) {
///                 context.session().cookies().extend(&CookieJar::from_netscape(&shared.1)?);
///             } else {
///                 let cookies = context.session().cookies().clone();
///                 context.log_in().await?;
///                 *shared = (shared.0 + 1, cookies.to_netscape());
///             }
///             self.number.store(shared.0, Ordering::Relaxed);
///             Ok(())
///         })
///     }
/// }
/// ```
pub trait Renew: Send + Sync + 'static {
    /// Logs the scraper's session in: with [`log_in`](LoginContext::log_in), or by other requests
    /// of the [session](LoginContext::session). One page calls it at a time; other pages that
    /// find the login expired wait.
    ///
    /// # Errors
    ///
    /// Errors of [`log_in`](LoginContext::log_in), or [`Error::renewal`](crate::Error::renewal) for
    /// reasons of its own.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any await, together with the page that needs the login. The
    /// next waiting page calls `renew` again.
    fn renew<'a>(&'a self, context: LoginContext<'a>) -> RenewFuture<'a>;
}

/// Session and form of the login that a [`Renew`] renews.
pub struct LoginContext<'a> {
    pub(crate) session: &'a Session,
    pub(crate) parser: &'a Parser,
    pub(crate) login: &'a Login,
    /// Set by [`log_in`](Self::log_in).
    pub(crate) login_page: &'a mut Option<LoginPage>,
}

impl LoginContext<'_> {
    /// The session to log in.
    pub fn session(&self) -> &Session {
        self.session
    }

    /// Fills in the form, sends it and checks the result, as
    /// [`Scraper::login`](crate::Scraper::login) does. Returns the page at the end of the
    /// redirects.
    ///
    /// # Errors
    ///
    /// As [`Scraper::login`](crate::Scraper::login).
    ///
    /// # Cancel safety
    ///
    /// As [`Scraper::login`](crate::Scraper::login).
    pub async fn log_in(self) -> Result<Page> {
        let (page, login_page) = self.login.perform(self.session, self.parser).await?;
        *self.login_page = Some(login_page);
        Ok(page)
    }
}

impl fmt::Debug for LoginContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginContext").field("session", self.session).field("login", self.login).finish_non_exhaustive()
    }
}
