//! Classes of errors: responses as SES sends them, and failures of the network.

use std::error::Error as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use trunkline::Pool;

use super::{Ses, SesSettings, TOKEN, mail_to, ses, settings};
use crate::mail::Unsent;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Class {
    Sent,
    Throttled,
    Refused,
    Paused,
    Failed,
}
use Class::{Failed, Paused, Refused, Sent, Throttled};

fn class(sent: &Result<String, Unsent>) -> Class {
    match sent {
        Ok(_) => Sent,
        Err(Unsent::Throttled(_)) => Throttled,
        Err(Unsent::Refused(_)) => Refused,
        Err(Unsent::Paused(_)) => Paused,
        Err(Unsent::Failed(_)) => Failed,
    }
}

fn error(sent: Result<String, Unsent>) -> String {
    sent.unwrap_err().chain()
}

/// Status, `x-amzn-errortype`, body.
type Answer = Arc<Mutex<(u16, &'static str, String)>>;

/// Fake SES that gives the configured response to each request.
struct Scripted {
    answer: Answer,
    endpoint: String,
    task: JoinHandle<()>,
}

impl Scripted {
    async fn start() -> Self {
        let answer = Answer::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(scripted).with_state(Arc::clone(&answer));
        let task = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { answer, endpoint, task }
    }

    fn set(&self, status: u16, errortype: &'static str, body: impl Into<String>) {
        *self.answer.lock().unwrap() = (status, errortype, body.into());
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn scripted(State(answer): State<Answer>) -> Response {
    let (status, errortype, body) = answer.lock().unwrap().clone();
    let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
    response.headers_mut().insert("content-type", "application/json".parse().unwrap());
    response.headers_mut().insert("x-amzn-requestid", "3f2a1c9e-0000-4000-8000-2b1f0d9c8e7a".parse().unwrap());
    if !errortype.is_empty() {
        response.headers_mut().insert("x-amzn-errortype", errortype.parse().unwrap());
    }
    response
}

#[rustfmt::skip]
const ANSWERS: &[(u16, &str, &str, Class)] = &[
    (200, "", r#"{"MessageId":"0100-1"}"#, Sent),

    (429, "TooManyRequestsException", r#"{"message":"Too many requests"}"#, Throttled),
    (400, "TooManyRequestsException:http://internal.amazon.com/coral/com.amazonaws.ses/", r#"{"message":"Too many requests"}"#, Throttled),
    (400, "LimitExceededException", r#"{"message":"Limit exceeded"}"#, Throttled),
    (400, "ThrottlingException", r#"{"message":"Maximum sending rate exceeded."}"#, Throttled),
    (400, "Throttling", r#"{"message":"Daily message quota exceeded."}"#, Throttled),
    (429, "", "slow down", Throttled),

    (400, "MessageRejected", r#"{"message":"Virus detected"}"#, Refused),
    (400, "BadRequestException", r#"{"message":"Domain contains dot-string"}"#, Refused),
    (400, "", r#"{"__type":"com.amazonaws.ses#BadRequestException","message":"Missing final '@domain'"}"#, Refused),
    (400, "ValidationException", r#"{"message":"1 validation error detected"}"#, Refused),
    (413, "RequestEntityTooLargeException", "", Refused),
    (400, "MessageRejected", r#"{"message":"Email address is not verified. The following identities failed the check in region EU-WEST-1: ada@example.org"}"#, Refused),
    // A recipient whose address contains the sender's is not the sender.
    (400, "MessageRejected", r#"{"message":"Email address is not verified. The following identities failed the check in region EU-WEST-1: hotmail@example.com"}"#, Refused),

    (400, "MessageRejected", r#"{"message":"Email address is not verified. The following identities failed the check in region EU-WEST-1: ada@example.org, Example <Mail@example.com>"}"#, Paused),
    (400, "MessageRejected", r#"{"message":"Email address is not verified. The following identities failed the check in region EU-WEST-1: mail@example.com, ada@example.org"}"#, Paused),
    (400, "AccountSuspendedException", r#"{"message":"Account suspended"}"#, Paused),
    (400, "SendingPausedException", r#"{"message":"Sending paused for this account"}"#, Paused),
    (400, "MailFromDomainNotVerifiedException", r#"{"message":"The MX record is missing"}"#, Paused),
    (404, "NotFoundException", r#"{"message":"Configuration set does not exist"}"#, Paused),
    (403, "AccessDeniedException", r#"{"Message":"User is not authorized to perform ses:SendEmail"}"#, Paused),
    (403, "SignatureDoesNotMatch", r#"{"message":"The request signature we calculated does not match"}"#, Paused),
    (403, "UnrecognizedClientException", r#"{"message":"The security token included in the request is invalid."}"#, Paused),
    (400, "UnrecognizedClientException", r#"{"message":"The security token included in the request is invalid."}"#, Paused),
    (403, "ExpiredTokenException", r#"{"message":"The security token included in the request is expired"}"#, Paused),
    (400, "RequestExpired", "{}", Paused),
    (401, "", "", Paused),
    (403, "", "<html>no</html>", Paused),

    (500, "InternalFailure", r#"{"message":"internal"}"#, Failed),
    (500, "InternalServiceErrorException", "", Failed),
    (503, "ServiceUnavailable", r#"{"message":"busy"}"#, Failed),
    (502, "", "<html>bad gateway</html>", Failed),
    (408, "RequestTimeoutException", "{}", Failed),
    (404, "", "<html>nothing here</html>", Failed),
    (400, "SomethingNewException", r#"{"message":"who knows"}"#, Failed),
    (400, "", "", Failed),
    (302, "", "", Failed),
    // Not SES: the mail must not be recorded as sent.
    (200, "", "{}", Failed),
    (200, "", r#"{"MessageId":""}"#, Failed),
    (200, "", "", Failed),
    (200, "", "<html>Welcome to the hotel's wireless network</html>", Failed),
];

#[tokio::test]
async fn ses_responses_are_classed_by_scope() {
    let server = Scripted::start().await;
    let ses = ses(&server.endpoint).await;
    for (status, errortype, body, expected) in ANSWERS {
        server.set(*status, errortype, *body);
        let sent = ses.send(&mail_to("ada@example.org")).await;
        assert_eq!(class(&sent), *expected, "{status} {errortype} {body}: {sent:?}");
    }
}

#[tokio::test]
async fn an_error_contains_the_message_of_ses() {
    let server = Scripted::start().await;
    server.set(400, "MessageRejected", r#"{"message":"Virus detected"}"#);
    let error = error(ses(&server.endpoint).await.send(&mail_to("ada@example.org")).await);
    assert_eq!(
        error,
        "refused: SES answered 400 MessageRejected: Virus detected (request 3f2a1c9e-0000-4000-8000-2b1f0d9c8e7a)"
    );
}

#[tokio::test]
async fn an_unsent_mail_prints_its_class_and_its_source_the_cause() {
    let server = Scripted::start().await;
    server.set(400, "MessageRejected", r#"{"message":"Virus detected"}"#);
    let unsent = ses(&server.endpoint).await.send(&mail_to("ada@example.org")).await.unwrap_err();
    let source = unsent.source().unwrap().to_string();
    assert_eq!(unsent.to_string(), "refused");
    assert!(source.starts_with("SES answered 400 MessageRejected: Virus detected"), "{source}");
    assert_eq!(unsent.chain(), format!("refused: {source}"));
}

/// The error goes to the log and the database, where a token must not appear.
#[tokio::test]
async fn an_error_never_repeats_the_mail_even_if_the_server_does() {
    let server = Scripted::start().await;
    let ses = ses(&server.endpoint).await;
    let mail = mail_to("ada@example.org");
    let echo = serde_json::json!({ "message": format!("cannot take this:\n{} {}", mail.text, mail.html) }).to_string();
    for (status, errortype) in
        [(400, "BadRequestException"), (500, "InternalFailure"), (200, ""), (403, ""), (400, TOKEN)]
    {
        server.set(status, errortype, echo.clone());
        let unsent = ses.send(&mail).await.unwrap_err();
        let chain = unsent.chain();
        let shown = format!("{unsent} {unsent:?} {unsent:#?} {chain} {:#}", unsent.reason());
        assert!(!shown.contains(TOKEN), "{shown}");
        assert!(chain.chars().count() < 600, "{chain}");
        assert!(!chain.contains(char::is_control), "{chain}");
    }
}

#[tokio::test]
async fn an_address_that_ses_cannot_take_is_refused_without_a_request() {
    let server = Scripted::start().await;
    server.set(200, "", r#"{"MessageId":"0100-1"}"#);
    let ses = ses(&server.endpoint).await;
    for address in ["grüße@example.org", "nobody", "ada@xn--\u{7f}.example"] {
        let sent = ses.send(&mail_to(address)).await;
        assert_eq!(class(&sent), Refused, "{address}: {sent:?}");
    }
}

#[tokio::test]
async fn a_refused_connection_is_a_failure() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let sent = ses(&format!("http://{free}")).await.send(&mail_to("ada@example.org")).await;
    assert_eq!(class(&sent), Failed, "{sent:?}");
    assert!(error(sent).contains("refused"));
}

#[tokio::test]
async fn a_truncated_response_is_a_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        for answer in ["HTTP/1.1 200 OK\r\ncontent-length: 30\r\n\r\n{\"Mess", "HTTP/1.1 2"] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 65_536]).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let ses = ses(&endpoint).await;
    for _ in 0..2 {
        let sent = ses.send(&mail_to("ada@example.org")).await;
        assert_eq!(class(&sent), Failed, "{sent:?}");
    }
    server.await.unwrap();
}

#[tokio::test]
async fn a_silent_server_is_a_failure_within_the_send_limit() {
    // The kernel accepts the connection; no program reads it.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let pool = Pool::new();
    let limited = SesSettings { send_within: Duration::from_millis(300), ..settings(&endpoint) };
    let ses = Ses::open(limited, &pool).await.unwrap();
    let begun = Instant::now();
    let sent = ses.send(&mail_to("ada@example.org")).await;
    assert_eq!(class(&sent), Failed, "{sent:?}");
    assert!(
        begun.elapsed() >= Duration::from_millis(300) && begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(pool.stats().in_use, 0, "it was given back");
    drop(listener);
}

#[tokio::test]
async fn the_send_limit_includes_the_wait_for_a_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let pool = Pool::builder().limit(1).build().unwrap();
    let limited = SesSettings { send_within: Duration::from_millis(300), ..settings(&endpoint) };
    let patient = Ses::open(settings(&endpoint), &pool).await.unwrap();
    let holds = tokio::spawn(async move { patient.send(&mail_to("ada@example.org")).await });
    let _held = listener.accept().await.unwrap();
    let sent = Ses::open(limited, &pool).await.unwrap().send(&mail_to("bob@example.org")).await;
    assert_eq!(class(&sent), Failed, "{sent:?}");
    holds.abort();
}

/// The service shuts down: the mail is sent after the next start.
#[tokio::test]
async fn a_closed_pool_is_a_failure() {
    let server = Scripted::start().await;
    let pool = Pool::new();
    let ses = Ses::open(settings(&server.endpoint), &pool).await.unwrap();
    pool.close().await;
    let sent = ses.send(&mail_to("ada@example.org")).await;
    assert_eq!(class(&sent), Failed, "{sent:?}");
}
