//! What an SDK sends, as the pool takes it.

use aws_smithy_types::body::SdkBody;
use trunkline::Body;

/// Streamed as it comes. One that the SDK can make again, the pool can send again if a kept connection turns out to be dead.
pub(crate) fn to_send(body: SdkBody) -> Body {
    match body.try_clone() {
        Some(first) => {
            let first = std::sync::Mutex::new(Some(first));
            Body::replayable(move || {
                let first = first.lock().ok().and_then(|mut first| first.take());
                Body::wrap(first.or_else(|| body.try_clone()).unwrap_or_else(SdkBody::taken))
            })
        }
        None => Body::wrap(body),
    }
}
