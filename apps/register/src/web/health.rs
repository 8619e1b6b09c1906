//! Health endpoints `/livez` and `/readyz` of both routers.

use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use trunkline_lifespan::Readiness;
use utoipa::ToSchema;

use super::WebState;
use crate::store::Store;

pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S>
where
    WebState: FromRef<S>,
{
    Router::new().route("/livez", get(livez)).route("/readyz", get(readyz))
}

/// Response of `/livez`: a constant.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Alive {
    alive: bool,
}

/// Response of `/readyz`: readiness, and the checks that it depends on.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ready {
    ready: bool,
    checks: Checks,
}

#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Checks {
    /// It is up, and not on its way down.
    serving: CheckStatus,
    /// The database answers, and its tables are those of this version.
    database: CheckStatus,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum CheckStatus {
    Ok,
    Failed,
}

/// Liveness of the process.
///
/// It depends on nothing else: a service whose database is away does not get well by being
/// restarted.
#[utoipa::path(get, path = "/livez", tag = "service", responses((status = 200, description = "It is.", body = Alive)))]
pub(super) async fn livez() -> Json<Alive> {
    Json(Alive { alive: true })
}

/// Readiness for requests.
#[utoipa::path(
    get, path = "/readyz", tag = "service",
    responses(
        (status = 200, description = "Ready.", body = Ready),
        (status = 503, description = "Not ready; `checks` has the reason.", body = Ready),
    )
)]
pub(super) async fn readyz(State(app): State<WebState>) -> (StatusCode, Json<Ready>) {
    let WebState { readiness, store, .. } = app;
    let checks = Checks { serving: serving(&readiness), database: database(&store).await };
    let ready = checks.serving == CheckStatus::Ok && checks.database == CheckStatus::Ok;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Ready { ready, checks }))
}

fn serving(readiness: &Readiness) -> CheckStatus {
    if readiness.is_ready() { CheckStatus::Ok } else { CheckStatus::Failed }
}

async fn database(store: &Store) -> CheckStatus {
    match store.ready().await {
        Ok(()) => CheckStatus::Ok,
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), "the database is not ready");
            CheckStatus::Failed
        }
    }
}
