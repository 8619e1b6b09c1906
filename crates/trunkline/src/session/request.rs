//! A request being put together.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use http::header::{AUTHORIZATION, CONTENT_TYPE, EXPECT, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Uri};
use http_body::Body as _;
use serde::Serialize;
use url::Url;

use super::headers::{basic, header, multipart_type};
use super::into_url::unusable;
use super::prepared::Prepared;
use super::redirect::{RedirectAction, RedirectAttempt};
use super::request_settings::RequestSettings;
use super::request_url::RequestUrl;
use super::run::Run;
use super::{Response, Session};
use crate::body::{Body, Multipart};
use crate::error::{BoxError, Error, Result};
use crate::timeouts::Timeouts;

/// A request: await it, or set more of it first.
///
/// The setters record; what is wrong with one of them is told when the request is sent.
///
/// ```no_run
/// # async fn run(session: trunkline::Session) -> trunkline::Result<()> {
/// let page = session.get("https://example.com/").query(&[("q", "trunk line")]).await?.text().await?;
/// # let _ = page;
/// # Ok(())
/// # }
/// ```
#[must_use = "a request is sent when it is awaited"]
pub struct RequestBuilder {
    session: Session,
    request_settings: RequestSettings,
    method: Method,
    /// The first thing that was wrong, if anything was.
    parts: Result<Parts>,
}

struct Parts {
    request_url: Arc<RequestUrl>,
    headers: HeaderMap,
    body: Body,
    /// Between the parts of the body, if it is a form with files.
    boundary: Option<String>,
    expect_continue: bool,
}

impl RequestBuilder {
    pub(super) fn new(session: Session, method: Method, request_url: Result<Arc<RequestUrl>>) -> Self {
        let request_settings = RequestSettings { settings: session.0.settings, redirect_policy: None };
        let parts = request_url.map(|request_url| Parts {
            request_url,
            headers: HeaderMap::new(),
            body: Body::empty(),
            boundary: None,
            expect_continue: false,
        });
        Self { session, request_settings, method, parts }
    }

    fn with(mut self, change: impl FnOnce(&mut Parts) -> Result<()>) -> Self {
        self.parts = self.parts.and_then(|mut parts| change(&mut parts).map(|()| parts));
        self
    }

    /// Adds a header, besides others of that name given here and instead of the session's.
    pub fn header<K, V>(self, name: K, value: V) -> Self
    where
        K: TryInto<HeaderName>,
        K::Error: Into<BoxError>,
        V: TryInto<HeaderValue>,
        V::Error: Into<BoxError>,
    {
        self.with(|parts| {
            let (name, value) = header(name, value)?;
            parts.headers.try_append(name, value).map_err(|error| too_many_headers().because(error))?;
            Ok(())
        })
    }

    pub(super) fn replace_headers(&mut self, headers: HeaderMap) {
        if let Ok(parts) = &mut self.parts {
            parts.headers = headers;
        }
    }

    pub(super) fn adopt(&mut self, request_settings: RequestSettings) {
        self.request_settings = request_settings;
    }

    /// Adds pairs to the query: anything that serialises to them, such as a slice of pairs or a
    /// struct.
    pub fn query<T: Serialize + ?Sized>(self, pairs: &T) -> Self {
        self.with(|parts| {
            let added = serde_urlencoded::to_string(pairs).map_err(|error| {
                Error::input("the query does not serialise to pairs of names and values").because(error)
            })?;
            if !added.is_empty() {
                let mut url = parts.request_url.url.clone();
                let query = match url.query() {
                    Some(present) if !present.is_empty() => format!("{present}&{added}"),
                    _ => added,
                };
                url.set_query(Some(&query));
                parts.request_url = RequestUrl::new(url)?;
            }
            Ok(())
        })
    }

    /// The body: bytes, text, a file or a stream. [`Body`] has them all.
    pub fn body(self, body: impl Into<Body>) -> Self {
        self.with(|parts| {
            parts.set_body(body);
            Ok(())
        })
    }

    /// A form with files, as `multipart/form-data`.
    ///
    /// Its `Content-Type` names the boundary between the parts. One set by hand may be another
    /// `multipart/…` type without a boundary: the boundary is added. Any other type is an error,
    /// since the server could not take the body apart.
    ///
    /// ```no_run
    /// # async fn run(session: trunkline::Session) -> trunkline::Result<()> {
    /// use trunkline::Multipart;
    ///
    /// let form = Multipart::new().text("title", "Holidays").file("photo", "photos/IMG_0001.jpg");
    /// session.post("https://example.com/albums").multipart(form).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn multipart(self, form: Multipart) -> Self {
        self.with(|parts| {
            let (body, boundary) = form.encode()?;
            parts.set_body(body);
            parts.boundary = Some(boundary);
            Ok(())
        })
    }

    /// `Expect: 100-continue` (RFC 9110 section 10.1.1): the body waits until the server has said
    /// that it wants it, or has been silent for a second. Default: it does not wait, and
    /// neither does one that is empty.
    ///
    /// It is for large bodies that may be refused: a final status that comes first, other than one
    /// of success, is returned, and the body is not sent. Its connection is then closed. A
    /// redirect takes the body along, even one that can be sent only once. If the server answers
    /// 417, which says that it meets no expectations, the request is sent once more without.
    ///
    /// The second does not count as silence for the timeout `read`.
    pub fn expect_continue(self, wait: bool) -> Self {
        self.with(|parts| {
            parts.expect_continue = wait;
            Ok(())
        })
    }

    /// A JSON body, with its `Content-Type` unless one is set.
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Self {
        self.with(|parts| {
            let json = serde_json::to_vec(value)
                .map_err(|error| Error::input("the body does not serialise to JSON").because(error))?;
            parts.content_type("application/json");
            parts.set_body(json);
            Ok(())
        })
    }

    /// A form, url-encoded as a browser does it, with its `Content-Type` unless one is set.
    pub fn form<T: Serialize + ?Sized>(self, pairs: &T) -> Self {
        self.with(|parts| {
            let form = serde_urlencoded::to_string(pairs).map_err(|error| {
                Error::input("the form does not serialise to pairs of names and values").because(error)
            })?;
            parts.content_type("application/x-www-form-urlencoded");
            parts.set_body(form);
            Ok(())
        })
    }

    /// `Authorization: Basic` (RFC 7617).
    pub fn basic_auth(self, username: impl fmt::Display, password: impl fmt::Display) -> Self {
        let username = username.to_string();
        self.with(|parts| {
            if username.contains(':') {
                // The name is not shown: what stands behind the colon may be the password.
                return Err(Error::input("the user name has a colon, which basic authentication cannot carry"));
            }
            parts.authorize(basic(&username, &password.to_string()));
            Ok(())
        })
    }

    /// `Authorization: Bearer` (RFC 6750).
    pub fn bearer_auth(self, token: impl fmt::Display) -> Self {
        self.with(|parts| {
            let value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|error| {
                Error::input("the bearer token has a character that a header cannot hold").because(error)
            })?;
            parts.authorize(value);
            Ok(())
        })
    }

    /// Time limits for this request; what is unset in them is the session's.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.request_settings.settings.timeouts = timeouts.or(self.request_settings.settings.timeouts);
        self
    }

    /// The number of redirects that are followed; one more is an error. With 0 the redirecting
    /// response itself is returned. Default: the session's.
    pub fn max_redirects(mut self, hops: usize) -> Self {
        self.request_settings.settings.max_redirects = hops;
        self
    }

    /// Asked about each redirect of this request before it is followed, instead of the session's:
    /// see [`SessionBuilder::redirect_policy`](crate::SessionBuilder::redirect_policy).
    /// Default: the session's.
    ///
    /// ```no_run
    /// # async fn run(session: trunkline::Session) -> trunkline::Result<()> {
    /// use trunkline::RedirectAction;
    ///
    /// // Logs in as a browser would, up to where the application would take over.
    /// let answer = session.post("https://login.example.com/").form(&[("name", "ann")]).redirect_policy(|hop| {
    ///     match hop.url().path() {
    ///         "/callback" => RedirectAction::Stop,
    ///         _ => RedirectAction::Follow,
    ///     }
    /// });
    /// let callback = answer.await?.headers()["location"].clone();
    /// # let _ = callback;
    /// # Ok(())
    /// # }
    /// ```
    pub fn redirect_policy<F>(mut self, policy: F) -> Self
    where
        F: Fn(&RedirectAttempt<'_>) -> RedirectAction + Send + Sync + 'static,
    {
        self.request_settings.redirect_policy = Some(Arc::new(policy));
        self
    }

    /// Makes a response with a status of 400 or above an error. Default: the session's.
    pub fn error_for_status(mut self, error: bool) -> Self {
        self.request_settings.settings.error_for_status = error;
        self
    }

    /// The most bytes that `bytes`, `text` and `json` read, counted after decoding. Default: the
    /// session's.
    pub fn max_body_size(mut self, bytes: usize) -> Self {
        self.request_settings.settings.max_body_size = bytes;
        self
    }

    /// Asks for a compressed response, and decodes it, as
    /// [`SessionBuilder::decompress`](crate::SessionBuilder::decompress) tells. Default: the
    /// session's.
    pub fn decompress(mut self, decompress: bool) -> Self {
        self.request_settings.settings.decompress = decompress;
        self
    }

    /// Sends it, follows redirects, and returns the response as soon as its head has come. Awaiting
    /// the builder does the same.
    ///
    /// # Errors
    ///
    /// Something unusable that was set, no connection in time, a connection that broke, a redirect
    /// that cannot be followed, a passed deadline, a closed session and, if asked for, a status
    /// of 400 or above. A response with any other status is no error.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the request gives up its place in the queue or its connection; no slot is lost and
    /// no other request is delayed. Whether the server saw it is then unknown.
    pub fn send(self) -> impl Future<Output = Result<Response>> + Send + use<> {
        let Self { session, request_settings, method, parts } = self;
        let mut run = parts.and_then(Parts::complete).map(|Parts { request_url, headers, body, .. }| {
            let request = Prepared { method, request_url, headers, defaults: true, body };
            Run { session, request_settings, request }
        });
        async move {
            match run {
                // Not moved, which would have the future carry it twice.
                Ok(ref mut run) => run.run().await,
                Err(error) => Err(error),
            }
        }
    }

    /// The request as it stands, to be sent by [`Session::execute`] or looked at. Its time limits,
    /// `max_redirects` and other settings go with it, among its extensions; the session's
    /// headers do not.
    ///
    /// # Errors
    ///
    /// Something unusable that was set.
    pub fn build(self) -> Result<Request<Body>> {
        let Parts { request_url, headers, body, .. } = self.parts?.complete()?;
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = uri(&request_url.url)?;
        *request.headers_mut() = headers;
        request.extensions_mut().insert(self.request_settings);
        Ok(request)
    }
}

/// The capacity of a header map, with room for headers that are added on the way.
const MOST_HEADERS: usize = 16_384;

fn too_many_headers() -> Error {
    Error::input(format!("a request has more headers than it can have, which is {MOST_HEADERS}"))
}

impl Parts {
    fn set_body(&mut self, body: impl Into<Body>) {
        self.body = body.into();
        self.boundary = None;
    }

    /// Settings that depend on others, in whatever order they were made.
    fn complete(mut self) -> Result<Self> {
        if self.headers.len() > MOST_HEADERS {
            return Err(too_many_headers());
        }
        if let Some(boundary) = &self.boundary {
            let content_type = multipart_type(self.headers.get(CONTENT_TYPE), boundary)?;
            self.headers.insert(CONTENT_TYPE, content_type);
        }
        if self.body.is_end_stream() {
            // RFC 9110 section 10.1.1: never "in a request that does not include content".
            if !self.headers.is_empty() {
                self.headers.remove(EXPECT);
            }
        } else if self.expect_continue {
            self.headers.insert(EXPECT, HeaderValue::from_static("100-continue"));
        }
        Ok(self)
    }

    fn content_type(&mut self, value: &'static str) {
        self.headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(value));
    }

    fn authorize(&mut self, mut value: HeaderValue) {
        value.set_sensitive(true);
        self.headers.insert(AUTHORIZATION, value);
    }
}

impl IntoFuture for RequestBuilder {
    type Output = Result<Response>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl fmt::Debug for RequestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.parts.as_ref().map(|parts| crate::redact::redact_url(&parts.request_url.url).to_string());
        f.debug_struct("RequestBuilder").field("method", &self.method).field("url", &url).finish_non_exhaustive()
    }
}

fn uri(url: &Url) -> Result<Uri> {
    url[..url::Position::AfterQuery]
        .parse()
        .map_err(|error: http::uri::InvalidUri| unusable(url.as_str()).because(error))
}
