//! The session: one for the whole application, shared by every handler and job.

mod builder;
mod cookies;
mod decoded;
mod headers;
mod history;
mod into_url;
mod prepared;
mod redirect;
mod request;
mod request_settings;
mod request_url;
mod response;
mod run;
mod save;
mod service;

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method};
use tokio::sync::OnceCell;
use url::Url;

pub use self::builder::SessionBuilder;
pub use self::decoded::DecodedBody;
pub use self::history::RedirectHop;
pub use self::history::ResponseHistory;
pub use self::into_url::IntoUrl;
use self::redirect::Policy;
pub use self::redirect::{RedirectAction, RedirectAttempt};
pub use self::request::RequestBuilder;
use self::request_settings::SharedSettings;
use self::request_url::{RequestUrl, UrlCache};
pub use self::response::Response;
pub use self::service::ResponseFuture;
use crate::body::Body;
use crate::cookies::CookieJar;
use crate::error::Result;
use crate::pool::{GRACE, InFlight, Pool};
use crate::stats::{CloseReport, PoolStats};

/// One HTTP session for the whole application.
///
/// Open one before the application serves, hand clones of it to every handler and job, and close
/// it, awaited, after the last of them. It keeps connections alive and shares them, never opens
/// more than its [`Pool`] allows, and can say at any moment what it is doing.
///
/// A `Session` is a handle: cloning it is cheap and names the same session. It can be made
/// anywhere, no runtime needed, and used from several tokio runtimes, which must have their I/O and
/// time drivers enabled.
///
/// ```
/// # #[tokio::main] async fn main() -> trunkline::Result<()> {
/// use trunkline::Session;
///
/// let session = Session::new();
/// // … session.get("https://example.com/").await?.text().await? …
/// let report = session.close().await;
/// assert_eq!(report.aborted, 0);
/// # Ok(())
/// # }
/// ```
///
/// # As a tower service
///
/// A session is a `tower_service::Service<http::Request<Body>>`, and so is `&Session`. Put layers
/// over it for what is not its business. If one changes the type of the request's body, put
/// `.map_request(|request: http::Request<_>| request.map(Body::wrap))` below it.
///
/// It is always ready: requests wait in the pool's queue, in order, which bounds connections
/// instead of requests. Readiness would have to be asked before it is known which host a request
/// goes to, and so which limit holds. To bound the requests under way as well, put tower's
/// `ConcurrencyLimitLayer` over it. A closed session is ready too, and its requests fail with an
/// error that [`is_closed`](crate::Error::is_closed).
///
/// [`Session::execute`] documents the behaviour. Settings of a
/// [`RequestBuilder`](crate::RequestBuilder), time limits for instance, travel in the request that
/// [`build`](crate::RequestBuilder::build) makes. The response's extensions hold its
/// [`ConnectionInfo`](crate::ConnectionInfo) and its [`ResponseHistory`](crate::ResponseHistory).
///
/// ```
/// # type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
/// # let address = server().await;
/// use http::{HeaderName, HeaderValue, Request};
/// use tower::{ServiceBuilder, ServiceExt as _};
/// use tower_http::set_header::SetRequestHeaderLayer;
/// use tower_http::trace::TraceLayer;
/// use trunkline::{Body, ConnectionInfo, Session};
///
/// let session = Session::new();
/// let client = ServiceBuilder::new()
///     .concurrency_limit(64)
///     .layer(TraceLayer::new_for_http())
///     .layer(SetRequestHeaderLayer::overriding(
///         HeaderName::from_static("x-tenant"),
///         HeaderValue::from_static("blue"),
///     ))
///     .service(session.clone());
///
/// let response = client.oneshot(Request::get(&address).body(Body::empty())?).await?;
/// assert_eq!(response.status(), 200);
/// assert!(!response.extensions().get::<ConnectionInfo>().unwrap().reused);
/// # drop(response);
/// # session.close().await;
/// # Ok(())
/// # }
/// # async fn server() -> String {
/// #     use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// #     let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
/// #     let address = format!("http://{}/", listener.local_addr().unwrap());
/// #     tokio::spawn(async move {
/// #         let (mut socket, _) = listener.accept().await.unwrap();
/// #         let mut request = [0; 4096];
/// #         let read = socket.read(&mut request).await.unwrap();
/// #         assert!(String::from_utf8_lossy(&request[..read]).contains("x-tenant: blue"));
/// #         socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
/// #     });
/// #     address
/// # }
/// ```
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    pool: Pool,
    owner: u32,
    /// Requests under way in this session.
    in_flight: Arc<InFlight>,
    closing: OnceCell<CloseReport>,
    /// It counts among the pool's sessions until it is closed or dropped.
    joined: AtomicBool,
    base_url: Option<Url>,
    url_cache: UrlCache,
    headers: HeaderMap,
    cookies: CookieJar,
    /// The content codings that it can decode.
    codings: Option<HeaderValue>,
    settings: SharedSettings,
    redirect_policy: Option<Policy>,
}

impl Session {
    /// A session with the default settings and a pool of its own. It never fails and opens nothing
    /// yet.
    #[track_caller]
    pub fn new() -> Self {
        Self::builder().build().expect("the default settings are valid")
    }

    /// Begins a session with its settings.
    #[track_caller]
    pub fn builder() -> SessionBuilder {
        SessionBuilder::new()
    }

    /// Runs `work` with the session and closes it afterwards, awaited, on success, error and panic
    /// alike: Python's `async with`.
    ///
    /// ```
    /// # #[tokio::main] async fn main() {
    /// use trunkline::Session;
    ///
    /// let answer = Session::new().scope(async |session| session.stats().open).await;
    /// assert_eq!(answer, 0);
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If `work` does, once the session is closed.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it drops `work` with the requests it has under way; the session is then not closed.
    pub async fn scope<R>(self, work: impl AsyncFnOnce(&Self) -> R) -> R {
        let result = {
            let mut running = pin!(work(&self));
            // The session is closed whatever the work left behind, and nothing of the work is seen
            // again after a panic.
            std::future::poll_fn(|cx| match std::panic::catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx))) {
                Ok(poll) => poll.map(Ok),
                Err(panic) => Poll::Ready(Err(panic)),
            })
            .await
        };
        self.close().await;
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// A `GET` request. Await it, or set more first.
    pub fn get(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// A `HEAD` request.
    pub fn head(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::HEAD, url)
    }

    /// A `POST` request.
    pub fn post(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::POST, url)
    }

    /// A `PUT` request.
    pub fn put(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::PUT, url)
    }

    /// A `PATCH` request.
    pub fn patch(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::PATCH, url)
    }

    /// A `DELETE` request.
    pub fn delete(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::DELETE, url)
    }

    /// A request with this method. What is wrong with the address is told when it is sent.
    pub fn request(&self, method: Method, url: impl IntoUrl) -> RequestBuilder {
        RequestBuilder::new(self.clone(), method, self.0.request_url(url))
    }

    /// Sends a request made elsewhere, with the session's headers added where it has none of that
    /// name, and follows redirects. One made by [`RequestBuilder::build`] keeps the time limits
    /// and other settings it was given.
    ///
    /// # Errors
    ///
    /// As [`RequestBuilder::send`].
    ///
    /// # Cancel safety
    ///
    /// As [`RequestBuilder::send`].
    pub async fn execute(&self, request: http::Request<Body>) -> Result<Response> {
        let (mut head, body) = request.into_parts();
        let uri = head.uri.to_string();
        let mut builder = self.request(head.method, uri.as_str()).body(body);
        builder.replace_headers(head.headers);
        if let Some(request_settings) = head.extensions.remove() {
            builder.adopt(request_settings);
        }
        builder.send().await
    }

    /// Its cookies: what servers set, and what the program adds.
    pub fn cookies(&self) -> &CookieJar {
        &self.0.cookies
    }

    /// The figures of the session's pool at this instant.
    pub fn stats(&self) -> PoolStats {
        self.0.pool.stats()
    }

    /// The pool its requests go through.
    pub fn pool(&self) -> &Pool {
        &self.0.pool
    }

    /// [`close_within`](Self::close_within) ten seconds.
    pub async fn close(&self) -> CloseReport {
        self.close_within(GRACE).await
    }

    /// Ends the session. New requests and those that wait for a connection fail at once with an
    /// error that [`is_closed`](crate::Error::is_closed); requests under way, and the responses
    /// being read, may finish within the grace, then they are aborted. With its pool's last
    /// session the pool is closed too, and this returns when the process owns no socket of it any
    /// more.
    ///
    /// Called again, or by two tasks at once, it waits for the same end and returns the same
    /// report.
    ///
    /// # Cancel safety
    ///
    /// The session stays closed to new requests; call it again to go on with the rest.
    pub async fn close_within(&self, grace: Duration) -> CloseReport {
        *self.0.closing.get_or_init(|| self.0.close_once(grace)).await
    }
}

impl Inner {
    fn request_url(&self, url: impl IntoUrl) -> Result<Arc<RequestUrl>> {
        if let Some(known) = url.text().and_then(|text| self.url_cache.find(text)) {
            return Ok(known);
        }
        let text = url.text().map(Box::<str>::from);
        let request_url = RequestUrl::new(url.into_url(self.base_url.as_ref())?)?;
        if let Some(text) = text {
            self.url_cache.remember(&text, &request_url);
        }
        Ok(request_url)
    }

    async fn close_once(&self, grace: Duration) -> CloseReport {
        self.in_flight.close();
        // A close that was given up has parted already, and is continued here; closing the pool
        // twice is no harm.
        let last = self.part() || self.pool.0.has_no_session();
        if last {
            self.pool.close_within(grace).await
        } else {
            self.pool.0.close_owner(self.owner, &self.in_flight, grace).await
        }
    }

    /// True if this was the pool's last session.
    fn part(&self) -> bool {
        self.joined.swap(false, Ordering::AcqRel) && self.pool.0.leave()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.part();
    }
}

impl Default for Session {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers may be secrets: their names alone are shown.
        let headers: Vec<_> = self.0.headers.keys().collect();
        f.debug_struct("Session")
            .field("base_url", &self.0.base_url.as_ref().map(|url| crate::redact::redact_url(url).to_string()))
            .field("headers", &headers)
            .field("cookies", &self.0.cookies)
            .field("settings", &self.0.settings)
            .field("pool", &self.0.pool)
            .finish()
    }
}
