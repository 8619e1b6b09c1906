//! The pool's errors in the SDK's classes, by which it decides whether to try again.

use aws_smithy_runtime_api::client::result::ConnectorError;
use trunkline::{Error, RequestSent};

/// Before the head of a response.
pub(crate) fn classified(error: Error) -> ConnectorError {
    let never_connected = error.is_connect() || error.request_sent() == RequestSent::No;
    let kind = if error.is_timeout() {
        ConnectorError::timeout
    } else if error.is_input() || error.is_body() {
        ConnectorError::user
    } else if error.is_closed() {
        |error| ConnectorError::other(error, None)
    } else {
        ConnectorError::io
    };
    let classified = kind(error.into());
    if never_connected { classified.never_connected() } else { classified }
}
