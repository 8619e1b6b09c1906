//! What operators reach, on an address of its own: figures for Prometheus, and the console for eyes. Who reaches it sees them.

mod console;
mod figures;
mod metrics;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use crate::settings::TrustedProxies;
use crate::web::{App, Problem, assets, health, surround};

/// The router of operators.
pub fn router(app: App) -> Router {
    let durations = app.durations.clone();
    let routes = Router::new()
        .route("/", get(async || Redirect::to("/console")))
        .route("/metrics", get(metrics::metrics))
        .merge(console::router())
        .merge(health::router())
        .merge(assets::router())
        .fallback(async || {
            refused(StatusCode::NOT_FOUND, "There is nothing at this address; try /console or /metrics.")
        })
        .method_not_allowed_fallback(async || {
            refused(StatusCode::METHOD_NOT_ALLOWED, "There is only something to GET here.")
        });
    surround(routes, false, durations, &TrustedProxies::default()).with_state(app)
}

fn refused(status: StatusCode, detail: &str) -> Response {
    Problem::new(status, detail).into_response()
}
