//! Error responses: problem details (RFC 9457), as JSON or as a page.

use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::store;

/// Detail of an internal error. The log has the cause.
pub(crate) const OUR_FAULT: &str = "Something went wrong on our side. Please try again later.";

/// `Retry-After` while the database is unreachable.
const AWAY: Duration = Duration::from_secs(10);

/// A request that was not done, and why.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    #[schema(format = "uri-reference")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The status.
    #[schema(value_type = u16, minimum = 400, maximum = 599)]
    #[serde(serialize_with = "number")]
    status: StatusCode,
    /// Explanation and remedy: a sentence.
    detail: String,
    /// The fields that are not valid: all of them, but of those that are not known only the first
    /// few.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldError>,
    #[serde(skip)]
    retry_after: Option<Duration>,
}

/// A field that is not valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldError {
    /// Its name.
    pub field: String,
    /// Explanation and remedy: a sentence that continues the field's name. Never contains the
    /// value, which may be a secret.
    pub detail: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Unknown status");
        Self { kind: "about:blank", title, status, detail: detail.into(), errors: Vec::new(), retry_after: None }
    }

    /// 422: these fields are not valid, and so many more.
    pub(crate) fn invalid(errors: Vec<FieldError>, more: usize) -> Self {
        let fields: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
        let detail = match (fields.as_slice(), more) {
            ([field], 0) => format!("The field {field} is not valid."),
            (fields, 0) => format!("These fields are not valid: {}.", fields.join(", ")),
            (fields, more) => format!("These fields are not valid: {}, and {more} more.", fields.join(", ")),
        };
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail) }
    }

    /// 500, or 503 while the database is unreachable. The cause is logged and not sent to the
    /// client.
    pub(crate) fn internal(error: &anyhow::Error) -> Self {
        tracing::error!(error = format!("{error:#}"), "request failed");
        match store::is_away(error) {
            true => Self::new(StatusCode::SERVICE_UNAVAILABLE, "This cannot be done at the moment.").retry_after(AWAY),
            false => Self::new(StatusCode::INTERNAL_SERVER_ERROR, OUR_FAULT),
        }
    }

    /// Sets the wait before a retry: in the detail, and in `Retry-After` (RFC 9110, 10.2.3).
    pub(crate) fn retry_after(self, wait: Duration) -> Self {
        let detail = format!("{} Please try again in {}.", self.detail, in_words(whole_seconds(wait)));
        Self { detail, retry_after: Some(wait), ..self }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn title(&self) -> &'static str {
        self.title
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// The same for people: a page instead of JSON.
    pub(crate) fn as_page(&self, html: String) -> Response {
        self.with_retry_after((self.status, Html(html)).into_response())
    }

    fn with_retry_after(&self, mut response: Response) -> Response {
        if let Some(wait) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        }
        response
    }

    pub(crate) fn errors(&self) -> &[FieldError] {
        &self.errors
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // There is nothing in it that could not be written as JSON.
        let body = serde_json::to_string(&self).unwrap_or_default();
        let response = (self.status, [(CONTENT_TYPE, "application/problem+json")], body).into_response();
        let mut response = self.with_retry_after(response);
        // For the layer that shows it as a page, where a page was asked for.
        response.extensions_mut().insert(self);
        response
    }
}

/// Rounded up, and at least one: who comes back after that is not too early.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    let up = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(up).max(1)
}

/// As people say it, rounded up.
fn in_words(seconds: u64) -> String {
    let (count, unit) = match seconds {
        ..120 => (seconds, "second"),
        120..7200 => (seconds.div_ceil(60), "minute"),
        7200.. => (seconds.div_ceil(3600), "hour"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

fn number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_rounded_up_to_whole_seconds() {
        for (millis, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (59_999, 60)] {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds, "{millis} ms");
        }
        assert_eq!(whole_seconds(Duration::MAX), u64::MAX);
    }

    #[test]
    fn a_wait_is_told_in_words_and_never_shorter_than_it_is() {
        for (seconds, words) in [
            (1, "1 second"),
            (119, "119 seconds"),
            (121, "3 minutes"),
            (720, "12 minutes"),
            (7200, "2 hours"),
            (7201, "3 hours"),
        ] {
            assert_eq!(in_words(seconds), words);
        }
    }

    #[test]
    fn a_problem_has_the_members_of_rfc_9457() {
        let error = |field: &str| FieldError { field: field.to_owned(), detail: "is missing".to_owned() };
        let problem = Problem::invalid(vec![error("email"), error("password")], 0);
        assert_eq!(
            serde_json::to_value(&problem).unwrap(),
            serde_json::json!({
                "type": "about:blank",
                "title": "Unprocessable Entity",
                "status": 422,
                "detail": "These fields are not valid: email, password.",
                "errors": [
                    { "field": "email", "detail": "is missing" },
                    { "field": "password", "detail": "is missing" },
                ],
            })
        );
        let plain = serde_json::to_value(Problem::new(StatusCode::GONE, "It was used.")).unwrap();
        assert_eq!(plain.get("errors"), None);
    }
}
