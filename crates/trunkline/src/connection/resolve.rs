//! Where a host's addresses come from: the system, or a resolver of the caller's.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;

/// The answer of a [`Resolve`], still to come.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Looks up the addresses of a host: set one with
/// [`PoolBuilder::resolver`](crate::PoolBuilder::resolver) to use a resolver of your own instead of
/// the system's.
///
/// The pool keeps an answer for 10 seconds and asks once for a burst of requests, so an
/// implementation needs no cache. It is not asked about IP addresses. The addresses are tried in
/// the order given, except that the families take turns ([RFC 8305](https://www.rfc-editor.org/rfc/rfc8305#section-4)) and that successive connections begin with different ones of
/// a family. The pool's address filter sees each of them.
///
/// ```
/// use std::io;
/// use std::net::{IpAddr, Ipv4Addr};
/// use trunkline::{Resolve, Resolving};
///
/// /// Knows one name.
/// struct Fixed;
///
/// impl Resolve for Fixed {
///     fn resolve(&self, host: &str) -> Resolving {
///         let answer = match host {
///             "database.internal" => Ok(vec![IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7))]),
///             _ => Err(io::Error::new(io::ErrorKind::NotFound, format!("no address for {host}"))),
///         };
///         Box::pin(async move { answer })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert!(Fixed.resolve("database.internal").await.is_ok());
/// assert!(Fixed.resolve("example.com").await.is_err());
/// # }
/// ```
pub trait Resolve: Send + Sync + 'static {
    /// Starts a lookup of `host`: lower-case, and never an IP address.
    ///
    /// The lookup is run to its end even if the request that needed it is cancelled. Requests that
    /// come when it has been under way for ten seconds start another.
    ///
    /// # Errors
    ///
    /// What the future returns fails the requests that wait for this lookup, and is not remembered.
    /// An empty list counts as a failure.
    fn resolve(&self, host: &str) -> Resolving;
}

/// `getaddrinfo`, on a thread for blocking work.
#[derive(Debug)]
pub(crate) struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str) -> Resolving {
        let host = host.to_owned();
        Box::pin(async move {
            let addresses = tokio::net::lookup_host((host.as_str(), 0)).await?;
            Ok(addresses.map(|address| address.ip()).collect())
        })
    }
}
