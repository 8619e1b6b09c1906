//! From a host and a port to a connection that is ready for HTTP: resolve, filter, connect, TLS.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use super::dns_cache::DnsCache;
use super::happy_eyeballs::{Attempts, Lost, race};
use super::resolve::Resolve;
use super::socket::{Socket, SocketIo, Stream};
use super::tls::{Tls, TlsSettings};
use crate::error::{Error, Kind, Phase, Result};

/// Where a connection goes. Connections to equal targets are interchangeable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) https: bool,
    /// Lower-case; an IPv6 address without its brackets.
    pub(crate) host: Arc<str>,
    pub(crate) port: u16,
}

/// In few pieces: every request is looked up by this.
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

/// Says which addresses may be connected to.
pub(crate) type AddressFilter = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// Opens connections.
#[derive(Clone)]
pub(crate) struct Connector {
    names: DnsCache,
    filter: Option<AddressFilter>,
    tls: Tls,
}

impl Connector {
    /// # Errors
    ///
    /// Unusable TLS settings.
    pub(crate) fn new(resolver: Arc<dyn Resolve>, filter: Option<AddressFilter>, tls: &TlsSettings) -> Result<Self> {
        Ok(Self { names: DnsCache::new(resolver), filter, tls: Tls::new(tls)? })
    }

    /// Opens a connection to `target`, in the slot the caller has and those `attempts` grants
    /// besides; on return it holds the caller's alone.
    ///
    /// # Errors
    ///
    /// They name the host, the phase and every address tried.
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes every socket it opened.
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
        let tcp =
            race(addresses, attempts, deadline, TcpStream::connect).await.map_err(|lost| unreachable(target, lost))?;
        let wire = Socket::new(tcp, target.https).map_err(|error| broken(target, error))?;
        tracing::debug!(target: "trunkline::connection", peer = %wire.peer(), "connected");
        let io = SocketIo::new(wire.clone());
        if !target.https {
            return Ok((Stream::Plain(io), wire));
        }
        let handshake = within(deadline, self.tls.handshake(&target.host, io)).await;
        let stream = handshake.ok_or_else(|| {
            let detail = format!("{} at {} did not complete the handshake", target.host, wire.peer());
            Error::timeout(Phase::Tls).detail(detail)
        })??;
        Ok((Stream::Tls(Box::new(stream)), wire))
    }

    /// Where the target may be found. Literal addresses pass the filter too, and so do those a
    /// redirect leads to.
    async fn addresses(&self, target: &Target, deadline: Option<Instant>) -> Result<Vec<SocketAddr>> {
        let host = &target.host;
        let found = within(deadline, self.names.lookup(host)).await;
        let found = found
            .ok_or_else(|| Error::timeout(Phase::Resolve).detail(format!("no answer to the question for {host}")))?
            .map_err(|error| {
                let detail = format!("no address for {host}: {error}");
                Error::new(Kind::Connect).at(Phase::Resolve).detail(detail).because(error)
            })?;
        // `::ffff:127.0.0.1` is 127.0.0.1: a filter must not have to know that.
        let found: Vec<IpAddr> = found.into_iter().map(|address| address.to_canonical()).collect();
        tracing::debug!(target: "trunkline::connection", addresses = ?found, "resolved");
        let (allowed, refused): (Vec<_>, Vec<_>) = match &self.filter {
            Some(filter) => found.into_iter().partition(|address| filter(*address)),
            None => (found, Vec::new()),
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

/// `None` if the deadline came first.
async fn within<T>(deadline: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
    match deadline {
        Some(deadline) => timeout_at(deadline, work).await.ok(),
        None => Some(work.await),
    }
}

fn unreachable(target: &Target, mut lost: Lost) -> Error {
    let detail = format!("{}: {lost}", target.host);
    let error =
        if lost.timed_out { Error::timeout(Phase::Connect) } else { Error::new(Kind::Connect).at(Phase::Connect) };
    let error = error.detail(detail);
    match lost.tried.pop() {
        Some((_, cause)) => error.because(cause),
        None => error,
    }
}

/// The peer was gone before the connection was set up.
fn broken(target: &Target, error: io::Error) -> Error {
    Error::new(Kind::Connect)
        .at(Phase::Connect)
        .detail(format!("{target} closed the connection at once"))
        .because(error)
}

#[cfg(test)]
mod tests;
