//! The one error type: opaque, with questions to ask it.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use http::StatusCode;
use trunkline::redact_url;
use url::Url;

use crate::retries;

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a page was not read, or a form not filled in or sent.
///
/// It is opaque: ask it what you need to know. Its text names what was wanted and what there is
/// instead; never a field's value, which may be a password.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    detail: String,
    source: Option<trunkline::Error>,
    status: Option<StatusCode>,
    /// What was asked for, and how often.
    url: Option<Url>,
    attempts: u32,
    /// It may be otherwise the next time,
    passing: bool,
    /// but not earlier.
    pause: Option<Duration>,
    /// Every page that needs the login has the same.
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
    /// What robots.txt does not allow.
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
    /// error that [`is_login`](Self::is_login), and stands until somebody [logs
    /// in](crate::Scraper::login) anew, unless it is [`passing`](Self::passing).
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

    /// May another attempt go well? So it may if the connection failed, or the server said that it
    /// is busy or ill (429, 5xx). A certificate that is not accepted, a page that is too large,
    /// a wrong password are the same the next time.
    pub fn is_passing(&self) -> bool {
        self.http().map_or(self.0.passing, retries::may_pass)
    }

    /// What was asked for is not on the page: a form, a field, a button, a choice. Or it cannot be:
    /// a selector that is none, a value that the field does not take. The text says what there
    /// is.
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

    /// The login ran out and could not be renewed, nor will it be: the password has been changed,
    /// say. It is no fault of the page that was asked for; every other one from behind the
    /// login has the same error, until somebody [logs in](crate::Scraper::login) anew.
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

    /// How often the page was tried.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// What the session said, if the exchange with the server failed.
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

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, detail, source, url, attempts, .. } = &*self.0;
        f.debug_struct("Error")
            .field("kind", kind)
            .field("url", &url.as_ref().map(|url| redact_url(url).to_string()))
            .field("attempts", attempts)
            .field("detail", detail)
            .field("source", source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        // What the session said is this error's own text already.
        self.0.source.as_ref().and_then(StdError::source)
    }
}
