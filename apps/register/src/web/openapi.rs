//! `/openapi.json`: the OpenAPI document, generated from the handlers.
//!
//! The described constraints of fields are never narrower than the accepted ones: lengths count
//! characters in the document and bytes in the service. The service refuses what the document
//! excludes, and a problem response explains any further refusal.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use utoipa::OpenApi;
use utoipa::openapi::ServerBuilder;

use super::problem::{FieldError, Problem};
use super::{Site, Web, api, health};

pub(super) fn router() -> Router<Web> {
    Router::new().route("/openapi.json", get(document))
}

#[derive(OpenApi)]
#[openapi(
    info(title = "Trunkline registration", description = "Register with an e-mail address, and activate the account by the mail that follows."),
    paths(api::register, api::activate, api::resend, health::livez, health::readyz, document),
    components(schemas(Problem, FieldError)),
    tags(
        (name = "accounts", description = "Registering and activating."),
        (name = "service", description = "The service itself."),
    )
)]
struct Document;

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "service",
    responses((status = 200, description = "This document.", body = Object, content_type = "application/json"))
)]
async fn document(State(site): State<Arc<Site>>) -> Json<utoipa::openapi::OpenApi> {
    let mut document = Document::openapi();
    if !site.base.is_empty() {
        document.servers = Some(vec![ServerBuilder::new().url(&site.base).build()]);
    }
    Json(document)
}
