//! Router of operators, on an address of its own: Prometheus metrics and the console. It has no
//! login: reaching the address grants access.

mod console;
mod dead_letters;

mod metrics;
mod snapshot;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use url::Url;

use crate::settings::TrustedProxies;
use crate::web::{BODY_LIMIT, Problem, WebState, assets, health, host, own_forms, surround};

/// The router of operators. The console may be asked for by the name in the public address, besides
/// addresses and `localhost`.
pub fn router(app: WebState, public_url: &Url) -> Router {
    let durations = app.durations.clone();
    let own = from_fn_with_state(public_url.host_str().map(Arc::from), host::require_own);
    let routes = Router::new()
        .route("/", get(async || Redirect::to("/console")))
        .route("/metrics", get(metrics::metrics))
        .merge(console::router().merge(dead_letters::router().route_layer(own_forms(None))).route_layer(own))
        .merge(health::router())
        .merge(assets::router())
        .fallback(async || {
            refused(StatusCode::NOT_FOUND, "There is nothing at this address; try /console or /metrics.")
        })
        .method_not_allowed_fallback(async || {
            refused(
                StatusCode::METHOD_NOT_ALLOWED,
                "This address is not for this method. The header Allow has those that are.",
            )
        })
        .layer(DefaultBodyLimit::max(BODY_LIMIT));
    surround(routes, false, durations, &TrustedProxies::default()).with_state(app)
}

fn refused(status: StatusCode, detail: &str) -> Response {
    Problem::new(status, detail).into_response()
}
