//! Error responses of the API, as the OpenAPI document describes them.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::{Content, HeaderBuilder, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Type};

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
