//! Error classes: maps the pool's errors to the SDK's, which decide about retries.

use aws_smithy_runtime_api::client::result::ConnectorError;
use trunkline::{Error, Phase};

/// Classifies an error before the head of the response. (The SDK treats every failure of a response
/// body as transient.)
pub(crate) fn classify(error: Error) -> ConnectorError {
    let never_connected = error.is_connect() || error.phase() == Some(Phase::Acquire);
    let class = if error.is_timeout() {
        ConnectorError::timeout
    } else if error.is_closed() {
        |error| ConnectorError::other(error, None)
    } else if error.is_input() || error.is_body() {
        // Before the response, only the request's body can fail.
        ConnectorError::user
    } else {
        ConnectorError::io
    };
    let classified = class(error.into());
    if never_connected { classified.never_connected() } else { classified }
}
