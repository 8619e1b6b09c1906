//! What the SDK may know of a call's connection: the peer, and how to have the connection closed.

use std::net::SocketAddr;

use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use trunkline::ResponseBody;

/// The place in a request where the SDK looks for its connection when it means to part with it
/// ("poison" it).
#[derive(Debug)]
pub(crate) struct Capture(Option<CaptureSmithyConnection>);

impl Capture {
    pub(crate) fn of<B>(request: &http::Request<B>) -> Self {
        let capture = Self(request.extensions().get().cloned());
        // A call that fails before there is a response leaves no connection behind that would have to be
        // closed.
        capture.tell(None, || {});
        capture
    }

    pub(crate) fn answered(&self, body: &ResponseBody) {
        let connection = body.connection_handle();
        self.tell(Some(body.connection().peer), move || connection.retire());
    }

    fn tell(&self, peer: Option<SocketAddr>, part: impl Fn() + Send + Sync + 'static) {
        let Some(capture) = &self.0 else { return };
        let mut connection = ConnectionMetadata::builder().proxied(false).poison_fn(part);
        connection.set_remote_addr(peer);
        let connection = connection.build();
        capture.set_connection_retriever(move || Some(connection.clone()));
    }
}
