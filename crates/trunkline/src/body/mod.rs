//! Bodies: those sent with requests, and the decoding of those received. Knows neither pool nor
//! connection.

mod charset;
mod decode;
mod file;
mod multipart;
mod part;
mod replayable;
mod source;
mod stream;

use std::any::Any;
use std::fmt;
use std::fs::File;
use std::ops::RangeBounds;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use futures_core::Stream;
use http_body::{Frame, SizeHint};

pub(crate) use self::charset::{Charset, without_bom};
pub(crate) use self::decode::{Decoded, offer};
use self::file::{Handle, Named};
pub use self::multipart::Multipart;
pub use self::part::Part;
use self::replayable::Replayable;
use self::source::Source;
pub(crate) use self::source::{KnownError, NotReplayable};
use self::stream::{Items, Streamed};
use crate::error::{BoxError, Error, Kind as ErrorKind, Result};

/// The body of a request.
///
/// | made of | its length is | can be sent again |
/// |---|---|---|
/// | bytes or text ([`From`]) | known | yes |
/// | a file, by its path ([`file`](Self::file), [`file_range`](Self::file_range)) | looked up when it is sent | yes: it is opened anew |
/// | an open [`std::fs::File`] ([`From`]) | looked up when it is sent | no |
/// | a stream ([`stream`](Self::stream)) | unknown, or told [`with_length`](Self::with_length) | no |
/// | another [`http_body::Body`] ([`wrap`](Self::wrap)) | what it says | no |
/// | whatever a function makes ([`replayable`](Self::replayable)) | what the first one says | yes: another is made |
///
/// To be sent again is what a redirect that keeps the body asks for (307, 308), and a replay after
/// a kept connection turned out to be dead. [`is_replayable`](Self::is_replayable) tells.
///
/// A body whose length is known is announced by it, any other goes in chunks, unless its
/// connection's server has answered in HTTP/1.0 before: that one does not know of them, and the
/// request is an error that [`is_body`](crate::Error::is_body). It is sent as it comes and never
/// held whole. One that turns out shorter or longer than it was announced, or that fails, fails its
/// request with an error that [`is_body`](crate::Error::is_body); the connection is closed, and the
/// server never sees a message that looks complete. For that, the last piece of a body of
/// known length waits until the body has ended.
///
/// ```
/// use trunkline::Body;
///
/// let text = Body::from("hello");
/// let none = Body::empty();
/// let upload = Body::file("backup.tar");
/// assert!(text.is_replayable() && none.is_replayable() && upload.is_replayable());
/// ```
#[derive(Default)]
pub struct Body(Kind);

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Bytes(Bytes),
    Source(Box<dyn Source>),
}

impl Body {
    /// No body at all.
    pub const fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// The file with this path, from its beginning to its end.
    ///
    /// It is looked at when the request is sent: a file that is not there, cannot be read or is
    /// none (a directory, a pipe) is an error that [`is_input`](crate::Error::is_input), and
    /// nothing is sent. It is opened when its turn to be sent comes, so that requests which wait
    /// for a connection hold no descriptors, and read in tokio's blocking threads.
    ///
    /// A file that has grown or shrunk meanwhile is an error. To send what a growing file has now,
    /// give its length to [`file_range`](Self::file_range).
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self::file_range(path, ..)
    }

    /// A part of the file with this path, as [`file`](Self::file): bytes counted from 0.
    ///
    /// ```
    /// use trunkline::Body;
    ///
    /// let second_mebibyte = Body::file_range("backup.tar", 1 << 20..2 << 20);
    /// let the_rest = Body::file_range("backup.tar", 2 << 20..);
    /// # let _ = (second_mebibyte, the_rest);
    /// ```
    ///
    /// A range that begins or ends behind the end of the file is an error when the request is sent.
    pub fn file_range(path: impl AsRef<Path>, range: impl RangeBounds<u64>) -> Self {
        Self(Kind::Source(Box::new(Named::new(path.as_ref(), range))))
    }

    /// A body of the items of a stream, each sent as it comes.
    ///
    /// It may go on while the response is read, whose own end waits for the stream's: a success is
    /// returned when both sides have said all they have to. One without a body is there only
    /// then, so a stream must not wait for it.
    ///
    /// A stream is sent once. Make it [`replayable`](Self::replayable) for requests that may be
    /// redirected. The bound is the `Stream` trait of `futures-core`, which `futures`,
    /// `tokio-stream` and `async-stream` all share.
    ///
    /// ```
    /// use futures_util::stream;
    /// use trunkline::Body;
    ///
    /// let lines = stream::iter(["one\n", "two\n"].map(Ok::<_, std::io::Error>));
    /// let body = Body::stream(lines).with_length(8);
    /// assert!(!body.is_replayable());
    /// ```
    pub fn stream<S, T, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<T, E>> + Send + 'static,
        T: Into<Bytes>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        Self(Kind::Source(Box::new(Streamed::new(Items::new(stream), "stream"))))
    }

    /// Any other body: it is sent as it comes, with its length if it knows it, else in chunks.
    pub fn wrap<B>(body: B) -> Self
    where
        B: http_body::Body + Send + 'static,
        B::Data: Into<Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut body = Some(body);
        // One of ours stays what it is, and can still be sent again.
        if let Some(own) = (&mut body as &mut dyn Any).downcast_mut::<Option<Self>>() {
            return own.take().unwrap_or_default();
        }
        let Some(body) = body.filter(|body| !body.is_end_stream()) else { return Self::empty() };
        Self(Kind::Source(Box::new(Streamed::new(Box::pin(body), "body"))))
    }

    /// A body that can be sent again, because `make` makes another.
    ///
    /// It is called once now, and again for each further time that the body is sent. Each body it
    /// makes has to have the length of the first, if that one knew its own.
    ///
    /// ```
    /// use trunkline::Body;
    ///
    /// let countdown = || futures_util::stream::iter((0..3).rev().map(|n| Ok::<_, std::io::Error>(format!("{n}\n"))));
    /// let body = Body::replayable(move || Body::stream(countdown()));
    /// assert!(body.is_replayable());
    /// ```
    pub fn replayable(make: impl Fn() -> Self + Send + Sync + 'static) -> Self {
        let first = make();
        if first.is_replayable() { first } else { Self(Kind::Source(Box::new(Replayable::new(first, make)))) }
    }

    /// The same body, announced with this length in bytes. One that turns out to have another fails
    /// its request.
    #[must_use = "it is the body returned that has the length"]
    pub fn with_length(mut self, length: u64) -> Self {
        if http_body::Body::size_hint(&self).exact() == Some(length) {
            return self;
        }
        if let Kind::Empty | Kind::Bytes(_) = self.0 {
            self = Self(Kind::Source(Box::new(Streamed::new(self, "body"))));
        }
        self.announce(length);
        self
    }

    /// True if the body can be sent a second time.
    pub fn is_replayable(&self) -> bool {
        match &self.0 {
            Kind::Empty | Kind::Bytes(_) => true,
            Kind::Source(source) => source.again().is_ok(),
        }
    }

    /// The same body once more, if it can be sent again.
    pub fn try_clone(&self) -> Option<Self> {
        self.again().ok()
    }

    /// The body from its start, or the part that cannot be repeated.
    pub(crate) fn again(&self) -> Result<Self, NotReplayable> {
        match &self.0 {
            Kind::Empty => Ok(Self::empty()),
            Kind::Bytes(bytes) => Ok(Self(Kind::Bytes(bytes.clone()))),
            Kind::Source(source) => source.again(),
        }
    }

    /// True if the length is looked up, in a file or at its end, before the request is sent.
    pub(crate) fn is_to_be_measured(&self) -> bool {
        matches!(&self.0, Kind::Source(source) if source.is_to_be_measured())
    }

    /// Looks up the length, until the deadline.
    pub(crate) async fn measure_by(&mut self, deadline: Option<Instant>) -> Result<()> {
        let Some(deadline) = deadline else { return self.measure().await };
        let measured = tokio::time::timeout_at(deadline.into(), self.measure()).await;
        measured.unwrap_or_else(|_| {
            let detail = "the request's deadline passed while the length of its body was looked up";
            Err(Error::new(ErrorKind::Timeout).detail(detail).by_setting("total"))
        })
    }

    async fn measure(&mut self) -> Result<()> {
        if let Kind::Source(source) = &mut self.0 {
            source.measure().await?;
            if source.length().exact() == Some(0) && source.has_ended() {
                self.0 = Kind::Empty;
            }
        }
        Ok(())
    }

    /// It is going to be announced with this length, which it did not know itself.
    pub(crate) fn announce(&mut self, length: u64) {
        if let Kind::Source(source) = &mut self.0 {
            source.announce(length);
        }
    }
}

impl<S: Source + 'static> From<Box<S>> for Body {
    fn from(source: Box<S>) -> Self {
        Self(Kind::Source(source))
    }
}

/// An open file, from where it stands to its end. It is sent once; [`Body::file`] can be sent
/// again. A pipe or a device goes in chunks.
impl From<File> for Body {
    fn from(file: File) -> Self {
        Self(Kind::Source(Box::new(Handle::new(file))))
    }
}

macro_rules! from {
    ($($bytes:ty),*) => {$(
        impl From<$bytes> for Body {
            fn from(value: $bytes) -> Self {
                let bytes = Bytes::from(value);
                Self(if bytes.is_empty() { Kind::Empty } else { Kind::Bytes(bytes) })
            }
        }
    )*};
}
from!(Bytes, String, Vec<u8>, &'static str, &'static [u8]);

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match &mut self.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::Source(source) => source.poll_piece(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Bytes(_) => false,
            Kind::Source(source) => source.has_ended(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Source(source) => source.length(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The content of a body may be secret.
        match &self.0 {
            Kind::Empty => f.write_str("Body::empty()"),
            Kind::Bytes(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Kind::Source(source) => write!(f, "Body({})", source.what()),
        }
    }
}

#[cfg(test)]
mod tests;
