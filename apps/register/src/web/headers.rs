//! Security and cache headers of every response.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, Response};

/// Own origin only, nothing inline, no framing by other sites.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
    frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const ALWAYS: [(HeaderName, &str); 7] = [
    (CONTENT_SECURITY_POLICY, CONTENT_POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Hides path and query, which may hold a token. "no-referrer" would make browsers send "Origin:
    // null" with a form (Fetch Standard, "append a request Origin header"), so its origin could not
    // be checked.
    (REFERRER_POLICY, "strict-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    // Pages hold addresses and tokens. A cacheable response sets its own value.
    (CACHE_CONTROL, "no-store"),
];

/// Two years, without subdomains, which may belong to other services.
const TRANSPORT: &str = "max-age=63072000";

/// Adds the headers that a response does not set itself. `secure`: the service is served over
/// https, so that `Strict-Transport-Security` applies.
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
