//! The settings of a session.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use http::header::{ACCEPT, CONTENT_LENGTH, EXPECT, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use tokio::sync::OnceCell;

use super::headers::{header, is_secret};
use super::into_url::IntoUrl;
use super::redirect::{Policy, RedirectAction, RedirectAttempt};
use super::request_settings::SharedSettings;
use super::request_url::UrlCache;
use super::{Inner, Session};
use crate::cookies::CookieJar;
use crate::error::{BoxError, Error, Result};
use crate::pool::{InFlight, Pool, PoolBuilder};
use crate::timeouts::Timeouts;

/// Settings for a [`Session`]. The setters record; [`build`](Self::build) checks.
#[must_use = "settings do nothing until they are built"]
pub struct SessionBuilder {
    pool: Option<Pool>,
    own_pool: PoolBuilder,
    base_url: Option<Result<url::Url>>,
    headers: Result<HeaderMap>,
    cookies: CookieJar,
    settings: SharedSettings,
    redirect_policy: Option<Policy>,
}

impl SessionBuilder {
    #[track_caller]
    pub(super) fn new() -> Self {
        let headers = [
            (ACCEPT, HeaderValue::from_static("*/*")),
            (USER_AGENT, HeaderValue::from_static(concat!("trunkline/", env!("CARGO_PKG_VERSION")))),
        ];
        Self {
            pool: None,
            own_pool: Pool::builder(),
            base_url: None,
            headers: Ok(HeaderMap::from_iter(headers)),
            cookies: CookieJar::new(),
            settings: SharedSettings {
                timeouts: Timeouts::new(),
                max_redirects: 10,
                error_for_status: false,
                max_body_size: 100 * 1024 * 1024,
                decompress: true,
            },
            redirect_policy: None,
        }
    }

    /// Sends this session's requests through a pool that other sessions may share. The pool is
    /// closed with the last of them. Default: a pool of its own with the default settings.
    pub fn pool(mut self, pool: Pool) -> Self {
        self.pool = Some(pool);
        self
    }

    /// The base of relative URLs (RFC 3986 section 5): with `https://example.com/api/`, `users`
    /// means `https://example.com/api/users`. Default: none, and relative URLs are refused.
    pub fn base_url(mut self, url: impl IntoUrl) -> Self {
        self.base_url = Some(url.into_url(None));
        self
    }

    /// A header for every request that does not set one of that name itself; the last of a name
    /// holds. Defaults: `accept: */*` and `user-agent`.
    pub fn header<K, V>(mut self, name: K, value: V) -> Self
    where
        K: TryInto<HeaderName>,
        K::Error: Into<BoxError>,
        V: TryInto<HeaderValue>,
        V::Error: Into<BoxError>,
    {
        self.headers = self.headers.and_then(|mut headers| {
            let (name, value) = header(name, value)?;
            headers.insert(name, value);
            Ok(headers)
        });
        self
    }

    /// The same for several at once. A name may come more than once, and all of it holds; what was
    /// set of that name before does not.
    pub fn headers(mut self, mut more: HeaderMap) -> Self {
        more.iter_mut().filter(|(name, _)| is_secret(name)).for_each(|(_, value)| value.set_sensitive(true));
        if let Ok(headers) = &mut self.headers {
            headers.extend(more);
        }
        self
    }

    /// The `User-Agent` of every request. Default: `trunkline/` and its version.
    pub fn user_agent<V>(self, value: V) -> Self
    where
        V: TryInto<HeaderValue>,
        V::Error: Into<BoxError>,
    {
        self.header(USER_AGENT, value)
    }

    /// The jar that keeps what servers set and gives it back to them; other sessions may share it.
    /// A cookie that a request sets by hand (`header("cookie", …)`) goes before the jar's, and
    /// instead of the jar's of that name. With [`CookieJar::disabled`] the session has no
    /// cookies. Default: a new, empty one.
    pub fn cookie_jar(mut self, jar: CookieJar) -> Self {
        self.cookies = jar;
        self
    }

    /// Time limits for every request that does not set its own. Defaults: at the setters of
    /// [`Timeouts`].
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.settings.timeouts = timeouts;
        self
    }

    /// The number of redirects that are followed; one more is an error. With 0 none is followed,
    /// and the redirecting response itself is returned (aiohttp's `allow_redirects=False`).
    /// Default: 10.
    ///
    /// To have the response instead of the error after so many, or an error at the first, say so in
    /// a [`redirect_policy`](Self::redirect_policy).
    pub fn max_redirects(mut self, hops: usize) -> Self {
        self.settings.max_redirects = hops;
        self
    }

    /// Asked about each redirect before it is followed: it may let it be followed, stop at it and
    /// have the redirecting response returned, or refuse it with an error.
    /// [`max_redirects`](Self::max_redirects) holds besides, and what is dropped on the way to
    /// another origin is dropped all the same. Default: all are followed.
    ///
    /// It is called while the request runs, so it must not block. It is about addresses as they are
    /// written; which IP addresses may be connected to is up to
    /// [`PoolBuilder::address_filter`](crate::PoolBuilder::address_filter), which sees those of
    /// every hop.
    ///
    /// ```
    /// use trunkline::{Session, RedirectAction};
    ///
    /// # fn main() -> trunkline::Result<()> {
    /// let session = Session::builder()
    ///     .redirect_policy(|hop| match hop.url().host_str() {
    ///         _ if hop.from().scheme() == "https" && hop.url().scheme() == "http" => {
    ///             RedirectAction::refuse("it is not encrypted")
    ///         }
    ///         Some("login.example.com") => RedirectAction::Stop,
    ///         _ => RedirectAction::Follow,
    ///     })
    ///     .build()?;
    /// # let _ = session;
    /// # Ok(())
    /// # }
    /// ```
    pub fn redirect_policy<F>(mut self, policy: F) -> Self
    where
        F: Fn(&RedirectAttempt<'_>) -> RedirectAction + Send + Sync + 'static,
    {
        self.redirect_policy = Some(Arc::new(policy));
        self
    }

    /// Makes a response with a status of 400 or above an error. Default: no.
    pub fn error_for_status(mut self, error: bool) -> Self {
        self.settings.error_for_status = error;
        self
    }

    /// The most bytes that `bytes`, `text` and `json` read, counted after decoding; `chunk`,
    /// `save_to` and `into_body` are not bounded. Default: 100 MiB.
    pub fn max_body_size(mut self, bytes: usize) -> Self {
        self.settings.max_body_size = bytes;
        self
    }

    /// Asks for compressed responses, and decodes them. Default: yes.
    ///
    /// Requests get `accept-encoding: gzip, deflate, br, zstd` (those of the cargo features),
    /// unless they or the session set one by hand, and `accept-encoding: identity` if they ask for
    /// a `range`. A response with one of these codings, or up to four stacked, is decoded as it is
    /// read, also if `accept-encoding` was set by hand, and loses its `content-encoding` and
    /// `content-length`. A response with an unknown coding, a partial one (206) and one without a
    /// body stay as they are.
    ///
    /// Switched off, nothing is added and nothing decoded.
    pub fn decompress(mut self, decompress: bool) -> Self {
        self.settings.decompress = decompress;
        self
    }

    /// Makes the session. No runtime is needed and nothing is opened.
    ///
    /// # Errors
    ///
    /// An unusable base URL or header; the error names it. A pool that is closed.
    pub fn build(self) -> Result<Session> {
        let base_url = self.base_url.transpose()?;
        let headers = self.headers?;
        for own in [CONTENT_LENGTH, EXPECT] {
            if headers.contains_key(&own) {
                // RFC 9110 section 10.1.1: no expectation goes with a request without content, and
                // most are.
                let why = format!("{own} depends on one request's body: it is not a header for a session to set");
                return Err(Error::input(why));
            }
        }
        let pool = match self.pool {
            Some(pool) => pool,
            None => self.own_pool.build()?,
        };
        if pool.0.in_flight().is_closed() {
            return Err(Error::closed().detail("the pool given to the session is closed: make a new one"));
        }
        let in_flight = InFlight::within(pool.0.in_flight().clone());
        Ok(Session(Arc::new(Inner {
            owner: pool.0.join(),
            pool,
            in_flight: Arc::new(in_flight),
            closing: OnceCell::new(),
            joined: AtomicBool::new(true),
            base_url,
            url_cache: UrlCache::default(),
            headers,
            cookies: self.cookies,
            codings: crate::body::offer(),
            settings: self.settings,
            redirect_policy: self.redirect_policy,
        })))
    }
}

impl fmt::Debug for SessionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}
