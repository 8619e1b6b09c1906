//! Resolver interface: the system's resolver, or one that the application provides.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;

/// Future of the addresses that [`Resolve::resolve`] returns.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Resolver of host names. [`PoolBuilder::resolver`](crate::PoolBuilder::resolver) replaces the
/// system's resolver by an implementation of this trait.
///
/// The pool caches each answer for 10 seconds and makes one lookup per burst of requests, so an
/// implementation needs no cache. IP addresses are never looked up. The pool tries the addresses in
/// the order of the answer, with two exceptions: it alternates the address families ([RFC 8305
/// section 4](https://www.rfc-editor.org/rfc/rfc8305#section-4)), and successive connections begin
/// with different addresses of a family. The pool's address filter applies to each address.
///
/// ```
/// use std::io;
/// use std::net::{IpAddr, Ipv4Addr};
/// use trunkline::{Resolve, Resolving};
///
/// /// Resolver that knows one name.
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
    /// Starts a lookup of `host`, which is in lower case and never an IP address.
    ///
    /// The pool completes the lookup even if the request that needed it is cancelled. A request
    /// that arrives when the lookup has run for ten seconds starts another one.
    ///
    /// # Errors
    ///
    /// An error of the future fails the requests that wait for this lookup, as their
    /// [`source`](std::error::Error::source), and is not cached. An empty list is an error too.
    fn resolve(&self, host: &str) -> Resolving;
}

/// The system's resolver: `getaddrinfo` on a blocking thread.
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
