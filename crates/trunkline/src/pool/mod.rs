//! The pool: who may open how many connections, who waits, who goes next, and how it all ends.
//!
//! `state` decides, `shell` locks and carries out, `lease` lends, `keeper` looks after what nobody
//! uses.

mod acquire;
#[cfg(trunkline_bench)]
pub mod bench;
mod builder;
mod cell;
mod close;
mod exchange;
mod explain;
mod in_flight;
mod keeper;
mod key;
mod lease;
mod response;
mod shell;
mod state;
mod sync;
#[cfg(test)]
mod tests;

use std::fmt;
use std::panic::Location;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use tokio::sync::OnceCell;
use url::Url;

pub use self::builder::PoolBuilder;
use self::cell::{Member, Retired};
pub(crate) use self::close::GRACE;
pub(crate) use self::exchange::{Call, Outgoing};
pub(crate) use self::in_flight::{InFlight, InFlightGuard};
use self::keeper::Keepers;
use self::key::Key;
pub use self::response::{ConnectionInfo, ResponseBody};
use self::shell::Shell;
use self::state::{Ledger, Owner, SlotId, State, Tally};
use self::sync::Mutex;
use crate::body::Body;
pub(crate) use crate::connection::Target;
use crate::connection::{Attempts, Connection, Connector, Http1};
use crate::error::{Error, Result};
use crate::stats::{CloseReport, Closes, HostStats, PoolStats};
use crate::timeouts::Timeouts;

/// Connections kept alive and shared, bounded in number.
///
/// A pool never owns more sockets than its limits allow, in all and to each host; idle ones and
/// those being made count. Requests that find none free wait in order of arrival, and an idle
/// connection to one host makes way for a request to another.
///
/// Most programs never see it: a [`Session`](crate::Session) makes its own. Give one to several
/// sessions ([`SessionBuilder::pool`](crate::SessionBuilder::pool)) to bound them together. A
/// `Pool` is a handle: cloning it is cheap and names the same pool. A pool that is dropped without
/// being closed closes its sockets and warns once, naming where it was made.
///
/// ```
/// # fn main() -> trunkline::Result<()> {
/// use trunkline::{Pool, Session};
///
/// let pool = Pool::builder().limit(20).limit_per_host(4).build()?;
/// let one = Session::builder().pool(pool.clone()).build()?;
/// let other = Session::builder().pool(pool).build()?;
/// # let _ = (one, other);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Pool(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    shell: Arc<Shell<Key, Connection>>,
    connector: Arc<Connector>,
    keepers: Arc<Keepers>,
    http1: Http1,
    /// P10 can be switched off.
    replay: bool,
    /// Requests under way, of all sessions.
    in_flight: Arc<InFlight>,
    /// Sessions not closed yet.
    sessions: AtomicUsize,
    owners: AtomicU32,
    closing: OnceCell<CloseReport>,
    last_dial_error: Mutex<Option<String>>,
    made_at: &'static Location<'static>,
}

impl Pool {
    /// A pool with the default settings. The same as `Pool::builder().build()`, which cannot fail
    /// with them.
    #[track_caller]
    pub fn new() -> Self {
        Self::builder().build().expect("the default settings are valid")
    }

    /// Settings for a pool.
    #[track_caller]
    pub fn builder() -> PoolBuilder {
        PoolBuilder::new()
    }

    /// Sends one request as it is and returns its response as it comes: nothing is redirected,
    /// decoded or normalised, and of the headers only a missing `Host` is added (RFC 9112
    /// section 3.2). The URI's path and query go out byte for byte.
    ///
    /// This is what [`Session`](crate::Session) stands on; use it to put the pool under another
    /// client.
    ///
    /// ```no_run
    /// # async fn run(pool: trunkline::Pool) -> Result<(), Box<dyn std::error::Error>> {
    /// use trunkline::{Body, Timeouts};
    ///
    /// let request = http::Request::get("http://127.0.0.1:8080/a/../b").body(Body::empty())?;
    /// let response = pool.send(request, Timeouts::new()).await?;
    /// assert!(response.status().is_success());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// A URI that is not an absolute `http` or `https` one, no connection in time, an exchange that
    /// broke, a passed deadline, or a closed pool.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the request gives up its place in the queue or its connection; no slot is lost and
    /// no other request is delayed. Whether the server saw it is then unknown.
    pub async fn send<B>(&self, request: Request<B>, timeouts: Timeouts) -> Result<Response<ResponseBody>>
    where
        B: http_body::Body + Send + 'static,
        B::Data: Into<Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let (method, uri) = (head.method.clone(), head.uri.clone());
        let sent = async {
            let pass = self.0.in_flight.enter().ok_or_else(Error::closed)?;
            let mut call = Call::new(POOL, timeouts.or(Timeouts::DEFAULT));
            let (target, head) = to_the_wire(head)?;
            let mut outgoing = AsItIs { target, head, body: Body::wrap(body) };
            if outgoing.body.is_to_be_measured() {
                Box::pin(outgoing.body.measure_by(call.deadline)).await?;
                call.begin_now();
            }
            let mut response = self.0.exchange(&mut outgoing, &call).await?;
            response.body_mut().hold(pass);
            Ok(response)
        };
        sent.await.map_err(|error: Error| match Url::parse(&uri.to_string()) {
            Ok(url) => error.of(&method, &url),
            Err(_) => error,
        })
    }

    /// The pool's figures at this instant.
    pub fn stats(&self) -> PoolStats {
        self.0.shell.read(stats)
    }

    /// Starts a new generation: connections made until now serve no further request. Those in use
    /// finish theirs first.
    pub fn refresh(&self) {
        self.0.shell.event(|state, _| state.refresh());
    }

    /// [`close_within`](Self::close_within) ten seconds.
    pub async fn close(&self) -> CloseReport {
        self.close_within(GRACE).await
    }

    /// Closes the pool. New requests and those that wait for a connection fail at once with an
    /// error that [`is_closed`](Error::is_closed). Requests under way, and the responses that
    /// are being read, may finish within the grace; then they are aborted. Idle connections end
    /// properly (TLS close_notify, FIN). It returns when the process owns no socket of this pool
    /// any more.
    ///
    /// Called again, or by two tasks at once, it waits for the same end and returns the same
    /// report.
    ///
    /// # Cancel safety
    ///
    /// The pool stays closed to new requests; call it again to go on with the rest.
    pub async fn close_within(&self, grace: Duration) -> CloseReport {
        self.0.close_within(grace).await
    }
}

/// The owner of what is sent on the pool itself.
const POOL: Owner = 0;

impl Inner {
    pub(crate) fn in_flight(&self) -> &Arc<InFlight> {
        &self.in_flight
    }

    /// A session begins to use the pool; its number.
    pub(crate) fn join(&self) -> Owner {
        self.sessions.fetch_add(1, Ordering::AcqRel);
        self.owners.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn has_no_session(&self) -> bool {
        self.sessions.load(Ordering::Acquire) == 0
    }

    /// A session ends. True if it was the last.
    pub(crate) fn part(&self) -> bool {
        self.sessions.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

impl Default for Pool {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rules, total) = self.0.shell.read(|state| (state.rules().clone(), state.ledger().total));
        f.debug_struct("Pool")
            .field("limit", &rules.limit)
            .field("limit_per_host", &rules.limit_per_host)
            .field("idle", &total.idle)
            .field("in_use", &total.in_use)
            .field("dialing", &total.dialing)
            .field("waiting", &total.waiting)
            .finish()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let open = self.shell.read(|state| state.ledger().total.open());
        if open > 0 && !self.closing.initialized() {
            let made_at = self.made_at;
            tracing::warn!(target: "trunkline::pool", open, %made_at, "a pool was dropped without being closed: await close()");
        }
        self.shell.event(|state, _| state.drain());
    }
}

/// A request whose head was made elsewhere.
struct AsItIs {
    target: Target,
    head: Parts,
    body: Body,
}

impl Outgoing for AsItIs {
    fn target(&self) -> &Target {
        &self.target
    }

    fn method(&self) -> &Method {
        &self.head.method
    }

    fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    fn head(&self) -> Request<()> {
        Request::from_parts(self.head.clone(), ())
    }

    fn body(&mut self) -> &mut Body {
        &mut self.body
    }
}

/// Where a request leads.
fn target(uri: &Uri) -> Result<Target> {
    let wrong = || {
        // Without what may be secret in it.
        let shown = uri.to_string();
        let shown = shown.split('?').next().unwrap_or_default();
        let shown = match (shown.split_once("://"), shown.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
            (None, Some((_, rest))) => rest.to_owned(),
            (_, None) => shown.to_owned(),
        };
        Error::input(format!("{shown:?} is not an absolute http or https URI"))
    };
    let https = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(wrong()),
    };
    let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
    let host =
        if host.bytes().any(|byte| byte.is_ascii_uppercase()) { host.to_ascii_lowercase().into() } else { host.into() };
    Ok(Target { https, host, port })
}

/// The head as it goes over the wire: origin-form, with the `Host` that HTTP/1.1 demands (RFC 9112
/// sections 3.2, 3.2.1).
fn to_the_wire(mut head: Parts) -> Result<(Target, Parts)> {
    let target = target(&head.uri)?;
    if !head.headers.contains_key(HOST) {
        let authority = head.uri.authority().map_or("", |authority| authority.as_str());
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let host = HeaderValue::from_str(host)
            .map_err(|error| Error::input(format!("{target} is not a host name")).because(error))?;
        head.headers.insert(HOST, host);
    }
    head.uri = head.uri.path_and_query().map_or_else(|| Uri::from_static("/"), |path| path.clone().into());
    head.version = http::Version::HTTP_11;
    Ok((target, head))
}

/// Leave for the concurrent attempts of one dial (RFC 8305), from the same limits as everything
/// else (P1).
struct SlotAttempts {
    /// Weak: the dial is kept in the shell.
    shell: Weak<Shell<Key, Connection>>,
    slot: SlotId,
}

impl SlotAttempts {
    fn new(pool: &Inner, slot: SlotId) -> Self {
        Self { shell: Arc::downgrade(&pool.shell), slot }
    }
}

impl Attempts for SlotAttempts {
    fn begin(&self) -> bool {
        self.shell.upgrade().is_some_and(|shell| shell.event(|state, _| state.begin_attempt(self.slot)))
    }

    fn end(&self) {
        if let Some(shell) = self.shell.upgrade() {
            shell.event(|state, now| state.end_attempt(self.slot, now));
        }
    }
}

impl Member for Connection {
    fn retire(&mut self) -> Retired {
        match Connection::retire(self) {
            Ok(keep_alive) => Retired::Keep { keep_alive },
            Err(reason) => Retired::Close(reason),
        }
    }

    fn traffic(&self) -> u64 {
        Connection::traffic(self)
    }

    fn end(self) {
        Connection::end(self);
    }
}

fn stats(state: &State<Key>) -> PoolStats {
    let Ledger { total, created, reused, dials_failed, closed, wait, connect } = state.ledger();
    let hosts = state.hosts().map(|((host, port), tally)| {
        let Tally { dialing, in_use, idle, waiting, .. } = *tally;
        HostStats { host: format!("{host}:{port}"), open: tally.open(), idle, in_use, dialing, waiting }
    });
    PoolStats {
        open: total.open(),
        idle: total.idle,
        in_use: total.in_use,
        dialing: total.dialing,
        waiting: total.waiting,
        created: *created,
        reused: *reused,
        closed: Closes::new(*closed),
        dials_failed: *dials_failed,
        wait: wait.clone(),
        connect: connect.clone(),
        hosts: hosts.collect(),
    }
}
