//! A caller's stream or body, held to the length it is announced with.

use std::borrow::Cow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use http_body::{Frame, SizeHint};

use super::source::{KnownError, Measuring, Piece, Source};
use super::{Body, NotReplayable};
use crate::error::{BoxError, Error, Kind};

/// Something that yields a body's pieces. The engine believes what a body says of its length: it
/// would cut off what is too long, and leave the server waiting for the rest of what is too short.
/// So the pieces are counted here.
pub(super) struct Streamed<B> {
    pieces: B,
    what: &'static str,
    /// In errors; the path, for a file.
    name: Cow<'static, str>,
    announced: Option<u64>,
    passed: u64,
    /// The piece that completes the announced length. It stays until nothing follows it, or the
    /// message would be complete and wrong.
    last: Option<Bytes>,
    state: StreamState,
}

#[derive(PartialEq, Eq)]
enum StreamState {
    Going,
    /// Being polled. If it is found so, that has panicked: it must not be polled again.
    Polled,
    Ended,
    Failed,
}

impl<B> Streamed<B>
where
    B: http_body::Body + Unpin,
    B::Data: Into<Bytes>,
    B::Error: Into<BoxError>,
{
    pub(super) fn new(pieces: B, what: &'static str) -> Self {
        let announced = pieces.size_hint().exact();
        Self { pieces, what, name: what.into(), announced, passed: 0, last: None, state: StreamState::Going }
    }

    pub(super) fn named(self, name: String) -> Self {
        Self { name: name.into(), ..self }
    }

    pub(super) fn pieces(&self) -> &B {
        &self.pieces
    }

    pub(super) fn pieces_mut(&mut self) -> &mut B {
        &mut self.pieces
    }

    pub(super) fn announced(&self) -> Option<u64> {
        self.announced
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        loop {
            match std::mem::replace(&mut self.state, StreamState::Polled) {
                StreamState::Going => {}
                StreamState::Polled => return Poll::Ready(Some(Err(self.failed("panicked").into()))),
                // A later poll finds the end.
                other => {
                    self.state = other;
                    return Poll::Ready(None);
                }
            }
            let polled = Pin::new(&mut self.pieces).poll_frame(cx);
            self.state = StreamState::Going;
            let Some(frame) = ready!(polled) else { return Poll::Ready(self.end()) };
            let frame = match frame {
                Ok(frame) => frame.map_data(Into::into),
                Err(error) => {
                    let error = match error.into().downcast::<KnownError>() {
                        Ok(known) => known.0,
                        Err(error) => self.failed("failed").because(error),
                    };
                    self.state = StreamState::Failed;
                    return Poll::Ready(Some(Err(error.into())));
                }
            };
            match frame.into_data() {
                Ok(data) => {
                    if let Some(piece) = self.pass(data) {
                        return Poll::Ready(Some(piece));
                    }
                }
                // Trailers: they follow chunks only.
                Err(other) if self.announced.is_none() => return Poll::Ready(Some(Ok(other))),
                Err(_) => {}
            }
        }
    }

    /// The part of this data that is sent now.
    fn pass(&mut self, data: Bytes) -> Option<Result<Frame<Bytes>, BoxError>> {
        self.passed += data.len() as u64;
        match self.announced {
            _ if data.is_empty() => None,
            Some(announced) if self.passed > announced => {
                Some(Err(self.failed(&format!("is longer than the {announced} bytes announced")).into()))
            }
            Some(announced) if self.passed == announced => {
                if self.pieces.is_end_stream() {
                    self.state = StreamState::Ended;
                    return Some(Ok(Frame::data(data)));
                }
                self.last = Some(data);
                None
            }
            _ => Some(Ok(Frame::data(data))),
        }
    }

    fn end(&mut self) -> Piece {
        let passed = self.passed;
        if let Some(announced) = self.announced.filter(|announced| *announced != passed) {
            let how = format!("ended after {passed} bytes, where {announced} were announced");
            return Some(Err(self.failed(&how).into()));
        }
        self.state = StreamState::Ended;
        self.last.take().map(|last| Ok(Frame::data(last)))
    }

    fn failed(&mut self, how: &str) -> Error {
        self.state = StreamState::Failed;
        self.last = None;
        Error::new(Kind::Body).detail(format!("the {} {how}", self.name))
    }
}

impl<B> Source for Streamed<B>
where
    B: http_body::Body + Unpin + Send,
    B::Data: Into<Bytes>,
    B::Error: Into<BoxError>,
{
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        self.poll_next(cx)
    }

    fn has_ended(&self) -> bool {
        match self.state {
            StreamState::Ended => true,
            // One that says so too early is asked once more, and told.
            StreamState::Going => {
                self.pieces.is_end_stream() && self.announced.is_none_or(|length| length == self.passed)
            }
            StreamState::Polled | StreamState::Failed => false,
        }
    }

    fn length(&self) -> SizeHint {
        match self.announced {
            Some(announced) => {
                let held = self.last.as_ref().map_or(0, |last| last.len() as u64);
                SizeHint::with_exact(announced.saturating_sub(self.passed - held))
            }
            None => SizeHint::new(),
        }
    }

    fn announce(&mut self, length: u64) {
        self.announced = Some(length);
    }

    fn again(&self) -> Result<Body, NotReplayable> {
        Err(NotReplayable::new(self.what))
    }

    /// The engine does not poll a body that is announced as empty, so it is measured first.
    fn is_to_be_measured(&self) -> bool {
        self.announced == Some(0) && !self.has_ended()
    }

    fn measure(&mut self) -> Measuring<'_> {
        Box::pin(async {
            let Some(Err(error)) = std::future::poll_fn(|cx| self.poll_next(cx)).await else { return Ok(()) };
            Err(error.downcast::<Error>().map_or_else(|other| Error::new(Kind::Body).because(other), |own| *own))
        })
    }

    fn what(&self) -> &'static str {
        self.what
    }
}

/// The items of a stream as pieces of a body.
pub(super) struct Items<S>(Pin<Box<S>>);

impl<S> Items<S> {
    pub(super) fn new(stream: S) -> Self {
        Self(Box::pin(stream))
    }
}

impl<S, T, E> http_body::Body for Items<S>
where
    S: Stream<Item = Result<T, E>>,
    T: Into<Bytes>,
    E: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Piece> {
        let item = ready!(self.0.as_mut().poll_next(cx));
        Poll::Ready(item.map(|item| item.map(|item| Frame::data(item.into())).map_err(Into::into)))
    }
}
