//! What every answer says to browsers: what a page may load, who may hold it, and that it is not
//! kept.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, Response};

/// Everything comes from here, nothing is inline, and nobody puts it in a frame.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
    frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const ALWAYS: [(HeaderName, &str); 7] = [
    (CONTENT_SECURITY_POLICY, CONTENT_POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Never a path or query, in which there may be a token. With "no-referrer" browsers would say "Origin: null" when
    // a form is sent (Fetch Standard, "append a request Origin header"), and one could not tell whose form it was.
    (REFERRER_POLICY, "strict-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    // Pages hold addresses and tokens. What may be kept, says so itself.
    (CACHE_CONTROL, "no-store"),
];

/// Two years. Of this host alone: others below it are not ours to speak for.
const TRANSPORT: &str = "max-age=63072000";

/// Adds them to an answer, except those that it has by itself. `secure`: the service is reached
/// over https, so that browsers may be told never to come another way.
pub(crate) fn add<B>(mut response: Response<B>, secure: bool) -> Response<B> {
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if secure {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(TRANSPORT));
    }
    response
}
