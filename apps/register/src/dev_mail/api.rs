//! API of the development mailbox: SES v2 `SendEmail` with Simple content. It refuses the requests
//! that SES refuses, in the same format.

use std::time::SystemTime;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::mailbox::{Mailbox, Received};

/// Limit of a request body. A mail of the service has a few kilobytes; the limit bounds the memory
/// of the kept mails.
const BODY_LIMIT: usize = 256 * 1024;

/// Maximum number of headers and of tags, as in SES.
const MAX_HEADERS_AND_TAGS: usize = 50;

pub(super) fn router(mailbox: Mailbox) -> Router {
    Router::new()
        .route("/v2/email/outbound-emails", post(send_email).fallback(unknown))
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(mailbox)
}

async fn send_email(
    State(mailbox): State<Mailbox>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, SesError> {
    check_signed(&headers)?;
    let body = body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => SesError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLargeException",
            format!("the development mailbox takes up to {BODY_LIMIT} bytes"),
        ),
        _ => bad_request("the body did not come whole"),
    })?;
    let request: SendEmail = serde_json::from_slice(&body).map_err(|error| bad_request(without_position(&error)))?;
    let mail = request.received()?;
    let answer = Json(json!({ "MessageId": mail.id })).into_response();
    mailbox.put(mail);
    Ok(answer)
}

async fn unknown() -> SesError {
    SesError::new(
        StatusCode::NOT_FOUND,
        "UnknownOperationException",
        "the development mailbox knows POST /v2/email/outbound-emails and nothing else",
    )
}

/// Checks that the request is signed. The signature itself cannot be checked without a key.
fn check_signed(headers: &HeaderMap) -> Result<(), SesError> {
    let authorization = headers.get(header::AUTHORIZATION).map_or("", |value| value.to_str().unwrap_or_default());
    if authorization.starts_with("AWS4-HMAC-SHA256 ") {
        return Ok(());
    }
    Err(SesError::new(
        StatusCode::FORBIDDEN,
        "MissingAuthenticationTokenException",
        "the request is not signed: Authorization has to begin with AWS4-HMAC-SHA256",
    ))
}

/// Message of serde_json, which may quote the request, without the position.
fn without_position(error: &serde_json::Error) -> String {
    let message = error.to_string();
    message.split(" at line ").next().unwrap_or_default().to_owned()
}

// ---- the request

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct SendEmail {
    from_email_address: String,
    destination: Destination,
    content: EmailContent,
    #[serde(default)]
    email_tags: Vec<Pair>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Destination {
    to_addresses: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct EmailContent {
    simple: Simple,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Simple {
    subject: TextPart,
    body: Body,
    #[serde(default)]
    headers: Vec<Pair>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Body {
    text: Option<TextPart>,
    html: Option<TextPart>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct TextPart {
    data: String,
    charset: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Pair {
    name: String,
    value: String,
}

impl SendEmail {
    fn received(self) -> Result<Received, SesError> {
        let simple = self.content.simple;
        let mail = Received {
            id: Uuid::now_v7().to_string(),
            received_at: SystemTime::now(),
            from: self.from_email_address,
            to: self.destination.to_addresses,
            subject: simple.subject.into_text()?,
            text: simple.body.text.map(TextPart::into_text).transpose()?,
            html: simple.body.html.map(TextPart::into_text).transpose()?,
            tags: pairs(self.email_tags),
            headers: pairs(simple.headers),
        };
        check(&mail)?;
        Ok(mail)
    }
}

impl TextPart {
    /// Text of the part. SES would encode it in the charset, so text outside ASCII needs UTF-8.
    fn into_text(self) -> Result<String, SesError> {
        let unicode = self.charset.is_some_and(|charset| charset.eq_ignore_ascii_case("UTF-8"));
        if unicode || self.data.is_ascii() {
            return Ok(self.data);
        }
        Err(bad_request("what is not ASCII needs the Charset UTF-8"))
    }
}

fn pairs(pairs: Vec<Pair>) -> Vec<(String, String)> {
    pairs.into_iter().map(|pair| (pair.name, pair.value)).collect()
}

fn check(mail: &Received) -> Result<(), SesError> {
    let is_address = |text: &String| text.is_ascii() && text.contains('@') && !text.contains(char::is_control);
    let is_tag = |text: &String| {
        (1..=256).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.@".contains(&b))
    };
    let is_header = |(name, value): &(String, String)| {
        let is_name = name.bytes().all(|b| b.is_ascii_graphic() && b != b':') && (1..=126).contains(&name.len());
        is_name && value.len() <= 995 && value.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
    };
    let faults = [
        (!is_address(&mail.from), "FromEmailAddress is no address in ASCII"),
        (mail.to.is_empty() || mail.to.len() > MAX_HEADERS_AND_TAGS, "ToAddresses has no address, or too many"),
        (!mail.to.iter().all(is_address), "ToAddresses has what is no address in ASCII"),
        (mail.subject.contains(char::is_control), "Subject has a line break or the like"),
        (mail.text.is_none() && mail.html.is_none(), "Body has neither Text nor Html"),
        (mail.tags.len() > MAX_HEADERS_AND_TAGS, "EmailTags are too many"),
        (
            !mail.tags.iter().all(|(name, value)| is_tag(name) && is_tag(value)),
            "EmailTags take 1 to 256 of A-Z a-z 0-9 _ - . @",
        ),
        (mail.headers.len() > MAX_HEADERS_AND_TAGS, "Headers are too many"),
        (!mail.headers.iter().all(is_header), "Headers take printable ASCII, and no colon in the name"),
    ];
    match faults.into_iter().find(|(is_fault, _)| *is_fault) {
        Some((_, what)) => Err(bad_request(what)),
        None => Ok(()),
    }
}

// ---- errors

/// Refusal in SES's format: a status, the error's name in a header, a message in JSON.
struct SesError {
    status: StatusCode,
    name: &'static str,
    message: String,
}

impl SesError {
    fn new(status: StatusCode, name: &'static str, message: impl Into<String>) -> Self {
        Self { status, name, message: message.into() }
    }
}

fn bad_request(message: impl Into<String>) -> SesError {
    SesError::new(StatusCode::BAD_REQUEST, "BadRequestException", message)
}

impl IntoResponse for SesError {
    fn into_response(self) -> Response {
        (self.status, [("x-amzn-errortype", self.name)], Json(json!({ "message": self.message }))).into_response()
    }
}
