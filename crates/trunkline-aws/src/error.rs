//! The pool's errors in the SDK's classes, by which it decides whether to try again.

use aws_smithy_runtime_api::client::result::ConnectorError;
use trunkline::{Error, Phase};

/// Before the head of a response. (The SDK takes whatever breaks a response's body for transient.)
pub(crate) fn classified(error: Error) -> ConnectorError {
    let never_connected = error.is_connect() || error.phase() == Some(Phase::Acquire);
    let class = if error.is_timeout() {
        ConnectorError::timeout
    } else if error.is_closed() {
        |error| ConnectorError::other(error, None)
    } else if error.is_input() || error.is_body() {
        // No response has a body yet: it is the request's that failed.
        ConnectorError::user
    } else {
        ConnectorError::io
    };
    let classified = class(error.into());
    if never_connected { classified.never_connected() } else { classified }
}
