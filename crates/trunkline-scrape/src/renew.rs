//! Logins that take more than a form, or come from somewhere else.

use std::fmt;
use std::pin::Pin;

use trunkline::Session;

use crate::document::Parser;
use crate::error::Result;
use crate::login::{Door, Login};
use crate::page::Page;

/// What a [`Renew`] is doing.
pub type Renewing<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// How a scraper comes by its login, where there is more to it than a form: it takes several steps,
/// or others have the same one, such as workers on several machines, of whom one logs in and leaves
/// its cookies for the rest. For [`Scraper::login_with`](crate::Scraper::login_with).
///
/// When it is asked, and how often at most, is the scraper's to say, as with any
/// [login](crate::Scraper::login).
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use tokio::sync::Mutex;
/// use trunkline::CookieJar;
/// use trunkline_scrape::{Entrance, Renew, Renewing};
///
/// /// One login for several scrapers, each with a session of its own: its number, and its cookies.
/// type Place = Arc<Mutex<(u64, Vec<u8>)>>;
///
/// struct Shared {
///     place: Place,
///     /// The one that this scraper has.
///     number: AtomicU64,
/// }
///
/// impl Renew for Shared {
///     fn renew<'a>(&'a self, entrance: Entrance<'a>) -> Renewing<'a> {
///         Box::pin(async move {
///             // Who comes while another logs in waits, and takes over what that one has left.
///             let mut place = self.place.lock().await;
///             if place.0 > self.number.load(Ordering::Relaxed) {
///                 entrance.session().cookies().extend(&CookieJar::from_netscape(&place.1)?);
///             } else {
///                 let cookies = entrance.session().cookies().clone();
///                 entrance.log_in().await?;
///                 *place = (place.0 + 1, cookies.to_netscape());
///             }
///             self.number.store(place.0, Ordering::Relaxed);
///             Ok(())
///         })
///     }
/// }
/// ```
pub trait Renew: Send + Sync + 'static {
    /// Sees to it that the scraper's session is logged in: [logs in](Entrance::log_in), or does
    /// with the [session](Entrance::session) what it takes instead. It is called by one page at
    /// a time, while the others that find themselves outside wait.
    ///
    /// # Errors
    ///
    /// What [`log_in`](Entrance::log_in) says; or [`Error::renewal`](crate::Error::renewal), for
    /// what it says itself.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any await, with the page that wanted to be let in. Another one
    /// calls it again then.
    fn renew<'a>(&'a self, entrance: Entrance<'a>) -> Renewing<'a>;
}

/// Where a [`Renew`] gets in.
pub struct Entrance<'a> {
    pub(crate) session: &'a Session,
    pub(crate) parser: &'a Parser,
    pub(crate) login: &'a Login,
    /// Left by whoever went in here.
    pub(crate) door: &'a mut Option<Door>,
}

impl Entrance<'_> {
    /// The session that is to be logged in.
    pub fn session(&self) -> &Session {
        self.session
    }

    /// Fills in the form, sends it, and judges what comes of it, as
    /// [`Scraper::login`](crate::Scraper::login) does. What comes out is the page that it led to.
    ///
    /// # Errors
    ///
    /// As [`Scraper::login`](crate::Scraper::login).
    ///
    /// # Cancel safety
    ///
    /// As [`Scraper::login`](crate::Scraper::login).
    pub async fn log_in(self) -> Result<Page> {
        let (page, door) = self.login.perform(self.session, self.parser).await?;
        *self.door = Some(door);
        Ok(page)
    }
}

impl fmt::Debug for Entrance<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entrance").field("session", self.session).field("login", self.login).finish_non_exhaustive()
    }
}
