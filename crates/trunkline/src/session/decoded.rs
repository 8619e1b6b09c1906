//! The body of a session's response: without its content codings, and public.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::{StatusCode, response};
use http_body::{Frame, SizeHint};

use crate::body::Decoded;
use crate::error::{Error, Phase, RequestSent, Result};
use crate::pool::{ConnectionInfo, InFlightGuard, ResponseBody};
use crate::timeouts;

/// The body of a [`Response`](crate::Response): decoded as it is read, or as the server sent it
/// where there is nothing to decode.
///
/// Decoding holds a frame of 32 KiB, what came last from the connection, and the decoder's window:
/// 32 KiB for gzip and deflate, at most 8 MiB for zstd and 16 MiB for br. A body that is not coded
/// passes through: nothing is allocated or copied for it.
///
/// The connection goes back to the pool at the end of the body, as for a [`ResponseBody`].
///
/// # Cancel safety
///
/// Nothing is lost when a read is given up and begun again.
pub struct DecodedBody {
    decoded: Decoded<ResponseBody>,
    /// Of a body that is coded: a few bytes can stand for hours of work, and the connection sees to
    /// the deadline only while it is read.
    deadline: Option<Instant>,
}

impl DecodedBody {
    /// Decodes, if asked to and if there is something to decode; the headers then say so no longer.
    pub(super) fn new(
        head: &mut response::Parts,
        body: ResponseBody,
        decompress: bool,
        deadline: Option<Instant>,
    ) -> Self {
        // A range is one of the coded bytes, which mean nothing without those before them.
        let whole = head.status != StatusCode::PARTIAL_CONTENT;
        let decoded = if decompress && whole { Decoded::new(&mut head.headers, body) } else { Decoded::plain(body) };
        let deadline = deadline.filter(|_| decoded.is_coded());
        Self { decoded, deadline }
    }

    /// The request counts as under way until the end of the body.
    pub(super) fn hold(&mut self, guard: InFlightGuard) {
        self.decoded.source_mut().hold(guard);
    }

    /// The connection of the response.
    pub fn connection(&self) -> &ConnectionInfo {
        self.decoded.source().connection()
    }
}

impl http_body::Body for DecodedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let passed = self.deadline.is_some_and(|deadline| deadline <= timeouts::now());
        if passed && !self.decoded.is_end_stream() {
            self.decoded.end();
            let error = Error::timeout(Phase::Body).sent(RequestSent::Yes);
            return Poll::Ready(Some(Err(error.detail("the request's deadline passed").by_setting("total"))));
        }
        Pin::new(&mut self.decoded).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.decoded.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.decoded.size_hint()
    }
}

impl fmt::Debug for DecodedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DecodedBody").field(&self.decoded).finish()
    }
}
