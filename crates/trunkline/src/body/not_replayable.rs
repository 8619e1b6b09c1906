//! The reason why a body cannot be sent a second time.

use std::fmt;

/// The part of a body that is gone once it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotReplayable {
    what: &'static str,
    /// The name of the part that is it, in a form.
    part: Option<Box<str>>,
}

impl NotReplayable {
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, part: None }
    }

    pub(super) fn within(self, part: &str) -> Self {
        Self { part: Some(part.into()), ..self }
    }
}

impl fmt::Display for NotReplayable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, part } = self;
        match part {
            Some(part) => write!(f, "the part {part:?} of the request's body ({what})")?,
            None => write!(f, "the body of the request ({what})")?,
        }
        f.write_str(" cannot be sent a second time: make it of bytes, by a path (Body::file), or with Body::replayable")
    }
}
