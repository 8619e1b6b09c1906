//! The body of a response: it holds the lease to its end, and gives the connection back there.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::gate::Passes;
use super::key::Key;
use super::lease::Lease;
use crate::connection::{Connection, Received};
use crate::error::{Error, Kind, Phase, RequestSent, Result};

/// How much of a body that nobody reads is taken in to keep its connection (P8).
const DRAIN: usize = 64 * 1024;

/// The body of a response, as it comes off its connection.
///
/// The connection goes back to the pool when the body has been read to its end. A body that is dropped earlier gives it back only
/// if the rest has already arrived and is at most 64 KiB; otherwise the connection is closed.
///
/// # Cancel safety
///
/// Nothing is lost when a read is given up and begun again.
pub struct ResponseBody {
    received: Received,
    /// Until the end of the body, or a failure.
    reading: Option<Reading>,
}

struct Reading {
    lease: Lease<Key, Connection>,
    passes: Option<Passes>,
}

impl ResponseBody {
    pub(super) fn new(received: Received, lease: Lease<Key, Connection>) -> Self {
        let reading = Reading { lease, passes: None };
        // The head is what was waited for.
        reading.lease.cell().rest();
        if received.is_end_stream() {
            reading.finish();
            return Self { received, reading: None };
        }
        Self { received, reading: Some(reading) }
    }

    /// The request counts as under way until the end of the body.
    pub(crate) fn hold(&mut self, passes: Passes) {
        if let Some(reading) = &mut self.reading {
            reading.passes = Some(passes);
        }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let Self { received, reading: Some(reading) } = self else { return Poll::Ready(None) };
        let frame = match received.poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                if let Err(error) = std::task::ready!(reading.drive(cx)) {
                    return Poll::Ready(Some(Err(error)));
                }
                std::task::ready!(received.poll_frame(cx))
            }
        };
        // From here until the next poll, silence is the reader's.
        reading.lease.cell().rest();
        Poll::Ready(frame.map(|frame| frame.map_err(|cause| reading.broken(cause))))
    }

    /// Takes in what has already arrived, without waiting. True if that was the rest.
    fn drain(&mut self) -> bool {
        let cx = &mut Context::from_waker(Waker::noop());
        let mut drained = 0;
        while drained <= DRAIN {
            match self.poll_data(cx) {
                Poll::Ready(Some(Ok(frame))) => drained += frame.data_ref().map_or(0, Bytes::len),
                Poll::Ready(None) => return true,
                Poll::Ready(Some(Err(_))) | Poll::Pending => return false,
            }
        }
        false
    }
}

impl Reading {
    fn drive(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let driven = self.lease.poll(cx, |connection, cx| {
            let _ended = connection.drive(cx);
            Poll::Ready(())
        });
        driven.map_err(|error| error.at(Phase::Body))
    }

    /// Why the body broke off: taken away by a close or a deadline, or broken by the server.
    fn broken(&self, cause: crate::error::BoxError) -> Error {
        let taken = self.lease.with(|_| ()).err().map(|error| error.at(Phase::Body));
        taken.unwrap_or_else(|| {
            Error::new(Kind::Body).at(Phase::Body).detail("the response broke off or was malformed").because(cause)
        })
    }

    fn finish(self) {
        // An error means that the connection is gone already.
        let _ = self.lease.with(Connection::completed);
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let frame = std::task::ready!(self.poll_data(cx));
        match &frame {
            Some(Ok(_)) => {}
            None => {
                if let Some(reading) = self.reading.take() {
                    reading.finish();
                }
            }
            Some(Err(_)) => self.reading = None,
        }
        Poll::Ready(frame.map(|frame| frame.map_err(|error| error.sent(RequestSent::Yes))))
    }

    fn is_end_stream(&self) -> bool {
        self.reading.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.reading {
            Some(_) => self.received.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if self.reading.is_some()
            && self.drain()
            && let Some(reading) = self.reading.take()
        {
            reading.finish();
        }
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { received, reading } = self;
        f.debug_struct("ResponseBody").field("ended", &reading.is_none()).field("size", &received.size_hint()).finish()
    }
}
