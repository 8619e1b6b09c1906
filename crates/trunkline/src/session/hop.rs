//! A redirect that was followed.

use std::fmt;

use http::StatusCode;
use url::Url;

use crate::redact::redact_url;

/// A redirect that was followed.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedirectHop {
    /// The status that redirected.
    pub status: StatusCode,
    /// The address that was asked.
    pub url: Url,
}

impl fmt::Debug for RedirectHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = redact_url(&self.url);
        f.debug_struct("RedirectHop").field("status", &self.status).field("url", &url.as_str()).finish()
    }
}
