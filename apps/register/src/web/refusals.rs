//! What operations of the API can answer instead of doing what was asked, as their description has
//! it.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::{Content, HeaderBuilder, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Type};

/// Those that every operation has.
pub(super) struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let refusals = [
            (400, "The body is not JSON."),
            (408, "The body did not arrive in time."),
            (413, "The body is too long."),
            (415, "The body is not declared as JSON."),
            (422, "Fields are missing, not known or not valid; `errors` says which."),
            (429, "Too many requests."),
            (500, "The service has failed."),
            (503, "The service has too much to do, or its database is away."),
        ];
        refusals.map(|(status, description)| (status.to_string(), refusal(status, description).into())).into()
    }
}

fn refusal(status: u16, description: &str) -> Response {
    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
    let response = ResponseBuilder::new().description(description).content("application/problem+json", problem);
    if !matches!(status, 429 | 503) {
        return response.build();
    }
    let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
    let header = HeaderBuilder::new().schema(Some(seconds)).description(Some("Seconds to wait before the next try."));
    response.header("Retry-After", header.build()).build()
}
