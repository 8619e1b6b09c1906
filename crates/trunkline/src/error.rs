//! The one error type: opaque, with questions to ask it.

use std::error::Error as StdError;
use std::fmt;

use http::{Method, StatusCode};
use url::Url;

use crate::redact::redact_url;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// A failure of a request, or of a setting.
///
/// It is opaque: ask it what you need to know. Its text names what was asked (method and URL,
/// without credentials, query and fragment: tokens live there), the phase it failed in and, for a
/// wait that ran out, who holds the connections. Causes are behind [`source`](StdError::source),
/// one level each.
///
/// ```
/// # async fn run(session: trunkline::Session) {
/// if let Err(error) = session.get("http://127.0.0.1:9/").await {
///     if error.is_timeout() {
///         eprintln!("too slow while: {:?}", error.phase());
///     } else if error.is_connect() {
///         eprintln!("nobody there: {error}");
///     }
/// }
/// # }
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    phase: Option<Phase>,
    request: Option<(Method, Url)>,
    sent: RequestSent,
    detail: Option<String>,
    /// The name of the setting that the request exceeded.
    setting: Option<&'static str>,
    source: Option<BoxError>,
}

/// The coarse kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A setting, an address or a header of the caller's that cannot be used.
    Input,
    Timeout,
    Closed,
    Connect,
    /// No connection either: the server's certificate was not accepted.
    Certificate,
    /// The exchange on an established connection broke.
    Exchange,
    Redirect,
    Status(StatusCode),
    Body,
    /// A file that a body was to be written to.
    File,
}

/// The part of a request's life an error belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Waiting for a connection or for a permit to dial.
    Acquire,
    /// Looking up the host's addresses.
    Resolve,
    /// Opening the TCP connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// Sending the request and waiting for the head of its response.
    Response,
    /// Reading the response's body.
    Body,
}

impl Phase {
    fn words(self) -> &'static str {
        match self {
            Self::Acquire => "waiting for a connection",
            Self::Resolve => "resolving the host",
            Self::Connect => "connecting",
            Self::Tls => "in the TLS handshake",
            Self::Response => "waiting for the response",
            Self::Body => "reading the body",
        }
    }
}

/// Says if a failed request may have reached the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RequestSent {
    /// Not a byte of it left this process: sending it again cannot do anything twice.
    No,
    /// Some or all of it was written, and no response was seen.
    Maybe,
    /// The server began to answer it.
    Yes,
}

impl Error {
    pub(crate) fn new(kind: Kind) -> Self {
        Self(Box::new(Inner {
            kind,
            phase: None,
            request: None,
            sent: RequestSent::No,
            detail: None,
            setting: None,
            source: None,
        }))
    }

    /// A value of the caller's that cannot be used: `detail` names it and says what would be right.
    pub(crate) fn input(detail: impl Into<String>) -> Self {
        Self::new(Kind::Input).detail(detail)
    }

    pub(crate) fn closed() -> Self {
        Self::new(Kind::Closed)
    }

    pub(crate) fn timeout(phase: Phase) -> Self {
        Self::new(Kind::Timeout).at(phase)
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Names the setting that the request exceeded.
    pub(crate) fn by_setting(mut self, setting: &'static str) -> Self {
        self.0.setting = Some(setting);
        self
    }

    pub(crate) fn because(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub(crate) fn at(mut self, phase: Phase) -> Self {
        self.0.phase = Some(phase);
        self
    }

    pub(crate) fn sent(mut self, sent: RequestSent) -> Self {
        self.0.sent = sent;
        self
    }

    /// Raises the state to that of earlier attempts at the same request.
    pub(crate) fn sent_at_least(mut self, sent: RequestSent) -> Self {
        self.0.sent = self.0.sent.max(sent);
        self
    }

    fn causes(&self) -> impl Iterator<Item = &(dyn StdError + 'static)> {
        std::iter::successors(self.source(), |cause| (*cause).source())
    }

    /// The message and its causes in one line.
    pub(crate) fn in_one_line(&self) -> String {
        self.causes().fold(self.to_string(), |text, cause| format!("{text}: {cause}"))
    }

    /// Names the request, unless it is named already.
    pub(crate) fn of(mut self, method: &Method, url: &Url) -> Self {
        if self.0.request.is_none() {
            self.0.request = Some((method.clone(), redact_url(url)));
        }
        self
    }

    /// A deadline passed: [`phase`](Self::phase) says while doing what.
    pub fn is_timeout(&self) -> bool {
        self.0.kind == Kind::Timeout
    }

    /// No connection could be made: the name, the network, the address filter or TLS (also when it
    /// was too slow).
    pub fn is_connect(&self) -> bool {
        matches!(self.0.kind, Kind::Connect | Kind::Certificate)
            || (self.is_timeout() && matches!(self.0.phase, Some(Phase::Resolve | Phase::Connect | Phase::Tls)))
    }

    /// No connection could be made because the server's certificate was not accepted: its issuer is
    /// not trusted here, it is for another name, it has expired. Another attempt ends the same
    /// way, unlike most others that [`is_connect`](Self::is_connect).
    pub fn is_certificate(&self) -> bool {
        self.0.kind == Kind::Certificate
    }

    /// The session or its pool was closed.
    pub fn is_closed(&self) -> bool {
        self.0.kind == Kind::Closed
    }

    /// A redirect that could not be followed: too many, a bad `Location`, a body that cannot be
    /// sent twice.
    pub fn is_redirect(&self) -> bool {
        self.0.kind == Kind::Redirect
    }

    /// The response's status was asked to be an error (`error_for_status`): see
    /// [`status`](Self::status).
    pub fn is_status(&self) -> bool {
        matches!(self.0.kind, Kind::Status(_))
    }

    /// The status, for an error made of one.
    pub fn status(&self) -> Option<StatusCode> {
        match self.0.kind {
            Kind::Status(status) => Some(status),
            _ => None,
        }
    }

    /// A body. The response's: it was cut short, malformed, too large, not decodable or not what it
    /// was to be read as. Or the request's: its stream or file failed, had not the length it
    /// was announced with, or has none and its server speaks HTTP/1.0.
    pub fn is_body(&self) -> bool {
        self.0.kind == Kind::Body
    }

    /// The file that a body was to be saved to could not be written; the text names it.
    pub fn is_file(&self) -> bool {
        self.0.kind == Kind::File
    }

    /// A setting, an address or a header given by the caller cannot be used; nothing was sent.
    pub fn is_input(&self) -> bool {
        self.0.kind == Kind::Input
    }

    /// The phase that failed, where it is known.
    pub fn phase(&self) -> Option<Phase> {
        self.0.phase
    }

    /// Says if the server may have seen the request. Check it before sending the request again.
    pub fn request_sent(&self) -> RequestSent {
        self.0.sent
    }

    /// The URL of the request, without credentials, query and fragment.
    pub fn url(&self) -> Option<&Url> {
        self.0.request.as_ref().map(|(_, url)| url)
    }

    /// The message without the request, its URL and the name of a [`setting`](Self::setting), which
    /// `Display` adds: for output that names them in its own words.
    pub fn message(&self) -> String {
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = self.0.summary(&mut text);
        match &self.0.detail {
            Some(detail) if text.is_empty() => detail.clone(),
            Some(detail) => text + ": " + detail,
            None => text,
        }
    }

    /// The setting that the request exceeded: `total` or `read` of [`Timeouts`](crate::Timeouts),
    /// or `max_redirects`.
    pub fn setting(&self) -> Option<&'static str> {
        self.0.setting
    }

    /// The method of the request that failed.
    pub fn method(&self) -> Option<&Method> {
        self.0.request.as_ref().map(|(method, _)| method)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, request, setting, .. } = &*self.0;
        if let Some((method, url)) = request {
            write!(f, "{method} {url}: ")?;
        }
        if *kind == Kind::Input {
            f.write_str("unusable value: ")?;
        }
        f.write_str(&self.message())?;
        match (kind, setting) {
            (_, None) => Ok(()),
            (Kind::Timeout, Some(limit)) => write!(f, " (timeout `{limit}`)"),
            (_, Some(setting)) => write!(f, " ({setting})"),
        }
    }
}

impl Inner {
    /// The kind and the phase, in words.
    fn summary(&self, f: &mut impl fmt::Write) -> fmt::Result {
        let Self { kind, phase, .. } = self;
        match kind {
            Kind::Input => {}
            Kind::Timeout => f.write_str("timed out")?,
            Kind::Closed => f.write_str("the session, or its pool, is closed")?,
            Kind::Connect | Kind::Certificate => f.write_str("no connection")?,
            Kind::Exchange => f.write_str("the connection failed")?,
            Kind::Redirect => f.write_str("redirect not followed")?,
            Kind::Status(status) => write!(f, "status {status}")?,
            Kind::Body => f.write_str("unusable body")?,
            Kind::File => f.write_str("not saved")?,
        }
        let tells_phase =
            matches!(kind, Kind::Timeout | Kind::Connect | Kind::Certificate | Kind::Exchange | Kind::Closed);
        if let Some(phase) = phase.filter(|_| tells_phase) {
            write!(f, " while {}", phase.words())?;
        }
        Ok(())
    }
}

/// The message, then its causes, one per line.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        self.causes().try_for_each(|cause| write!(f, "\n  caused by: {cause}"))
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn a_message_leaves_request_and_setting_to_its_reader() {
        let url = Url::parse("https://example.com/a?token=se-cret").unwrap();
        let error = Error::timeout(Phase::Response).detail("the deadline passed").by_setting("total");
        let error = error.of(&Method::GET, &url).because("a cause");
        let message = "timed out while waiting for the response: the deadline passed";
        assert_eq!((error.message(), error.setting()), (message.to_owned(), Some("total")));
        let shown = format!("GET https://example.com/a: {message} (timeout `total`)");
        assert_eq!(error.to_string(), shown);
        assert_eq!(format!("{error:?}"), format!("{shown}\n  caused by: a cause"));
        let input = Error::input("a value");
        assert_eq!((input.message(), input.to_string()), ("a value".into(), "unusable value: a value".into()));
    }

    #[test]
    fn secrets_in_the_url_are_not_shown() {
        let url = Url::parse("https://ann:pass-word@example.com/activate?token=se-cret#frag").unwrap();
        let error = Error::timeout(Phase::Acquire).of(&Method::GET, &url);
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("https://example.com/activate"), "{shown}");
        for secret in ["ann", "pass-word", "se-cret", "frag"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
