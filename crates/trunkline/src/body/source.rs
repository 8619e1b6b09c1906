//! Sources of bodies that are made while they are sent.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::Body;
use crate::error::{BoxError, Error, Result};

pub(super) type Piece = Option<Result<Frame<Bytes>, BoxError>>;
pub(super) type Measuring<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

pub(super) trait Source: Send {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Piece>;

    fn has_ended(&self) -> bool;

    /// Length, as far as known. An exact length is announced and enforced.
    fn length(&self) -> SizeHint;

    /// Sets the announced length.
    fn announce(&mut self, length: u64);

    /// The body from its start, or the part that cannot be repeated.
    fn again(&self) -> Result<Body, NotReplayable>;

    fn is_to_be_measured(&self) -> bool {
        false
    }

    /// Looks up a length that is to be announced.
    fn measure(&mut self) -> Measuring<'_> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Name of the kind of source, for errors and `Debug`.
    fn what(&self) -> &'static str;
}

/// Failure of one of this crate's bodies. The error of a caller's body says nothing about this
/// request, even if it is an [`Error`] of another.
#[derive(Debug)]
pub(crate) struct KnownError(pub(crate) Error);

impl fmt::Display for KnownError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for KnownError {}

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
