//! The cookies that servers set, kept and given back to them by the rules of browsers (RFC
//! 6265bis), and their file.

mod cookie;
mod date;
mod file;
mod netscape;
mod refused;
mod scope;
mod set_cookie;
mod store;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use url::Url;

pub use self::cookie::{Cookie, SameSite};
use self::refused::Refused;
use self::scope::Origin;
use self::set_cookie::SetCookie;
use self::store::Store;
use crate::error::{Error, Result};

/// The cookies of a session: what servers set in responses is kept here, and goes with later
/// requests to them.
///
/// Each session has one ([`Session::cookies`](crate::Session::cookies)); an empty one, unless
/// [`SessionBuilder::cookie_jar`](crate::SessionBuilder::cookie_jar) gives it another. A jar is a
/// handle: a clone names the same jar, and several sessions may share one.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use trunkline::CookieJar;
/// use url::Url;
///
/// let jar = CookieJar::new();
/// let url = Url::parse("https://shop.example.com/cart/view")?;
/// jar.set(&url, "basket=17; Path=/; Domain=example.com; Secure")?;
///
/// let elsewhere = Url::parse("https://www.example.com/")?;
/// let basket = jar.get(&elsewhere, "basket").ok_or("no basket")?;
/// assert_eq!(basket.value(), "17");
/// # Ok(())
/// # }
/// ```
///
/// # The rules
///
/// Those of RFC 6265bis, which say what browsers do. A cookie without `Domain` is for its host
/// alone; one with it is for all hosts below that domain, which must be the host's own or one above
/// it, and no public suffix such as `co.uk` (the list is compiled in; of names it does not know,
/// the last label is one). An IP address has no hosts below it. `Max-Age` counts before `Expires`;
/// no cookie lives longer than 400 days. `__Host-` and `__Secure-` names are held to what they
/// promise. Name and value have 4096 bytes at most and no control characters, a path 1024. Of a
/// domain 50 cookies are kept; for the next one, an expired one goes, then one that is not
/// `Secure`, then the one used longest ago. In all 3000 are kept; for the next one, an expired one
/// goes, then the one used longest ago. Ports make no difference.
///
/// `Secure` cookies are set and sent over https alone, and no http response replaces or hides one.
/// The local machine (`localhost`, 127.0.0.0/8, ::1) counts as secure over http too, as in browsers
/// and curl. `SameSite` is stored ([`Cookie::same_site`]) but forbids nothing: a client has no
/// pages that another site could misuse. `SameSite=None` is refused without `Secure`.
///
/// # The file
///
/// [`load`](Self::load) and [`save`](Self::save) share a file with `curl -b FILE -c FILE`. Session
/// cookies are saved as well, as curl does it; [`clear_session`](Self::clear_session) before it
/// keeps them out. The file has no place for `SameSite`.
#[derive(Clone)]
pub struct CookieJar(Option<Arc<Inner>>);

#[derive(Default)]
struct Inner {
    store: Mutex<Store>,
    /// The number of cookies: an empty jar costs a request no lock.
    count: AtomicUsize,
    /// Held while saving: of two files, the later one has the later state.
    saving: Mutex<()>,
}

impl CookieJar {
    /// An empty jar.
    pub fn new() -> Self {
        Self(Some(Arc::default()))
    }

    /// A jar that keeps nothing: a session with it ignores what servers set, and sends only the
    /// cookies that are set on a request by hand.
    ///
    /// ```
    /// # fn main() -> trunkline::Result<()> {
    /// use trunkline::{CookieJar, Session};
    ///
    /// let session = Session::builder().cookie_jar(CookieJar::disabled()).build()?;
    /// assert!(session.cookies().is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub const fn disabled() -> Self {
        Self(None)
    }

    /// A jar with the cookies of a file ([what it looks like](#the-file)). Expired ones are left
    /// out; of more than 50 of a domain or 3000 in all, the last are taken.
    ///
    /// ```no_run
    /// # async fn run() -> trunkline::Result<()> {
    /// use trunkline::{CookieJar, Session};
    ///
    /// let session = Session::builder().cookie_jar(CookieJar::load("cookies.txt").await?).build()?;
    /// // … session.get("https://example.com/").await? …
    /// session.cookies().save("cookies.txt").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// A file that cannot be read: the cause is an [`io::Error`](std::io::Error), for instance
    /// because there is none. A line that is no cookie: its number and what is wrong with it
    /// are named. Nothing is skipped in silence, because the next `save` would erase it.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it has done nothing.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, on whose threads for blocking work the file is read.
    pub async fn load(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let loaded = tokio::task::spawn_blocking(move || {
            let text = file::read(&path).map_err(|error| unusable(&path, "read").because(error))?;
            Self::from_netscape(text).map_err(|error| unusable(&path, "read").because(error))
        });
        loaded.await.unwrap_or_else(|stopped| Err(shut_down().because(stopped)))
    }

    /// Writes all cookies to a file ([what it looks like](#the-file)), which only its owner may
    /// read. It is there whole or not at all: it is written under another name in the same
    /// directory, and takes the place of the old one when it is on the disk. A symbolic link is
    /// replaced, not followed. A cookie with a tab in its name or path has no place in such a file
    /// and is left out, with a warning to `tracing`.
    ///
    /// # Errors
    ///
    /// The directory or the file cannot be written; the cause is an [`io::Error`](std::io::Error).
    /// The old file is as it was.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it goes on by itself; the file is the old one or the new one.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, on whose threads for blocking work the file is written.
    pub async fn save(&self, path: impl Into<PathBuf>) -> Result<()> {
        let (jar, path) = (self.clone(), path.into());
        let saved = tokio::task::spawn_blocking(move || {
            let _turn = jar.0.as_ref().map(|inner| inner.saving.lock().unwrap_or_else(PoisonError::into_inner));
            file::replace(&path, &jar.to_netscape()).map_err(|error| unusable(&path, "written").because(error))
        });
        saved.await.unwrap_or_else(|stopped| Err(shut_down().because(stopped)))
    }

    /// The jar that [`load`](Self::load) makes of a file with this content.
    ///
    /// # Errors
    ///
    /// The first line that is no cookie, by its number.
    pub fn from_netscape(text: impl AsRef<[u8]>) -> Result<Self> {
        let (mut store, now) = (Store::default(), SystemTime::now());
        for (line, read) in netscape::read(text.as_ref()) {
            let wrong = |what: &str| Error::input(format!("line {line} is not a cookie: {what}"));
            let cookie = read.map_err(wrong)?;
            let cookie = store::readmit(cookie, now).map_err(|refused| wrong(&refused.to_string()))?;
            // A cookie beyond the limits is dropped, which is not a fault of its line.
            let _ = store.put(cookie, now);
        }
        let count = AtomicUsize::new(store.len());
        Ok(Self(Some(Arc::new(Inner { store: Mutex::new(store), count, saving: Mutex::default() }))))
    }

    /// The content that [`save`](Self::save) writes. It is as secret as a password.
    pub fn to_netscape(&self) -> Vec<u8> {
        // Written without the lock: it logs cookies that it leaves out, and a subscriber may do
        // anything.
        netscape::write(&self.all())
    }

    /// Sets a cookie as if this address had answered with that `Set-Cookie`. One that has expired
    /// removes the one it would replace.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use trunkline::CookieJar;
    /// # use url::Url;
    /// # let jar = CookieJar::new();
    /// let url = Url::parse("https://example.com/")?;
    /// jar.set(&url, "session=4f2a; Path=/; HttpOnly; Max-Age=3600")?;
    ///
    /// let error = jar.set(&url, "all=1; Domain=com").unwrap_err();
    /// assert!(error.to_string().contains("public suffix"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// One that [`is_input`](Error::is_input) and says which [rule](#the-rules) refuses it.
    pub fn set(&self, url: &Url, set_cookie: impl AsRef<[u8]>) -> Result<()> {
        self.receive(url, set_cookie.as_ref()).map_err(|refused| {
            Error::input(format!("a cookie for {} is refused: {refused}", crate::redact::redact_url(url)))
        })
    }

    /// The cookie of that name that would be sent first to this address.
    pub fn get(&self, url: &Url, name: &str) -> Option<Cookie> {
        self.with_matching(url, |cookies| cookies.into_iter().find(|cookie| *cookie.name == *name.as_bytes()).cloned())?
    }

    /// The cookies that a request to this address would carry, in the order of sending: longer
    /// paths first, then older ones.
    pub fn matching(&self, url: &Url) -> Vec<Cookie> {
        self.with_matching(url, |cookies| cookies.into_iter().cloned().collect()).unwrap_or_default()
    }

    /// All cookies, in the order in which they were first set.
    pub fn all(&self) -> Vec<Cookie> {
        self.with(|store, now| store.all(now).into_iter().cloned().collect()).unwrap_or_default()
    }

    /// Removes the cookie with the name, domain and path of this one, whatever its value is by now.
    /// False if there is none.
    ///
    /// ```
    /// # let jar = trunkline::CookieJar::new();
    /// for cookie in jar.all().iter().filter(|cookie| cookie.domain().ends_with("example.com")) {
    ///     jar.remove(cookie);
    /// }
    /// ```
    pub fn remove(&self, cookie: &Cookie) -> bool {
        self.with(|store, _| store.remove(cookie)).unwrap_or_default()
    }

    /// Takes over the cookies of another jar. They replace those with the same name, domain and
    /// path.
    ///
    /// ```
    /// # fn main() -> trunkline::Result<()> {
    /// use trunkline::{CookieJar, Session};
    ///
    /// let session = Session::new();
    /// # let text = "";
    /// session.cookies().extend(&CookieJar::from_netscape(text)?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn extend(&self, other: &Self) {
        // One lock after the other: two jars may take each other's.
        let cookies = other.all();
        self.with(|store, now| {
            for cookie in cookies {
                // A cookie beyond the limits is dropped.
                let _ = store.put(cookie, now);
            }
        });
    }

    /// Removes all cookies.
    pub fn clear(&self) {
        self.with(|store, _| store.retain(|_| false));
    }

    /// Removes the session cookies: those that a browser forgets when it is closed.
    pub fn clear_session(&self) {
        self.with(|store, _| store.retain(|cookie| cookie.expires.is_some()));
    }

    /// The number of cookies.
    pub fn len(&self) -> usize {
        self.with(|store, now| {
            store.drop_expired(now);
            store.len()
        })
        .unwrap_or_default()
    }

    /// True if the jar has no cookies.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True if cookies of servers are not stored.
    pub(crate) fn is_disabled(&self) -> bool {
        self.0.is_none()
    }

    /// Calls with each cookie for this address, name and value, in the order of sending. An empty
    /// jar costs one load of a number.
    pub(crate) fn for_each(&self, url: &Url, mut each: impl FnMut(&[u8], &[u8])) {
        self.with_matching(url, |cookies| cookies.into_iter().for_each(|cookie| each(&cookie.name, &cookie.value)));
    }

    fn receive(&self, url: &Url, set_cookie: &[u8]) -> Result<(), Refused> {
        let origin = Origin::of(url).ok_or(Refused::NoHost)?;
        let set = SetCookie::parse(set_cookie)?;
        self.with(|store, now| store.receive(&set, &origin, now)).ok_or(Refused::Disabled)?
    }

    fn with_matching<R>(&self, url: &Url, look: impl FnOnce(Vec<&Cookie>) -> R) -> Option<R> {
        let inner = self.0.as_ref()?;
        // A cookie that is being set at this moment may as well have come later.
        if inner.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let origin = Origin::of(url)?;
        self.with(|store, now| look(store.matching(&origin, now)))
    }

    /// Under the lock; `None` if the jar is disabled.
    fn with<R>(&self, work: impl FnOnce(&mut Store, SystemTime) -> R) -> Option<R> {
        let inner = self.0.as_ref()?;
        let mut store = inner.lock();
        let result = work(&mut store, SystemTime::now());
        inner.count.store(store.len(), Ordering::Relaxed);
        Some(result)
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Store> {
        // Nothing under it panics; if it did, each cookie would still be whole.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unusable(path: &Path, done: &str) -> Error {
    Error::input(format!("the cookie file {path:?} cannot be {done}"))
}

fn shut_down() -> Error {
    Error::closed().detail("the runtime was shut down before the cookie file was done")
}

impl Default for CookieJar {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CookieJar {
    /// Shows the number of cookies only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(inner) => f.debug_struct("CookieJar").field("len", &inner.count.load(Ordering::Relaxed)).finish(),
            None => f.write_str("CookieJar::disabled()"),
        }
    }
}
