//! Redirects that were followed, and the history of a plain [`http::Response`].

use std::fmt;
use std::sync::Arc;

use http::StatusCode;
use url::Url;

use super::request_url::RequestUrl;
use crate::redact::redact_url;

/// A redirect that was followed.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedirectHop {
    /// The status that redirected.
    pub status: StatusCode,
    /// The URL that was requested.
    pub url: Url,
}

impl fmt::Debug for RedirectHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = redact_url(&self.url);
        f.debug_struct("RedirectHop").field("status", &self.status).field("url", &url.as_str()).finish()
    }
}

/// The URL that responded, and the redirects before it.
///
/// It is an extension of the [`http::Response`] that a [`Response`](super::Response) becomes, as
/// for layers of `tower`.
///
/// ```no_run
/// # async fn run(session: trunkline::Session) -> trunkline::Result<()> {
/// use trunkline::ResponseHistory;
///
/// let response: http::Response<_> = session.get("https://example.com/").await?.into();
/// if let Some(history) = response.extensions().get::<ResponseHistory>() {
///     println!("{} after {} redirects", history.url(), history.history().len());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ResponseHistory {
    pub(super) request_url: Arc<RequestUrl>,
    pub(super) history: Arc<[RedirectHop]>,
}

impl ResponseHistory {
    /// The URL that responded: the last one, if redirects were followed.
    pub fn url(&self) -> &Url {
        &self.request_url.url
    }

    /// The redirects that were followed, first to last.
    pub fn history(&self) -> &[RedirectHop] {
        &self.history
    }
}

impl fmt::Debug for ResponseHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = redact_url(self.url());
        f.debug_struct("ResponseHistory").field("url", &url.as_str()).field("history", &self.history()).finish()
    }
}
