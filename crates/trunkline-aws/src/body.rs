//! Request bodies: converts an SDK body into a body of the pool.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use aws_smithy_types::body::SdkBody;
use http_body::Body as _;
use trunkline::Body;

/// Converts a request body. A body in memory may be sent again by the pool if a reused connection
/// turns out to be dead.
///
/// A stream is sent once per attempt of the SDK. The SDK may sign each chunk with the signature of
/// the chunk before, so a stream replayed within one attempt would have invalid signatures.
pub(crate) fn convert(body: SdkBody) -> Body {
    in_memory(&body).unwrap_or_else(|| Body::wrap(body))
}

/// Reads a body in memory completely and at once; `None` for a stream.
///
/// The SDK monitors the reads of its bodies (stalled stream protection): it treats a body without
/// reads as a server that has stopped reading. Without this function a request that waits for a
/// connection would fail. A body that is already read to its end is not monitored.
fn in_memory(body: &SdkBody) -> Option<Body> {
    let length = body.bytes()?.len();
    if body.content_length() != Some(length as u64) {
        return None;
    }
    let mut body = pin!(body.try_clone()?);
    let cx = &mut Context::from_waker(Waker::noop());
    let Poll::Ready(Some(Ok(frame))) = body.as_mut().poll_frame(cx) else { return None };
    let bytes = frame.into_data().ok().filter(|bytes| bytes.len() == length)?;
    // The SDK counts the body as complete only once its end was polled.
    matches!(body.poll_frame(cx), Poll::Ready(None)).then(|| bytes.into())
}
