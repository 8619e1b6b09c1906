//! Request fields from a JSON object or an HTML form, validated together: all errors are reported
//! at once.

use std::fmt::Display;
use std::time::Duration;

use axum::body::{Bytes, HttpBody as _};
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::error::Category;
use tokio::time::timeout;
use url::form_urlencoded;

use super::problem::{FieldError, Problem};

/// Maximum size of a request body, in bytes. Valid bodies have less than two kilobytes.
pub const BODY_LIMIT: usize = 16 * 1024;

/// Maximum number of unknown fields named in an error. All of them could make a response ten times
/// as long as the request.
const UNKNOWN: usize = 10;

/// Time limit for the request body.
const BODY_WITHIN: Duration = Duration::from_secs(20);

/// Conversion from the fields of a request.
pub(crate) trait FromFields: Sized {
    /// The fields that it is made of. Others are refused.
    const NAMES: &'static [&'static str];

    /// None, if a field is not valid: [`Fields::take`] has noted which.
    fn from_fields(fields: &mut Fields) -> Option<Self>;
}

/// From a body of JSON.
pub(crate) struct Json<T>(pub(crate) T);

/// From an HTML form. An invalid one is for its page to show again.
pub(crate) struct Form<T> {
    pub(crate) parsed: Result<T, Problem>,
    /// Address as typed, to fill the form again. The password is never repeated.
    pub(crate) email: String,
}

impl<T: FromFields, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        expect_type(request.headers(), "application/json", |subtype| subtype == "json" || subtype.ends_with("+json"))?;
        Fields::from_json(&body(request, state).await?)?.parse().map(Self)
    }
}

impl<T: FromFields, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        expect_type(request.headers(), "application/x-www-form-urlencoded", |subtype| {
            subtype == "x-www-form-urlencoded"
        })?;
        let fields = Fields::from_form(&body(request, state).await?);
        let email = fields.given.iter().find(|(name, _)| name == "email");
        let email = email.and_then(|(_, value)| value.as_str()).unwrap_or_default().to_owned();
        Ok(Self { parsed: fields.parse(), email })
    }
}

/// The fields as they were given, and what is wrong with them so far.
pub(crate) struct Fields {
    given: Vec<(String, Value)>,
    errors: Vec<FieldError>,
}

impl Fields {
    fn from_json(body: &[u8]) -> Result<Self, Problem> {
        let SubmittedFields(given) = serde_json::from_slice(body).map_err(|error| not_an_object(&error, body))?;
        Ok(Self { given, errors: Vec::new() })
    }

    /// Any bytes are a form (URL Standard, 5.1).
    fn from_form(body: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(body);
        let given = pairs.map(|(name, value)| (name.into_owned(), Value::String(value.into_owned()))).collect();
        Self { given, errors: Vec::new() }
    }

    fn parse<T: FromFields>(mut self) -> Result<T, Problem> {
        let parsed = T::from_fields(&mut self);
        let known = T::NAMES.join(", ");
        let unknown = self.given.len();
        self.errors.extend(self.given.into_iter().take(UNKNOWN).map(|(name, _)| {
            let detail = format!("is not known here; known: {known}");
            FieldError { field: shortened(&name), detail }
        }));
        match parsed {
            Some(parsed) if self.errors.is_empty() => Ok(parsed),
            _ => Err(Problem::invalid(self.errors, unknown.saturating_sub(UNKNOWN))),
        }
    }

    /// Takes the text of this field, and parses it. What the error says has to go with the field's
    /// name as a sentence.
    pub(crate) fn take<T, E: Display>(&mut self, name: &str, parse: impl FnOnce(String) -> Result<T, E>) -> Option<T> {
        let mut values: Vec<_> =
            self.given.extract_if(.., |(given, _)| given == name).map(|(_, value)| value).collect();
        let parsed = match (values.pop(), values.is_empty()) {
            (None, _) => Err("is missing".to_owned()),
            (Some(_), false) => Err("is there more than once".to_owned()),
            (Some(Value::String(text)), true) => parse(text).map_err(|error| error.to_string()),
            (Some(other), true) => Err(format!("must be a string, not {}", kind(&other))),
        };
        parsed.map_err(|detail| self.errors.push(FieldError { field: name.to_owned(), detail })).ok()
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A name that someone made up is not sent back at full length.
fn shortened(name: &str) -> String {
    const ENOUGH: usize = 40;
    match name.char_indices().nth(ENOUGH) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

/// The members of a JSON object in their order, those with the same name too (RFC 8259, 4: they
/// "SHOULD be unique").
struct SubmittedFields(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for SubmittedFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = SubmittedFields;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SubmittedFields, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(SubmittedFields(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// serde_json's message is not passed on: it repeats what it stumbled over, which may be a
/// password.
fn not_an_object(error: &serde_json::Error, body: &[u8]) -> Problem {
    // serde reports a wrong type before it has checked the rest of the syntax.
    let broken = match error.classify() {
        Category::Data => serde_json::from_slice::<IgnoredAny>(body).err(),
        _ => None,
    };
    let error = broken.as_ref().unwrap_or(error);
    match error.classify() {
        Category::Data => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "The body must be a JSON object."),
        Category::Eof => Problem::new(StatusCode::BAD_REQUEST, "The body ends before its JSON does."),
        Category::Syntax | Category::Io => {
            let (line, column) = (error.line(), error.column());
            let detail = format!("The body is not JSON that can be read: see line {line}, column {column}.");
            Problem::new(StatusCode::BAD_REQUEST, detail)
        }
    }
}

/// 415, unless the body says that it is of the type. Its parameters (`charset=utf-8`) do not
/// matter.
fn expect_type(headers: &HeaderMap, name: &str, subtype: impl Fn(&str) -> bool) -> Result<(), Problem> {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = given.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.split_once('/') {
        Some(("application", given)) if subtype(given) => Ok(()),
        _ => {
            let detail = format!("The body must be of the type {name}, and the header Content-Type must say so.");
            Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail))
        }
    }
}

async fn body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    // A declared length is refused before the body is read.
    if request.body().size_hint().lower() > BODY_LIMIT as u64 {
        return Err(too_long());
    }
    let read = timeout(BODY_WITHIN, Bytes::from_request(request, state)).await;
    let late =
        |_| Problem::new(StatusCode::REQUEST_TIMEOUT, format!("The body did not arrive within {BODY_WITHIN:?}."));
    read.map_err(late)?.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_long(),
        _ => Problem::new(StatusCode::BAD_REQUEST, "The body did not arrive whole."),
    })
}

fn too_long() -> Problem {
    let detail = format!("The body must not be longer than {BODY_LIMIT} bytes.");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use axum::body::{Body, HttpBody};
    use hyper::body::Frame;

    use super::*;

    struct Nothing;

    impl FromFields for Nothing {
        const NAMES: &'static [&'static str] = &[];

        fn from_fields(_: &mut Fields) -> Option<Self> {
            Some(Self)
        }
    }

    /// A body that never comes, or that breaks off.
    struct Late {
        broken: bool,
    }

    impl HttpBody for Late {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
            match self.broken {
                true => Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into()))),
                false => Poll::Pending,
            }
        }
    }

    async fn refused(body: Late) -> StatusCode {
        let request = Request::post("/").header(CONTENT_TYPE, "application/json").body(Body::new(body)).unwrap();
        match Json::<Nothing>::from_request(request, &()).await {
            Ok(_) => panic!("there was no body"),
            Err(problem) => problem.status(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_not_waited_for_for_ever() {
        assert_eq!(refused(Late { broken: false }).await, StatusCode::REQUEST_TIMEOUT);
        assert_eq!(refused(Late { broken: true }).await, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn a_name_is_shortened_between_its_characters() {
        assert_eq!(shortened("email"), "email");
        assert_eq!(shortened(&"ä".repeat(1_000)), format!("{}…", "ä".repeat(40)));
    }
}
