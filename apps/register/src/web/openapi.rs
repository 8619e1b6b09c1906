//! `/openapi.json`: the OpenAPI document, generated from the handlers.
//!
//! The described constraints of fields are never narrower than the accepted ones: lengths count
//! characters in the document and bytes in the service. The service refuses what the document
//! excludes, and a problem response explains any further refusal.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use utoipa::openapi::{
    Content, HeaderBuilder, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, ServerBuilder, Type,
};
use utoipa::{IntoResponses, OpenApi};

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

/// Error responses that every operation of the API can have.
pub(super) struct ErrorResponses;

impl IntoResponses for ErrorResponses {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let responses = [
            (400, "The body is not JSON."),
            (408, "The body did not arrive in time."),
            (413, "The body is too long."),
            (415, "The body is not declared as JSON."),
            (422, "Fields are missing, not known or not valid; `errors` says which."),
            (429, "Too many requests."),
            (500, "The service has failed."),
            (503, "The service has too much to do, or its database is away."),
        ];
        responses.map(|(status, description)| (status.to_string(), error_response(status, description).into())).into()
    }
}

fn error_response(status: u16, description: &str) -> Response {
    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
    let response = ResponseBuilder::new().description(description).content("application/problem+json", problem);
    if !matches!(status, 429 | 503) {
        return response.build();
    }
    let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
    let header = HeaderBuilder::new().schema(Some(seconds)).description(Some("Seconds to wait before the next try."));
    response.header("Retry-After", header.build()).build()
}
