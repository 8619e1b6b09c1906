//! Connection pool: limits, queues, reuse, idle connections and close.
//!
//! `state` decides, `shared` locks it and carries out its actions, `lease` is a connection in use,
//! and `maintenance` drives what no request polls. The rules P1 to P15 are in `docs/POOL.md`.

mod acquire;
#[cfg(trunkline_bench)]
pub mod bench;
mod builder;
mod close;
mod connection_slot;
mod exchange;
mod exchange_record;
mod explain;
mod in_flight;
mod key;
mod lease;
mod maintenance;
mod outgoing;
mod raw_request;
mod response;
mod shared;
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
use http::{Request, Response};
use tokio::sync::OnceCell;

pub use self::builder::PoolBuilder;
pub(crate) use self::close::GRACE;
use self::connection_slot::{AfterExchange, Pooled};
pub(crate) use self::in_flight::{InFlight, InFlightGuard};
use self::key::Key;
use self::maintenance::Maintenance;
pub(crate) use self::outgoing::{Call, Outgoing};
use self::raw_request::{RawRequest, absolute_url};
pub use self::response::{ConnectionInfo, ResponseBody};
use self::shared::SharedState;
use self::state::{Gauges, Metrics, Owner, SlotId, State};
use self::sync::Mutex;
use crate::body::Body;
pub(crate) use crate::connection::Target;
use crate::connection::{Attempts, Connection, Connector, Http1};
use crate::error::{Error, Result};
use crate::stats::{CloseReport, Closes, HostStats, PoolStats};
use crate::timeouts::Timeouts;

/// Connection pool: keeps connections alive, shares them and bounds their number.
///
/// A pool never owns more sockets than its limits allow, in total and to each host. Idle
/// connections and connections in the making count. A request that finds no free connection waits
/// in order of arrival, and an idle connection to one host makes way for a request to another.
///
/// Most programs need no pool of their own: a [`Session`](crate::Session) makes one. Give one pool
/// to several sessions ([`SessionBuilder::pool`](crate::SessionBuilder::pool)) to bound them
/// together. A `Pool` is a handle: a clone is cheap and refers to the same pool. A pool that is
/// dropped without a close closes its sockets and logs one warning with the place where it was
/// made.
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
    shared: Arc<SharedState<Key, Connection>>,
    connector: Arc<Connector>,
    maintenance: Arc<Maintenance>,
    http1: Http1,
    /// True if a request may be sent once more when its reused connection fails (P10).
    replay: bool,
    /// Requests under way, of all sessions.
    in_flight: Arc<InFlight>,
    /// Number of sessions that are not closed yet.
    sessions: AtomicUsize,
    owners: AtomicU32,
    closing: OnceCell<CloseReport>,
    last_dial_error: Mutex<Option<String>>,
    made_at: &'static Location<'static>,
}

impl Pool {
    /// Makes a pool with the default settings. The same as `Pool::builder().build()`, which cannot
    /// fail with them.
    #[track_caller]
    pub fn new() -> Self {
        Self::builder().build().expect("the default settings are valid")
    }

    /// Returns the settings for a new pool, with their defaults.
    #[track_caller]
    pub fn builder() -> PoolBuilder {
        PoolBuilder::new()
    }

    /// Sends one request as it is and returns its response as it arrives: without redirects,
    /// decoding or normalisation. The only header that is added is a missing `Host` (RFC 9112
    /// section 3.2). The URI's path and query are sent byte for byte.
    ///
    /// [`Session`](crate::Session) is built on the same exchange. Use this method to put the pool
    /// under another client.
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
    /// The URI is not an absolute `http` or `https` one, no connection was available in time, the
    /// exchange broke off, the deadline passed, or the pool is closed.
    ///
    /// # Cancel safety
    ///
    /// A dropped request gives up its place in the queue or its connection. No slot is lost and no
    /// other request is delayed. The server may or may not have seen the request.
    pub async fn send<B>(&self, request: Request<B>, timeouts: Timeouts) -> Result<Response<ResponseBody>>
    where
        B: http_body::Body + Send + 'static,
        B::Data: Into<Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        let (method, uri) = (head.method.clone(), head.uri.clone());
        let response = async {
            let guard = self.0.in_flight.enter().ok_or_else(Error::closed)?;
            let mut call = Call::new(POOL, timeouts.or(Timeouts::DEFAULT));
            let mut outgoing = RawRequest::new(head, Body::wrap(body))?;
            if outgoing.body.is_to_be_measured() {
                Box::pin(outgoing.body.measure_by(call.deadline)).await?;
                call.begin_now();
            }
            let mut response = self.0.exchange(&mut outgoing, &call).await?;
            response.body_mut().hold(guard);
            Ok(response)
        };
        response.await.map_err(|error: Error| match absolute_url(&uri) {
            Some(url) => error.of(&method, &url),
            None => error,
        })
    }

    /// Returns a snapshot of the pool's statistics.
    pub fn stats(&self) -> PoolStats {
        self.0.shared.read(stats)
    }

    /// Starts a new generation: connections made until now serve no further request. Connections in
    /// use finish their current one.
    pub fn refresh(&self) {
        self.0.shared.event(|state, _| state.refresh());
    }

    /// Closes the pool with a grace of ten seconds: see [`close_within`](Self::close_within).
    pub async fn close(&self) -> CloseReport {
        self.close_within(GRACE).await
    }

    /// Closes the pool. New requests and requests that wait for a connection fail at once with an
    /// error that [`is_closed`](Error::is_closed). Requests under way and responses being read may
    /// finish within `grace`; then they are aborted. Idle connections end properly (TLS
    /// close_notify, FIN). Returns when the process owns no socket of this pool any more.
    ///
    /// A second call, also a concurrent one, waits for the same end and returns the same report.
    ///
    /// # Cancel safety
    ///
    /// After a dropped call the pool stays closed to new requests. Call it again to complete the
    /// close.
    pub async fn close_within(&self, grace: Duration) -> CloseReport {
        self.0.close_within(grace).await
    }
}

/// Owner of requests that are sent on the pool itself.
const POOL: Owner = 0;

impl Inner {
    pub(crate) fn in_flight(&self) -> &Arc<InFlight> {
        &self.in_flight
    }

    /// Adds a session to the users of the pool. Returns its number.
    pub(crate) fn join(&self) -> Owner {
        self.sessions.fetch_add(1, Ordering::AcqRel);
        self.owners.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn has_no_session(&self) -> bool {
        self.sessions.load(Ordering::Acquire) == 0
    }

    /// Removes a session from the users of the pool. True if it was the last.
    pub(crate) fn leave(&self) -> bool {
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
        let (rules, total) = self.0.shared.read(|state| (state.rules().clone(), state.metrics().total));
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
        let open = self.shared.read(|state| state.metrics().total.open());
        if open > 0 && !self.closing.initialized() {
            let made_at = self.made_at;
            tracing::warn!(target: "trunkline::pool", open, %made_at, "a pool was dropped without being closed: await close()");
        }
        self.shared.event(|state, _| state.drain());
    }
}

/// Permits for the concurrent attempts of one dial (RFC 8305), counted in the limits (P1).
struct SlotAttempts {
    /// Weak: the shared state owns the dial.
    shared: Weak<SharedState<Key, Connection>>,
    slot: SlotId,
}

impl SlotAttempts {
    fn new(pool: &Inner, slot: SlotId) -> Self {
        Self { shared: Arc::downgrade(&pool.shared), slot }
    }
}

impl Attempts for SlotAttempts {
    fn begin(&self) -> bool {
        self.shared.upgrade().is_some_and(|shared| shared.event(|state, _| state.begin_attempt(self.slot)))
    }

    fn end(&self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.event(|state, now| state.end_attempt(self.slot, now));
        }
    }
}

impl Pooled for Connection {
    fn after_exchange(&mut self) -> AfterExchange {
        match Connection::retire(self) {
            Ok(keep_alive) => AfterExchange::Keep { keep_alive },
            Err(reason) => AfterExchange::Close(reason),
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
    let Metrics { total, created, reused, dials_failed, closed, wait, connect } = state.metrics();
    let hosts = state.hosts().map(|((host, port), gauges)| {
        let Gauges { dialing, in_use, idle, waiting, .. } = *gauges;
        HostStats { host: format!("{host}:{port}"), open: gauges.open(), idle, in_use, dialing, waiting }
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
