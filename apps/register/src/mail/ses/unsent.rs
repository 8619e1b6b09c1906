//! Reasons why a mail was not sent, by scope: this mail, all mails, or the network.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use anyhow::anyhow;
use aws_sdk_sesv2::config::http::HttpResponse;
use aws_sdk_sesv2::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_sesv2::operation::RequestId as _;
use aws_sdk_sesv2::operation::send_email::SendEmailError;

type Failure = SdkError<SendEmailError, HttpResponse>;

/// Reason why a mail was not sent, as far as is known. Its text holds nothing of the mail, so it
/// may be logged and stored.
///
/// `Display` names the class only; [`source`](StdError::source) is the cause, and
/// [`chain`](Self::chain) prints both.
#[derive(Debug)]
pub enum Unsent {
    /// SES throttles the account. The mail is retried, at a lower rate.
    Throttled(anyhow::Error),
    /// SES refuses this mail to this address for good.
    Refused(anyhow::Error),
    /// No mail is sent until an operator fixes the account, the sender's verification, the
    /// credentials, the configuration.
    Paused(anyhow::Error),
    /// The network or SES failed, or the cause is unknown. The mail is retried.
    Failed(anyhow::Error),
}

impl Unsent {
    /// The cause. `{:#}` prints it in one line.
    pub fn reason(&self) -> &anyhow::Error {
        match self {
            Self::Throttled(error) | Self::Refused(error) | Self::Paused(error) | Self::Failed(error) => error,
        }
    }

    /// The class and the cause in one line, for logs: `refused: SES answered 400 …`.
    pub fn chain(&self) -> String {
        format!("{self}: {:#}", self.reason())
    }
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Throttled(_) => "throttled",
            Self::Refused(_) => "refused",
            Self::Paused(_) => "paused",
            Self::Failed(_) => "failed",
        })
    }
}

impl StdError for Unsent {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&**self.reason())
    }
}

/// Message id of an accepted mail. A response without one is not from SES, so the mail was not
/// sent.
pub(super) fn accepted(id: Option<String>) -> Result<String, Unsent> {
    id.filter(|id| !id.is_empty())
        .ok_or_else(|| Unsent::Failed(anyhow!("the answer has no MessageId: is it SES that answers at the endpoint?")))
}

/// Class of an SDK error. `from` is the sender of all mails.
pub(super) fn classed(error: &Failure, from: &str) -> Unsent {
    match error {
        SdkError::ServiceError(response) => {
            let (status, refusal) = (response.raw().status().as_u16(), response.err());
            let (code, message) = (refusal.code().unwrap_or_default(), refusal.message().unwrap_or_default());
            let mut text = format!("SES answered {status} {code}").trim_end().to_owned();
            // A response in another format most likely comes from a proxy. Its page says more than
            // its status.
            let page = response.raw().body().bytes().filter(|_| code.is_empty()).map(String::from_utf8_lossy);
            if let Some(details) =
                [Some(message.into()), page].into_iter().flatten().find(|details: &Cow<'_, str>| !details.is_empty())
            {
                text += ": ";
                text += &details;
            }
            if let Some(id) = refusal.request_id() {
                text += &format!(" (request {id})");
            }
            class_of_response(status, code, message, from)(anyhow!(without_secrets(&text)))
        }
        SdkError::DispatchFailure(failure) => {
            let on_the_wire = failure.is_io() || failure.is_timeout() || failure.is_user() || is_from_pool(error);
            // Credentials, region and endpoint fail before the request reaches the pool.
            let class = if on_the_wire { Unsent::Failed } else { Unsent::Paused };
            class(anyhow!(without_secrets(&sdk_chain(error))))
        }
        _ => Unsent::Failed(anyhow!(without_secrets(&sdk_chain(error)))),
    }
}

fn class_of_response(status: u16, code: &str, message: &str, from: &str) -> fn(anyhow::Error) -> Unsent {
    match code {
        "TooManyRequestsException" | "LimitExceededException" | "Throttling" | "ThrottlingException" => {
            Unsent::Throttled
        }
        "AccountSuspendedException" | "SendingPausedException" | "MailFromDomainNotVerifiedException" => Unsent::Paused,
        // A resource of the account, such as a configuration set; the mail itself names none.
        "NotFoundException" => Unsent::Paused,
        // The clock or the credentials are wrong.
        "RequestExpired" | "ExpiredTokenException" | "UnrecognizedClientException" => Unsent::Paused,
        "MessageRejected" if is_about_sender(message, from) => Unsent::Paused,
        "MessageRejected"
        | "BadRequestException"
        | "ValidationException"
        | "ValidationError"
        | "InvalidParameterValue" => Unsent::Refused,
        _ => match status {
            401 | 403 => Unsent::Paused,
            413 => Unsent::Refused,
            429 => Unsent::Throttled,
            _ => Unsent::Failed,
        },
    }
}

/// True if the message names the sender as not verified. SES writes "Email address is not verified.
/// The following identities failed the check in region …: ", then the sender, the recipient (while
/// the account is in the sandbox), or both. An unverified sender blocks all mails; an unverified
/// recipient blocks only this one.
fn is_about_sender(message: &str, from: &str) -> bool {
    let address = |text: &str| text.trim_end_matches('>').rsplit(['<', ' ']).next().unwrap_or_default().to_lowercase();
    let sender = address(from);
    let words = message.split(|c: char| c.is_whitespace() || ",:;<>\"'()".contains(c));
    message.contains("not verified") && words.map(str::to_lowercase).any(|word| word == sender)
}

fn is_from_pool(error: &Failure) -> bool {
    sources(error).any(|error| error.is::<trunkline::Error>())
}

/// All levels of an SDK error in one line, because one level says little. Repeated text is left
/// out.
fn sdk_chain(error: &Failure) -> String {
    let mut text = error.to_string();
    for source in sources(error) {
        let source = source.to_string();
        if !text.contains(&source) {
            text += ": ";
            text += &source;
        }
    }
    text
}

fn sources(error: &Failure) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(error.source(), |&error| error.source())
}

/// Removes tokens and limits the length. The text of the server goes into logs and the database,
/// and a server may echo the mail with its token.
fn without_secrets(text: &str) -> String {
    const TOKEN: usize = 40;
    const WHOLE: usize = 500;

    let is_of_token = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut shown = String::new();
    for word in text.split_inclusive(|c| !is_of_token(c)) {
        let run = word.trim_end_matches(|c| !is_of_token(c));
        let shortened = if run.len() < TOKEN { word.to_owned() } else { word.replace(run, "…") };
        shown.extend(shortened.chars().map(|c| if c.is_control() { ' ' } else { c }));
    }
    if shown.chars().count() > WHOLE {
        shown = shown.chars().take(WHOLE).chain("…".chars()).collect();
    }
    shown
}
