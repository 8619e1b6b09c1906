//! Decoder of response bodies: content codings (RFC 9110 section 8.4), a piece at a time.

#[cfg(feature = "br")]
mod br;
mod coding;
#[cfg(all(test, feature = "gzip", feature = "deflate", feature = "br", feature = "zstd"))]
mod tests;
#[cfg(any(feature = "gzip", feature = "deflate", feature = "br"))]
mod trailing;
#[cfg(any(feature = "gzip", feature = "deflate"))]
mod zlib;
#[cfg(feature = "zstd")]
mod zstd;

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use http_body::{Body, Frame, SizeHint};

use self::coding::Coding;
pub(crate) use self::coding::offer;
use crate::error::{BoxError, Error, Kind, Phase, RequestSent, Result};

/// The most that one frame decodes to, whatever a few bytes of input may stand for.
const FRAME: usize = 32 * 1024;

/// The number of consecutive pieces of input without output after which other tasks get a turn.
const PATIENCE: usize = 32;

/// A body without its content codings. One that has none passes through as it is: no allocation, no
/// copy.
#[derive(Debug)]
pub(crate) struct Decoded<B> {
    source: B,
    state: DecodeState,
}

#[derive(Debug)]
enum DecodeState {
    Plain,
    /// In the order in which they were applied: the last one reads from the source.
    Coded(Box<[Layer]>),
    Ended,
}

/// One coding being taken off.
struct Layer {
    coding: Coding,
    codec: Box<dyn Codec>,
    /// Input that is not decoded yet.
    input: Bytes,
    output: Box<[u8]>,
    /// The last step filled the output: the codec may hold more.
    full: bool,
    /// Something has come. A body without a byte is empty, whatever its coding.
    begun: bool,
}

/// A decoder of one coding, one step at a time.
trait Codec: Send + Sync {
    /// Decodes some of the input. All of it is read, or the output filled, unless the stream ends.
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress, BoxError>;

    /// True if the body may end here.
    fn is_complete(&self) -> bool;
}

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    read: usize,
    written: usize,
}

impl<B> Decoded<B> {
    pub(crate) const fn plain(source: B) -> Self {
        Self { source, state: DecodeState::Plain }
    }

    /// True if the body has, or had, a coding.
    pub(crate) const fn is_coded(&self) -> bool {
        !matches!(self.state, DecodeState::Plain)
    }

    /// Nothing more comes.
    pub(crate) fn end(&mut self) {
        self.state = DecodeState::Ended;
    }

    /// The coded body.
    pub(crate) const fn source(&self) -> &B {
        &self.source
    }

    pub(crate) const fn source_mut(&mut self) -> &mut B {
        &mut self.source
    }
}

impl<B: Body> Decoded<B> {
    /// Takes off what the headers say was put on, and strikes it from them, with the length, which
    /// is no longer that of the body. A coding that is not known leaves both as they are, and
    /// so does an empty body, as the answer to a HEAD is.
    pub(crate) fn new(headers: &mut HeaderMap, source: B) -> Self {
        if !headers.contains_key(CONTENT_ENCODING) || source.is_end_stream() {
            return Self::plain(source);
        }
        let codings = coding::of(headers);
        if codings.is_empty() {
            return Self::plain(source);
        }
        headers.remove(CONTENT_ENCODING);
        headers.remove(CONTENT_LENGTH);
        Self { source, state: DecodeState::Coded(codings.into_iter().map(Layer::new).collect()) }
    }
}

/// The next frame of the first of these, which reads from the next, and the last from the source.
fn poll_frame<B>(layers: &mut [Layer], source: &mut B, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>>
where
    B: Body<Data = Bytes, Error = Error> + Unpin,
{
    let Some((layer, below)) = layers.split_first_mut() else { return Pin::new(source).poll_frame(cx) };
    for _ in 0..PATIENCE {
        if layer.full || !layer.input.is_empty() {
            if let Some(decoded) = layer.decode()? {
                return Poll::Ready(Some(Ok(Frame::data(decoded))));
            }
            continue;
        }
        // Read to its own end, also behind the end of the stream: only there the connection is
        // free.
        let Some(frame) = ready!(poll_frame(below, source, cx)?) else {
            return Poll::Ready(layer.end().err().map(Err));
        };
        match frame.into_data() {
            Ok(input) => {
                layer.begun |= !input.is_empty();
                layer.input = input;
            }
            Err(trailers) => return Poll::Ready(Some(layer.end().map(|()| trailers))),
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

impl Layer {
    fn new(coding: Coding) -> Self {
        let (codec, output) = (coding.codec(), vec![0; FRAME].into());
        Self { coding, codec, input: Bytes::new(), output, full: false, begun: false }
    }

    fn decode(&mut self) -> Result<Option<Bytes>> {
        let stepped = match self.codec.step(&self.input, &mut self.output) {
            Ok(Progress { read: 0, written: 0 }) if !self.input.is_empty() => {
                Err("the decoder takes no more of it".into())
            }
            stepped => stepped,
        };
        let Progress { read, written } = stepped.map_err(|cause| self.fault("cannot be decoded").because(cause))?;
        self.input.advance(read);
        self.full = written == self.output.len();
        Ok((written > 0).then(|| Bytes::copy_from_slice(&self.output[..written])))
    }

    fn end(&self) -> Result<()> {
        if self.codec.is_complete() || !self.begun {
            return Ok(());
        }
        Err(self.fault("breaks off in the middle"))
    }

    fn fault(&self, fault: &str) -> Error {
        let detail = format!("its {} coding (Content-Encoding) {fault}", self.coding.name());
        Error::new(Kind::Body).at(Phase::Body).sent(RequestSent::Yes).detail(detail)
    }
}

impl<B: Body<Data = Bytes, Error = Error> + Unpin> Body for Decoded<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let Self { source, state } = &mut *self;
        let frame = match state {
            DecodeState::Plain => return Pin::new(source).poll_frame(cx),
            DecodeState::Coded(layers) => {
                // A few bytes may decode to many pieces, each ready at once: other tasks get a turn
                // all the same.
                let turn = ready!(tokio::task::coop::poll_proceed(cx));
                let frame = ready!(poll_frame(layers, source, cx));
                turn.made_progress();
                frame
            }
            DecodeState::Ended => None,
        };
        if !matches!(frame, Some(Ok(_))) {
            *state = DecodeState::Ended;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match self.state {
            DecodeState::Plain => self.source.is_end_stream(),
            DecodeState::Coded(_) => false,
            DecodeState::Ended => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self.state {
            DecodeState::Plain => self.source.size_hint(),
            DecodeState::Coded(_) => SizeHint::default(),
            DecodeState::Ended => SizeHint::with_exact(0),
        }
    }
}

impl std::fmt::Debug for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Layer").field("coding", &self.coding).finish_non_exhaustive()
    }
}
