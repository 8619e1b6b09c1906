//! Request observation: request id, tracing span, log line and duration metric.
//!
//! Queries are never logged: activation links have their token there.

use std::fmt;
use std::future::ready;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{ConnectInfo, MatchedPath, Request};
use axum::http::{self, HeaderName, HeaderValue, Method};
use axum::middleware::{Next, from_fn, map_request};
use axum::response::Response;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use tower_http::request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer};
use tower_http::trace::TraceLayer;
use tracing::{Span, field};
use uuid::Uuid;

use crate::settings::TrustedProxies;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Maximum length of a logged path, in bytes. A client may send tens of kilobytes, which each log
/// line of the request would repeat.
const PATH: usize = 256;

/// OpenTelemetry's advice for `http.server.request.duration`, in seconds.
const BUCKETS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Request durations by method, route and status. A clone is a handle to the same histogram.
#[derive(Clone)]
pub struct Durations(Family<RequestLabels, Histogram, fn() -> Histogram>);

/// Metric labels with bounded cardinality: route templates and known methods.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    http_request_method: &'static str,
    http_route: String,
    http_response_status_code: u16,
}

impl Durations {
    pub(crate) fn family(&self) -> &Family<RequestLabels, Histogram, fn() -> Histogram> {
        &self.0
    }
}

impl Default for Durations {
    fn default() -> Self {
        Self(Family::new_with_constructor(|| Histogram::new(BUCKETS)))
    }
}

impl fmt::Debug for Durations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Durations").finish_non_exhaustive()
    }
}

/// Adds a span with a request id, a log line and a duration to each request. The id of a request is
/// accepted only from trusted proxies, because a client could inject text into the log.
pub(crate) fn layers<S: Clone + Send + Sync + 'static>(
    routes: Router<S>,
    durations: Durations,
    proxies: TrustedProxies,
) -> Router<S> {
    let trace = TraceLayer::new_for_http()
        .make_span_with(span)
        .on_request(())
        .on_response(log)
        .on_body_chunk(())
        .on_eos(())
        .on_failure(());
    routes
        .layer(from_fn(move |request, next| count(durations.clone(), request, next)))
        .layer(trace)
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(SetRequestIdLayer::new(REQUEST_ID, Fresh))
        .layer(map_request(move |request| ready(with_id_of(&proxies, request))))
}

#[derive(Clone)]
struct Fresh;

impl MakeRequestId for Fresh {
    fn make_request_id<B>(&mut self, _: &http::Request<B>) -> Option<RequestId> {
        HeaderValue::try_from(Uuid::now_v7().to_string()).ok().map(RequestId::new)
    }
}

fn with_id_of(proxies: &TrustedProxies, request: Request) -> Request {
    match request.extensions().get::<ConnectInfo<SocketAddr>>() {
        Some(ConnectInfo(peer)) if proxies.trusts(peer.ip()) => plausible(request),
        _ => without_id(request),
    }
}

fn without_id(mut request: Request) -> Request {
    request.headers_mut().remove(REQUEST_ID);
    request
}

/// Even a proxy's id stands in every line of the log: it has to be short and plain.
fn plausible(request: Request) -> Request {
    let given = request.headers().get(REQUEST_ID).map(HeaderValue::as_bytes);
    let plain = |&byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte);
    match given {
        Some(id) if (1..=128).contains(&id.len()) && id.iter().all(plain) => request,
        _ => without_id(request),
    }
}

fn span<B>(request: &http::Request<B>) -> Span {
    let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
    let (method, path) = (known(request.method()), truncated(request.uri().path()));
    tracing::info_span!("request", id, method, path, status = field::Empty)
}

fn truncated(path: &str) -> &str {
    &path[..path.floor_char_boundary(PATH)]
}

fn log<B>(response: &http::Response<B>, took: Duration, span: &Span) {
    let status = response.status().as_u16();
    span.record("status", status);
    // Probes ask every few seconds, and each page brings its files.
    let quiet = response.extensions().get::<Quiet>().is_some();
    match status {
        500.. if !quiet => tracing::warn!(?took, "answered"),
        _ if quiet => tracing::debug!(?took, "answered"),
        _ => tracing::info!(?took, "answered"),
    }
}

/// Marks an answer that is not worth a line in the log.
#[derive(Clone)]
struct Quiet;

async fn count(durations: Durations, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let http_request_method = known(request.method());
    // Without one, whatever was asked for counts as one.
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let http_route = route.unwrap_or_default().to_owned();
    let mut response = next.run(request).await;
    if matches!(http_route.as_str(), "/livez" | "/readyz" | "/metrics" | "/console/figures" | "/assets/{name}") {
        response.extensions_mut().insert(Quiet);
    }
    let labels =
        RequestLabels { http_request_method, http_route, http_response_status_code: response.status().as_u16() };
    durations.0.get_or_create(&labels).observe(begun.elapsed().as_secs_f64());
    response
}

/// Method label by OpenTelemetry's convention: an unknown method does not create a label.
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];
    KNOWN.into_iter().find(|&known| known == method.as_str()).unwrap_or("_OTHER")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_is_logged_up_to_its_limit() {
        assert_eq!(truncated("/api/register"), "/api/register");
        assert_eq!(truncated(&format!("/{}", "a".repeat(60_000))).len(), PATH);
        assert_eq!(truncated(&format!("/{}", "ä".repeat(60_000))).len(), PATH - 1);
    }
}
