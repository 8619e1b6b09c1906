//! The one error type: opaque, with questions to ask it.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use http::StatusCode;
use trunkline::redact_url;
use url::Url;

use crate::retries;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure to read a page, or to fill in or send a form.
///
/// It is opaque: ask it what you need to know. Its text names what was wanted and what there is
/// instead; never a field's value, which may be a password.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    detail: String,
    source: Option<trunkline::Error>,
    status: Option<StatusCode>,
    /// The URL requested, and the number of attempts.
    url: Option<Url>,
    attempts: u32,
    /// True if another attempt may succeed.
    passing: bool,
    /// Least pause before that attempt.
    pause: Option<Duration>,
    /// True if every page behind the login fails the same way.
    shut_out: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A form, a field, a value or a selector of the caller's that cannot be used.
    Input,
    /// A page beyond the limits.
    Page,
    /// A form that a browser would not send either.
    Form,
    /// A login that failed.
    Login,
    /// Forbidden by robots.txt.
    Robots,
    /// An answer that is as good as none.
    Status,
    /// No runtime to fetch on.
    Runtime,
    /// The exchange with the server.
    Http,
}

impl Error {
    /// A login that could not be renewed, for an implementation of [`Renew`](crate::Renew): an
    /// error that [`is_login`](Self::is_login). It holds until the next
    /// [login](crate::Scraper::login), unless it is [`passing`](Self::passing).
    pub fn renewal(why: impl Into<String>) -> Self {
        Self::login(why)
    }

    /// The same, if it may be otherwise soon: [`is_passing`](Self::is_passing) says so then.
    #[must_use = "it is the one returned that is so"]
    pub fn passing(mut self, passing: bool) -> Self {
        self.0.passing = passing;
        self
    }

    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            detail: detail.into(),
            source: None,
            status: None,
            url: None,
            attempts: 1,
            passing: false,
            pause: None,
            shut_out: false,
        }))
    }

    /// Something of the caller's that cannot be used: `detail` names it and says what would be
    /// right.
    pub(crate) fn input(detail: impl Into<String>) -> Self {
        Self::new(Kind::Input, detail)
    }

    pub(crate) fn page(detail: impl Into<String>) -> Self {
        Self::new(Kind::Page, detail)
    }

    pub(crate) fn form(detail: impl Into<String>) -> Self {
        Self::new(Kind::Form, detail)
    }

    pub(crate) fn login(detail: impl Into<String>) -> Self {
        Self::new(Kind::Login, detail)
    }

    pub(crate) fn robots(detail: impl Into<String>) -> Self {
        Self::new(Kind::Robots, detail)
    }

    pub(crate) fn answered(status: StatusCode) -> Self {
        let mut error = Self::new(Kind::Status, format!("it answers with the status {status}")).passing(true);
        error.0.status = Some(status);
        error
    }

    pub(crate) fn runtime() -> Self {
        Self::new(Kind::Runtime, "there is no tokio runtime that it could be fetched on")
    }

    /// Names what was asked for, and how often.
    pub(crate) fn of(mut self, url: &Url, attempts: u32) -> Self {
        self.0.url = Some(url.clone());
        self.0.attempts = attempts;
        self
    }

    /// The same, if another attempt has to wait for so long.
    pub(crate) fn pausing(mut self, pause: Option<Duration>) -> Self {
        self.0.pause = pause;
        self
    }

    /// The same, of a login that could not be renewed and would not be another time.
    pub(crate) fn shut_out(mut self) -> Self {
        self.0.shut_out = true;
        self
    }

    pub(crate) fn pause(&self) -> Option<Duration> {
        self.0.pause
    }

    /// True if another attempt may succeed: the connection failed, or the server was busy or failed
    /// (429, 5xx). An untrusted certificate, a page that is too large and a wrong password fail
    /// again.
    pub fn is_passing(&self) -> bool {
        self.http().map_or(self.0.passing, retries::is_transient_failure)
    }

    /// A form, field, button or choice is not on the page; or a selector is invalid, or a field
    /// does not take the value. The text lists the existing ones.
    pub fn is_input(&self) -> bool {
        self.0.kind == Kind::Input
    }

    /// The page is beyond the limits: too large, too many elements, nested too deep.
    pub fn is_page(&self) -> bool {
        self.0.kind == Kind::Page
    }

    /// The form is one that no browser would send, or not without asking: its button is disabled,
    /// its address is unusable, it belongs to a dialog, it would send a login's
    /// password unencrypted.
    pub fn is_form(&self) -> bool {
        self.0.kind == Kind::Form
    }

    /// The login failed, or did not last: the text says which check failed and, if the page has a
    /// message of its own, what that is.
    pub fn is_login(&self) -> bool {
        self.0.kind == Kind::Login
    }

    /// The login ran out and will not be renewed: the password was changed, for example. Every page
    /// behind the login has the same error until the next [login](crate::Scraper::login).
    pub fn is_shut_out(&self) -> bool {
        self.0.shut_out
    }

    /// The page's robots.txt does not allow it to be fetched, or could not be had; see
    /// [`Scraper::robots`](crate::Scraper::robots).
    pub fn is_robots(&self) -> bool {
        self.0.kind == Kind::Robots
    }

    /// The status of the answer, if that is what was wrong: one that asks to come again.
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// The URL that was asked for, of a page that was to be fetched: as it was given, whole, so
    /// that it can be asked for again. The error's text shows it without credentials, query and
    /// fragment.
    pub fn url(&self) -> Option<&Url> {
        self.0.url.as_ref()
    }

    /// The number of attempts at the page.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// The URL that failed: a redirect's target if the request had been redirected, else the URL
    /// requested. Without credentials, query and fragment.
    pub fn failed_url(&self) -> Option<Url> {
        let requested = || self.url().map(redact_url);
        self.http().and_then(trunkline::Error::url).cloned().or_else(requested)
    }

    /// The message without the request and the number of [`attempts`](Self::attempts), which
    /// `Display` adds. For output that names the URL already.
    pub fn message(&self) -> String {
        match self.http() {
            None => self.0.detail.clone(),
            Some(error) => error.message(),
        }
    }

    /// Error of the session, if the exchange with the server failed.
    pub fn http(&self) -> Option<&trunkline::Error> {
        self.0.source.as_ref()
    }
}

impl From<trunkline::Error> for Error {
    fn from(error: trunkline::Error) -> Self {
        let mut this = Self::new(Kind::Http, "");
        this.0.source = Some(error);
        this
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { detail, source, url, attempts, .. } = &*self.0;
        match (source, url) {
            // It names the URL itself.
            (Some(error), _) => error.fmt(f)?,
            (None, Some(url)) => write!(f, "GET {}: {detail}", redact_url(url))?,
            (None, None) => f.write_str(detail)?,
        }
        if *attempts > 1 { write!(f, " ({attempts} attempts)") } else { Ok(()) }
    }
}

/// The message, then its causes, one per line: `main` prints a returned error this way.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        std::iter::successors(self.source(), |cause| (*cause).source())
            .try_for_each(|cause| write!(f, "\n  caused by: {cause}"))
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        // The message of the session's error is this error's own, so that its cause comes next.
        self.0.source.as_ref().and_then(StdError::source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_leaves_the_request_to_the_caller() {
        let url = Url::parse("https://ann:pass-word@example.com/a?token=se-cret").unwrap();
        let error = Error::answered(StatusCode::SERVICE_UNAVAILABLE).of(&url, 2);
        let message = "it answers with the status 503 Service Unavailable";
        assert_eq!(error.message(), message);
        assert_eq!(error.to_string(), format!("GET https://example.com/a: {message} (2 attempts)"));
        assert_eq!(error.failed_url().unwrap().as_str(), "https://example.com/a");
        assert_eq!(format!("{error:?}"), error.to_string());
    }

    #[tokio::test]
    async fn failed_exchange_has_its_cause_once() {
        let session = trunkline::Session::new();
        session.close().await;
        let Err(error) = session.get("http://127.0.0.1:9/").await else { panic!("the session is closed") };
        let (text, causes) = (error.to_string(), error.source().is_some());
        let error = Error::from(error);
        assert_eq!((error.to_string(), error.source().is_some()), (text.clone(), causes));
        assert_eq!(text, format!("GET http://127.0.0.1:9/: {}", error.message()));
    }
}
