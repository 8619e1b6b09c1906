//! What is sent with a request. Knows neither pool nor connection.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::error::BoxError;

/// The body of a request.
///
/// One made of bytes or text can be sent again, as a redirect (307, 308) or a replay on a new connection needs; one made of
/// another [`http_body::Body`] is read once.
///
/// ```
/// use trunkline::Body;
///
/// let text = Body::from("hello");
/// let none = Body::empty();
/// # let _ = (text, none);
/// ```
#[derive(Default)]
pub struct Body(Kind);

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Bytes(Bytes),
    Stream(Pin<Box<dyn Pieces + Send>>),
}

impl Body {
    /// No body at all.
    pub const fn empty() -> Self {
        Self(Kind::Empty)
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
        Self(Kind::Stream(Box::pin(body)))
    }

    /// The same body once more, if it can be sent again.
    pub fn try_clone(&self) -> Option<Self> {
        match &self.0 {
            Kind::Empty => Some(Self::empty()),
            Kind::Bytes(bytes) => Some(Self(Kind::Bytes(bytes.clone()))),
            Kind::Stream(_) => None,
        }
    }
}

/// A caller's body, its data as `Bytes`. (`BodyExt::map_frame` would forget its length.)
trait Pieces {
    fn poll_piece(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>>;
    fn has_ended(&self) -> bool;
    fn length(&self) -> SizeHint;
}

impl<B> Pieces for B
where
    B: http_body::Body,
    B::Data: Into<Bytes>,
    B::Error: Into<BoxError>,
{
    fn poll_piece(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let piece = std::task::ready!(self.poll_frame(cx));
        Poll::Ready(piece.map(|frame| frame.map(|frame| frame.map_data(Into::into)).map_err(Into::into)))
    }

    fn has_ended(&self) -> bool {
        self.is_end_stream()
    }

    fn length(&self) -> SizeHint {
        self.size_hint()
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
            Kind::Stream(body) => body.as_mut().poll_piece(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Bytes(_) => false,
            Kind::Stream(body) => body.has_ended(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream(body) => body.length(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What a body holds may be a secret.
        match &self.0 {
            Kind::Empty => f.write_str("Body::empty()"),
            Kind::Bytes(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Kind::Stream(_) => f.write_str("Body(stream)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_of_ours_can_be_sent_again_even_when_wrapped() {
        assert!(Body::wrap(Body::from("again")).try_clone().is_some());
        assert!(Body::wrap(http_body_util::Full::new(Bytes::from("once"))).try_clone().is_none());
        assert!(Body::wrap(http_body_util::Empty::<Bytes>::new()).try_clone().is_some());
    }
}
