//! Connection layer: DNS, connecting, TLS, and one HTTP/1 exchange at a time per connection. The
//! only folder that depends on the HTTP/1 engine, the TLS library and the sockets.

mod bell;
mod connect;
mod dns_cache;
mod engine;
mod expect;
mod happy_eyeballs;
mod http1;
mod pem;
mod resolve;
mod socket;
mod tls;

pub(crate) use connect::{AddressFilter, Connector, Target};
pub(crate) use engine::Http1;
pub(crate) use expect::continue_timeout;
pub(crate) use happy_eyeballs::Attempts;
pub(crate) use http1::{Connection, ExchangeFailure, Received};
pub(crate) use resolve::SystemResolver;
pub use resolve::{Resolve, Resolving};
pub use socket::ConnectionHandle;
pub(crate) use socket::Probe;
pub(crate) use tls::TlsSettings;
