//! The one error type: opaque, with questions to ask it.

use std::error::Error as StdError;
use std::fmt;

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a page was not read, or a form not filled in or sent.
///
/// It is opaque: ask it what you need to know. Its text names what was wanted and what there is instead; never a field's value, which may be
/// a password.
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    detail: String,
    source: Option<trunkline::Error>,
    /// It may be otherwise the next time.
    passing: bool,
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
    /// The exchange with the server.
    Http,
}

impl Error {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, detail: detail.into(), source: None, passing: false }))
    }

    /// Something of the caller's that cannot be used: `detail` names it and says what would be right.
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

    /// The same, where the server may do better the next time.
    pub(crate) fn passing(mut self, passing: bool) -> Self {
        self.0.passing |= passing;
        self
    }

    pub(crate) fn is_passing(&self) -> bool {
        self.0.passing
    }

    /// What was asked for is not on the page: a form, a field, a button, a choice. Or it cannot be: a selector that is none, a value that the
    /// field does not take. The text says what there is.
    pub fn is_input(&self) -> bool {
        self.0.kind == Kind::Input
    }

    /// The page is beyond the limits: too large, too many elements, nested too deep.
    pub fn is_page(&self) -> bool {
        self.0.kind == Kind::Page
    }

    /// The form is one that no browser would send: its button is disabled, its address is unusable, it belongs to a dialog.
    pub fn is_form(&self) -> bool {
        self.0.kind == Kind::Form
    }

    /// The login failed, or did not last: the text says which check failed and, if the page has a message of its own, what that is.
    pub fn is_login(&self) -> bool {
        self.0.kind == Kind::Login
    }

    /// What the session said, if the exchange with the server failed.
    pub fn http(&self) -> Option<&trunkline::Error> {
        self.0.source.as_ref()
    }
}

impl From<trunkline::Error> for Error {
    fn from(error: trunkline::Error) -> Self {
        Self(Box::new(Inner { kind: Kind::Http, detail: String::new(), source: Some(error), passing: true }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.source {
            Some(error) => error.fmt(f),
            None => f.write_str(&self.0.detail),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, detail, source, passing: _ } = &*self.0;
        f.debug_struct("Error").field("kind", kind).field("detail", detail).field("source", source).finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        // What the session said is this error's own text already.
        self.0.source.as_ref().and_then(StdError::source)
    }
}
