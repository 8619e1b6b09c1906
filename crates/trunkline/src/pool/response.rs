//! The body of a response: it holds the lease to its end, and gives the connection back there.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::clock::Clock;
use super::gate::Pass;
use super::keeper::Keepers;
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
    clock: Clock,
    _passes: Vec<Arc<Pass>>,
}

impl ResponseBody {
    pub(super) fn new(
        received: Received,
        lease: Lease<Key, Connection>,
        mut clock: Clock,
        passes: Vec<Arc<Pass>>,
        keepers: &Arc<Keepers>,
    ) -> Self {
        clock.restart();
        let mut body = Self { received, reading: None };
        let reading = Reading { lease, clock, _passes: passes };
        if body.received.is_end_stream() {
            reading.finish();
            return body;
        }
        reading.watch(keepers);
        body.reading = Some(reading);
        body
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let Self { received, reading: Some(reading) } = self else { return Poll::Ready(None) };
        let frame = match received.poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                let traffic = std::task::ready!(reading.drive(cx))?;
                match received.poll_frame(cx) {
                    Poll::Ready(frame) => frame,
                    Poll::Pending => {
                        let expired = std::task::ready!(reading.clock.poll_expired(cx, traffic));
                        return Poll::Ready(Some(Err(Error::timeout(Phase::Body).detail(expired.words()))));
                    }
                }
            }
        };
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
    /// Asks the keeper to end the exchange at its deadline even if nobody polls it.
    fn watch(&self, keepers: &Arc<Keepers>) {
        let (shell, runtime) = (self.lease.shell(), &self.lease.cell().key.runtime);
        if let Some(deadline) = self.clock.deadline() {
            self.lease.set_deadline(Some(deadline));
            keepers.look_by(shell, runtime, deadline, None);
        }
        if let Some(threshold) = keepers.threshold() {
            keepers.look_by(shell, runtime, std::time::Instant::now() + threshold, None);
        }
    }

    fn drive(&self, cx: &mut Context<'_>) -> Poll<Result<u64>> {
        self.lease.poll(cx, |connection, cx| {
            let _ended = connection.drive(cx);
            Poll::Ready(connection.traffic())
        })
    }

    /// Why the body broke off: taken away by a close or a deadline, or broken by the server.
    fn broken(&self, cause: crate::error::BoxError) -> Error {
        let taken = self.lease.with(|_| ()).err();
        taken.unwrap_or_else(|| {
            Error::new(Kind::Body)
                .at(Phase::Body)
                .detail("the response broke off or was malformed")
                .because(cause)
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
