//! Time limits of the phases of a request.

use std::time::{Duration, Instant};

/// The time limits of a request, each optional.
///
/// A session has a set ([`SessionBuilder::timeouts`]) and a request may have its own
/// ([`RequestBuilder::timeouts`]): what the request leaves unset it inherits from the session, and
/// what the session leaves unset has the default given at each setter. [`Duration::MAX`] is no
/// limit, and lifts an inherited one; [`none`](Self::none) has it for all four.
///
/// ```
/// use std::time::Duration;
/// use trunkline::Timeouts;
///
/// let patient = Timeouts::new().total(Duration::from_secs(600)).acquire(Duration::from_secs(5));
/// assert_eq!(patient.total, Some(Duration::from_secs(600)));
/// assert_eq!(patient.read, None); // inherited
///
/// // A download may take as long as it likes, while bytes come.
/// let download = Timeouts::none().connect(Duration::from_secs(10)).read(Duration::from_secs(30));
/// assert_eq!(download.total, Some(Duration::MAX));
/// ```
///
/// [`SessionBuilder::timeouts`]: crate::SessionBuilder::timeouts
/// [`RequestBuilder::timeouts`]: crate::RequestBuilder::timeouts
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "a set of time limits does nothing until it is given to a session or a request"]
pub struct Timeouts {
    /// The whole request: waiting, resolving, connecting, TLS, redirects, a replay, the body. See
    /// [`total`](Self::total).
    pub total: Option<Duration>,
    /// Waiting for a connection. See [`acquire`](Self::acquire).
    pub acquire: Option<Duration>,
    /// Making a connection. See [`connect`](Self::connect).
    pub connect: Option<Duration>,
    /// Silence on the connection. See [`read`](Self::read).
    pub read: Option<Duration>,
}

impl Timeouts {
    /// Nothing set: everything is inherited.
    pub const fn new() -> Self {
        Self { total: None, acquire: None, connect: None, read: None }
    }

    /// No limits at all, nor inherited ones. Set those that are to hold.
    pub const fn none() -> Self {
        Self::new().total(Duration::MAX).acquire(Duration::MAX).connect(Duration::MAX).read(Duration::MAX)
    }

    /// The limits without a setting of the request or the session.
    pub(crate) const DEFAULT: Self = Self {
        total: Some(Duration::from_secs(300)),
        acquire: None,
        connect: Some(Duration::from_secs(30)),
        read: Some(Duration::from_secs(60)),
    };

    /// One absolute deadline for the whole request, its redirects, its replay and the reading of
    /// its body. It is never re-armed. Default: 300 s.
    pub const fn total(mut self, limit: Duration) -> Self {
        self.total = Some(limit);
        self
    }

    /// The limit on waiting for a connection or for a permit to dial; dialing is not part of it. It
    /// runs from the first attempt; each redirect has a new one. Default: none (bounded by
    /// `total`).
    pub const fn acquire(mut self, limit: Duration) -> Self {
        self.acquire = Some(limit);
        self
    }

    /// The limit on making a connection: lookup, TCP and TLS together. Default: 30 s.
    pub const fn connect(mut self, limit: Duration) -> Self {
        self.connect = Some(limit);
        self
    }

    /// The limit on silence of the connection while a response is awaited or read. Bytes in either
    /// direction end a silence, so a slow upload does not reach the limit. A body that sends
    /// nothing for so long does: it cannot be told from one that hangs. Default: 60 s.
    pub const fn read(mut self, limit: Duration) -> Self {
        self.read = Some(limit);
        self
    }

    /// These, and `fallback` for what is unset here.
    pub(crate) fn or(self, fallback: Self) -> Self {
        Self {
            total: self.total.or(fallback.total),
            acquire: self.acquire.or(fallback.acquire),
            connect: self.connect.or(fallback.connect),
            read: self.read.or(fallback.read),
        }
    }
}

/// The time by tokio's clock, which tests may stop and advance; timers go by it too.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_inherits_what_it_leaves_unset() {
        let request = Timeouts::new().read(Duration::from_secs(1));
        let session = Timeouts::new().total(Duration::from_secs(9)).read(Duration::from_secs(2));
        let merged = request.or(session).or(Timeouts::DEFAULT);
        assert_eq!(merged.read, Some(Duration::from_secs(1)));
        assert_eq!(merged.total, Some(Duration::from_secs(9)));
        assert_eq!(merged.connect, Some(Duration::from_secs(30)));
        assert_eq!(merged.acquire, None);
    }
}
