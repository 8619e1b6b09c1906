//! Connection metadata for the SDK: the peer's address, and the function that retires the
//! connection.

use std::net::SocketAddr;

use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use trunkline::ResponseBody;

/// The SDK's slot for the metadata of a call's connection. The SDK reads it when it "poisons" the
/// connection after an error.
#[derive(Debug)]
pub(crate) struct Capture(Option<CaptureSmithyConnection>);

impl Capture {
    pub(crate) fn of<B>(request: &http::Request<B>) -> Self {
        let capture = Self(request.extensions().get().cloned());
        // A call that fails before its response leaves no open connection to poison.
        capture.set(None, || {});
        capture
    }

    /// Records the connection of the response.
    pub(crate) fn set_connection(&self, body: &ResponseBody) {
        let connection = body.connection_handle();
        self.set(Some(body.connection().peer), move || connection.retire());
    }

    fn set(&self, peer: Option<SocketAddr>, poison: impl Fn() + Send + Sync + 'static) {
        let Some(capture) = &self.0 else { return };
        let mut connection = ConnectionMetadata::builder().proxied(false).poison_fn(poison);
        connection.set_remote_addr(peer);
        let connection = connection.build();
        capture.set_connection_retriever(move || Some(connection.clone()));
    }
}
