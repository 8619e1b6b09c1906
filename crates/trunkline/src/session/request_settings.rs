//! Settings that a request may set for itself and otherwise has from its session.

use super::redirect::Policy;
use crate::timeouts::Timeouts;

#[derive(Clone, Copy, Debug)]
pub(super) struct SharedSettings {
    pub(super) timeouts: Timeouts,
    pub(super) max_redirects: usize,
    pub(super) error_for_status: bool,
    pub(super) max_body_size: usize,
    pub(super) decompress: bool,
}

/// The settings of one request, an extension of the [`http::Request`] that
/// [`RequestBuilder::build`](super::RequestBuilder::build) makes.
#[derive(Clone)]
pub(super) struct RequestSettings {
    pub(super) settings: SharedSettings,
    /// Instead of the session's.
    pub(super) redirect_policy: Option<Policy>,
}
