//! Settings of a pool.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize};
use std::time::Duration;

use tokio::sync::OnceCell;

use super::in_flight::InFlight;
use super::maintenance::Maintenance;
use super::shared::SharedState;
use super::state::{Rules, State};
use super::sync::Mutex;
use super::{Inner, Pool};
use crate::connection::{AddressFilter, Connector, Http1, Resolve, SystemResolver, TlsSettings};
use crate::error::{Error, Result};

/// Settings for a [`Pool`]. The setters record; [`build`](Self::build) checks.
#[must_use = "settings do nothing until they are built"]
pub struct PoolBuilder {
    limit: Option<usize>,
    limit_per_host: Option<usize>,
    idle_timeout: Duration,
    max_lifetime: Option<Duration>,
    replay: bool,
    held_threshold: Option<Duration>,
    resolver: Arc<dyn Resolve>,
    address_filter: Option<AddressFilter>,
    tls: TlsSettings,
    http1: Http1,
    made_at: &'static Location<'static>,
}

impl PoolBuilder {
    #[track_caller]
    pub(super) fn new() -> Self {
        Self {
            limit: Some(100),
            limit_per_host: None,
            idle_timeout: Duration::from_secs(15),
            max_lifetime: None,
            replay: true,
            held_threshold: None,
            resolver: Arc::new(SystemResolver),
            address_filter: None,
            tls: TlsSettings::default(),
            http1: Http1::default(),
            made_at: Location::caller(),
        }
    }

    /// Largest number of sockets that the pool owns: in use, idle and being connected. `None` is no
    /// limit; 0 is refused. Default: 100.
    pub fn limit(mut self, sockets: impl Into<Option<usize>>) -> Self {
        self.limit = sockets.into();
        self
    }

    /// Largest number of sockets to one host and port. `None` is no limit; 0 is refused. Default:
    /// none.
    pub fn limit_per_host(mut self, sockets: impl Into<Option<usize>>) -> Self {
        self.limit_per_host = sockets.into();
        self
    }

    /// Time for which an idle connection is kept. The server's `Keep-Alive: timeout=n` can shorten
    /// it. Default: 15 s.
    pub fn idle_timeout(mut self, idle: Duration) -> Self {
        self.idle_timeout = idle;
        self
    }

    /// Age, ±10 %, from which a connection serves no further request. The spread keeps connections
    /// that were made together from ending together. `None` is no limit. Default: none.
    pub fn max_lifetime(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.max_lifetime = age.into();
        self
    }

    /// Replays requests: one that fails on a reused connection, before a byte of its response, is
    /// sent once more on a new connection, if it was provably not sent or is idempotent (RFC 9110
    /// section 9.2.2). Not after a timeout, a close or a failure of its own body. Default: yes.
    pub fn replay(mut self, replay: bool) -> Self {
        self.replay = replay;
        self
    }

    /// Reports each connection that one request has held for longer than this, once, as a warning
    /// of `tracing`. Default: none.
    pub fn report_held(mut self, longer_than: impl Into<Option<Duration>>) -> Self {
        self.held_threshold = longer_than.into();
        self
    }

    /// Resolves host names with this resolver instead of the system's. Its results are cached in
    /// the same way: for 10 s, for 1,000 names. Default: the system's
    /// resolver.
    pub fn resolver(mut self, resolver: impl Resolve) -> Self {
        self.resolver = Arc::new(resolver);
        self
    }

    /// Refuses the addresses for which `accept` returns false. It is called for each address before
    /// a connection to it: addresses that names resolve to, literal ones, and those that redirects
    /// lead to. Use it to keep requests to URLs from untrusted sources out of your own network.
    ///
    /// ```
    /// # fn main() -> trunkline::Result<()> {
    /// use std::net::IpAddr;
    ///
    /// let pool = trunkline::Pool::builder()
    ///     .address_filter(|address| match address {
    ///         // 0.0.0.0 and :: are this machine, too.
    ///         IpAddr::V4(v4) => !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified()),
    ///         IpAddr::V6(v6) => !(v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unspecified()),
    ///     })
    ///     .build()?;
    /// # let _ = pool;
    /// # Ok(())
    /// # }
    /// ```
    pub fn address_filter(mut self, accept: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        self.address_filter = Some(Arc::new(accept));
        self
    }

    /// Trusts these certificates (PEM, one or several) in addition to the platform's.
    pub fn add_root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.extra_roots.push(pem.into());
        self
    }

    /// Presents this certificate to servers that request one: a PEM text with the chain and its
    /// private key.
    pub fn client_identity(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.identity = Some(pem.into());
        self
    }

    /// Accepts any certificate, for any name, expired or not. A third party on the path to the
    /// server can then read and change all traffic. Default: no.
    pub fn danger_accept_invalid_certs(mut self, accept: bool) -> Self {
        self.tls.accept_invalid = accept;
        self
    }

    /// Largest number of headers in a response. Default: 100.
    pub fn max_headers(mut self, count: usize) -> Self {
        self.http1.max_headers = Some(count);
        self
    }

    /// Largest size of the head of a response, in bytes. Default: about 400 KiB.
    pub fn max_header_size(mut self, bytes: usize) -> Self {
        self.http1.max_header_size = Some(bytes);
        self
    }

    /// Builds the pool. It needs no runtime and opens no connection.
    ///
    /// # Errors
    ///
    /// A limit of 0, or a certificate or key that cannot be read; the error names it.
    pub fn build(self) -> Result<Pool> {
        for (name, limit) in [("limit", self.limit), ("limit_per_host", self.limit_per_host)] {
            if limit == Some(0) {
                return Err(Error::input(format!(
                    "{name} is 0, and no request could ever be sent: use at least 1, or None for no limit"
                )));
            }
        }
        if self.http1.max_header_size.is_some_and(|size| size == 0) || self.http1.max_headers == Some(0) {
            return Err(Error::input(
                "max_headers or max_header_size is 0, and no response could be read: use at least 1",
            ));
        }
        let rules = Rules {
            limit: self.limit,
            limit_per_host: self.limit_per_host,
            idle_timeout: self.idle_timeout,
            max_lifetime: self.max_lifetime,
            seed: RandomState::new().hash_one(0),
        };
        let maintenance = Arc::new(Maintenance::new(self.held_threshold));
        Ok(Pool(Arc::new(Inner {
            shared: Arc::new(SharedState::new(State::new(rules), Box::new(maintenance.clone()))),
            connector: Arc::new(Connector::new(self.resolver, self.address_filter, &self.tls)?),
            maintenance,
            http1: self.http1,
            replay: self.replay,
            in_flight: Arc::new(InFlight::default()),
            sessions: AtomicUsize::new(0),
            owners: AtomicU32::new(0),
            closing: OnceCell::new(),
            last_dial_error: Mutex::new(None),
            made_at: self.made_at,
        })))
    }
}

impl fmt::Debug for PoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuilder")
            .field("limit", &self.limit)
            .field("limit_per_host", &self.limit_per_host)
            .field("idle_timeout", &self.idle_timeout)
            .field("max_lifetime", &self.max_lifetime)
            .field("replay", &self.replay)
            .finish_non_exhaustive()
    }
}
