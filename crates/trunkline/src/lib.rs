//! PLACEHOLDER
mod body;
mod connection;
mod error;
mod pool;
mod session;
mod stats;
mod timeouts;

pub use body::Body;
pub use connection::{Resolve, Resolving};
pub use error::{Error, Phase, RequestSent, Result};
pub use pool::{ConnectionInfo, Pool, PoolBuilder, ResponseBody};
pub use session::{Hop, IntoUrl, RequestBuilder, Response, Session, SessionBuilder};
pub use stats::{CloseReason, CloseReport, Closes, HostStats, PoolStats};
pub use timeouts::Timeouts;
