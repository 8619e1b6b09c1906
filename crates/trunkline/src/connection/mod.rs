//! Connections: resolving, connecting, TLS, and one exchange at a time on each. The only room that knows which HTTP/1 engine,
//! which TLS and which sockets are used.

mod bell;
mod connect;
mod engine;
mod expect;
mod happy;
mod http1;
mod names;
mod pem;
mod resolve;
mod tls;
mod verdict;
mod wire;

pub(crate) use connect::{AddressFilter, Connector, Target};
pub(crate) use engine::Http1;
pub(crate) use expect::patience;
pub(crate) use happy::Attempts;
pub(crate) use http1::{Connection, Failure, Received};
pub(crate) use resolve::SystemResolver;
pub use resolve::{Resolve, Resolving};
pub(crate) use tls::TlsSettings;
pub use wire::ConnectionHandle;
pub(crate) use wire::Probe;
