//! The caller's policy for redirects.

use std::fmt;
use std::sync::Arc;

use http::{Method, StatusCode};
use url::Url;

use super::hop::RedirectHop;
use crate::redact::redact_url;

/// A redirect about to be followed, as a redirect policy sees it:
/// [`SessionBuilder::redirect_policy`](crate::SessionBuilder::redirect_policy).
pub struct RedirectAttempt<'a> {
    pub(super) status: StatusCode,
    pub(super) from: &'a Url,
    pub(super) method: &'a Method,
    pub(super) url: &'a Url,
    pub(super) history: &'a [RedirectHop],
}

impl RedirectAttempt<'_> {
    /// The status of the response that redirects.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The address that was asked and redirects.
    pub fn from(&self) -> &Url {
        self.from
    }

    /// The target. It may be a URL that a session cannot request, such as `myapp://callback`:
    /// following it is then an error.
    pub fn url(&self) -> &Url {
        self.url
    }

    /// The method it would be asked with.
    pub fn method(&self) -> &Method {
        self.method
    }

    /// The redirects that this request has followed already, first to last.
    pub fn history(&self) -> &[RedirectHop] {
        self.history
    }

    /// Does it lead to another scheme, host or port? Then `authorization` and `cookie` headers set
    /// by hand do not go with it.
    pub fn is_cross_origin(&self) -> bool {
        self.from.origin() != self.url.origin()
    }
}

impl fmt::Debug for RedirectAttempt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedirectAttempt")
            .field("status", &self.status)
            .field("from", &redact_url(self.from).as_str())
            .field("method", self.method)
            .field("url", &redact_url(self.url).as_str())
            .field("history", &self.history)
            .finish()
    }
}

/// The policy's decision on a [`RedirectAttempt`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedirectAction {
    /// It is followed, if it can be and is within `max_redirects`.
    Follow,
    /// It is not followed: the redirecting response itself is returned.
    Stop,
    /// It is not followed: the request fails, with an error that
    /// [`is_redirect`](crate::Error::is_redirect) and shows this reason.
    Refuse(String),
}

impl RedirectAction {
    /// [`Refuse`](Self::Refuse), for this reason.
    pub fn refuse(reason: impl Into<String>) -> Self {
        Self::Refuse(reason.into())
    }
}

/// The caller's, shared by all requests.
pub(super) type Policy = Arc<dyn Fn(&RedirectAttempt<'_>) -> RedirectAction + Send + Sync>;
