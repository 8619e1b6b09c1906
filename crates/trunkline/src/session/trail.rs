//! The redirects and the URL of a plain [`http::Response`].

use std::fmt;
use std::sync::Arc;

use url::Url;

use super::DecodedBody;
use super::hop::RedirectHop;
use super::request_url::RequestUrl;
use super::response::Response;
use crate::redact::redact_url;

/// The way to a response: the address that answered, and the redirects before it.
///
/// It is an extension of the [`http::Response`] that a [`Response`] becomes, as for layers of
/// `tower`.
///
/// ```no_run
/// # async fn run(session: trunkline::Session) -> trunkline::Result<()> {
/// use trunkline::ResponseHistory;
///
/// let response: http::Response<_> = session.get("https://example.com/").await?.into();
/// if let Some(trail) = response.extensions().get::<ResponseHistory>() {
///     println!("{} after {} redirects", trail.url(), trail.history().len());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ResponseHistory {
    address: Arc<RequestUrl>,
    history: Arc<[RedirectHop]>,
}

impl ResponseHistory {
    /// The address that answered: the last one, if redirects were followed.
    pub fn url(&self) -> &Url {
        &self.address.url
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

/// Its [`ConnectionInfo`](crate::ConnectionInfo) and its [`ResponseHistory`] become extensions.
impl From<Response> for http::Response<DecodedBody> {
    fn from(response: Response) -> Self {
        let Response { mut head, body, address, history, .. } = response;
        head.extensions.insert(*body.connection());
        head.extensions.insert(ResponseHistory { address, history: history.into() });
        Self::from_parts(head, body)
    }
}
