//! Connector: opens a connection to a target in four steps (resolve, filter addresses, connect,
//! TLS).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use super::dns_cache::DnsCache;
use super::happy_eyeballs::{Attempts, ConnectFailure, connect_first};
use super::resolve::Resolve;
use super::socket::{Socket, SocketIo, Stream};
use super::tls::{Tls, TlsSettings};
use crate::error::{Error, Kind, Phase, Result};

/// Destination of a connection, and key of the pool: connections to equal targets are
/// interchangeable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) https: bool,
    /// Lower-case; an IPv6 address without its brackets.
    pub(crate) host: Arc<str>,
    pub(crate) port: u16,
}

/// Writes few pieces to the hasher: each request looks its target up.
impl Hash for Target {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.host.as_bytes());
        state.write_u32(u32::from(self.port) << 1 | u32::from(self.https));
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// Predicate on addresses: true allows a connection.
pub(crate) type AddressFilter = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// Opens connections.
#[derive(Clone)]
pub(crate) struct Connector {
    dns: DnsCache,
    filter: Option<AddressFilter>,
    tls: Tls,
}

impl Connector {
    /// # Errors
    ///
    /// Unusable TLS settings.
    pub(crate) fn new(resolver: Arc<dyn Resolve>, filter: Option<AddressFilter>, tls: &TlsSettings) -> Result<Self> {
        Ok(Self { dns: DnsCache::new(resolver), filter, tls: Tls::new(tls)? })
    }

    /// Opens a connection to `target`. Uses the caller's slot, and further slots that `attempts`
    /// grants; on return it holds the caller's slot only.
    ///
    /// # Errors
    ///
    /// Each error names the host and the phase, and each address with its failure.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes every socket it opened.
    pub(crate) async fn open(
        &self,
        target: &Target,
        attempts: &dyn Attempts,
        deadline: Option<Instant>,
    ) -> Result<(Stream, Arc<Socket>)> {
        let span = tracing::debug_span!(target: "trunkline::connection", "open", %target);
        self.open_in_span(target, attempts, deadline).instrument(span).await
    }

    async fn open_in_span(
        &self,
        target: &Target,
        attempts: &dyn Attempts,
        deadline: Option<Instant>,
    ) -> Result<(Stream, Arc<Socket>)> {
        let addresses = self.addresses(target, deadline).await?;
        let tcp = connect_first(addresses, attempts, deadline, TcpStream::connect)
            .await
            .map_err(|failure| unreachable(target, failure))?;
        let socket = Socket::new(tcp, target.https).map_err(|error| closed_at_once(target, error))?;
        tracing::debug!(target: "trunkline::connection", peer = %socket.peer(), "connected");
        let io = SocketIo::new(socket.clone());
        if !target.https {
            return Ok((Stream::Plain(io), socket));
        }
        let handshake = within(deadline, self.tls.handshake(&target.host, io)).await;
        let stream = handshake.ok_or_else(|| {
            let detail = format!("{} at {} did not complete the handshake", target.host, socket.peer());
            Error::timeout(Phase::Tls).detail(detail)
        })??;
        Ok((Stream::Tls(Box::new(stream)), socket))
    }

    /// Resolves the target and applies the filter. Literal addresses and the targets of redirects
    /// go through the filter too.
    async fn addresses(&self, target: &Target, deadline: Option<Instant>) -> Result<Vec<SocketAddr>> {
        let host = &target.host;
        let resolved = within(deadline, self.dns.lookup(host)).await;
        let resolved = resolved
            .ok_or_else(|| Error::timeout(Phase::Resolve).detail(format!("the lookup of {host} got no answer")))?
            .map_err(|error| {
                let detail = format!("no address for {host}");
                Error::new(Kind::Connect).at(Phase::Resolve).detail(detail).because(error)
            })?;
        // `::ffff:127.0.0.1` is 127.0.0.1: the filter sees canonical addresses only.
        let resolved: Vec<IpAddr> = resolved.into_iter().map(|address| address.to_canonical()).collect();
        tracing::debug!(target: "trunkline::connection", addresses = ?resolved, "resolved");
        let (allowed, refused): (Vec<_>, Vec<_>) = match &self.filter {
            Some(filter) => resolved.into_iter().partition(|address| filter(*address)),
            None => (resolved, Vec::new()),
        };
        if allowed.is_empty() {
            let refused: Vec<_> = refused.iter().map(ToString::to_string).collect();
            let detail = format!("every address of {host} was refused by the address filter: {}", refused.join(", "));
            return Err(Error::new(Kind::Connect).at(Phase::Resolve).detail(detail));
        }
        Ok(allowed.into_iter().map(|address| SocketAddr::new(address, target.port)).collect())
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("filter", &self.filter.is_some())
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// Runs `work` until the deadline; `None` if the deadline passes first.
async fn within<T>(deadline: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
    match deadline {
        Some(deadline) => timeout_at(deadline, work).await.ok(),
        None => Some(work.await),
    }
}

fn unreachable(target: &Target, mut failure: ConnectFailure) -> Error {
    let detail = format!("{}: {failure}", target.host);
    let error =
        if failure.timed_out { Error::timeout(Phase::Connect) } else { Error::new(Kind::Connect).at(Phase::Connect) };
    let error = error.detail(detail);
    match failure.tried.pop() {
        Some((_, cause)) => error.because(cause),
        None => error,
    }
}

/// The error of a peer that closed the connection before it was set up.
fn closed_at_once(target: &Target, error: io::Error) -> Error {
    Error::new(Kind::Connect)
        .at(Phase::Connect)
        .detail(format!("{target} closed the connection at once"))
        .because(error)
}

#[cfg(test)]
mod tests;
