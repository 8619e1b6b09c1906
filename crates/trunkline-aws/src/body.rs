//! What an SDK sends, as the pool takes it.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use aws_smithy_types::body::SdkBody;
use http_body::Body as _;
use trunkline::Body;

/// A stream stays a stream, and is sent once: the SDK can make it again, but may have signed each
/// piece after the one before, so that what is made again within one attempt has signatures that do
/// not fit. What is in memory the pool may send again after a kept connection turned out to be
/// dead.
pub(crate) fn to_send(body: SdkBody) -> Body {
    in_memory(&body).unwrap_or_else(|| Body::wrap(body))
}

/// All of a body that is in memory, taken out at once.
///
/// The SDK watches how its bodies are read (stalled stream protection), and takes one that nobody
/// reads for a server that has stopped reading: a request that waits for a connection would fail
/// for that. One that has been read to its end is left alone.
fn in_memory(body: &SdkBody) -> Option<Body> {
    let length = body.bytes()?.len();
    if body.content_length() != Some(length as u64) {
        return None;
    }
    let mut body = pin!(body.try_clone()?);
    let cx = &mut Context::from_waker(Waker::noop());
    let Poll::Ready(Some(Ok(frame))) = body.as_mut().poll_frame(cx) else { return None };
    let bytes = frame.into_data().ok().filter(|bytes| bytes.len() == length)?;
    // The end has to be seen to count.
    matches!(body.poll_frame(cx), Poll::Ready(None)).then(|| bytes.into())
}
