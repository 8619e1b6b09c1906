//! Body of a response: holds the lease to its end, and returns the connection there.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::in_flight::InFlightGuard;
use super::key::Key;
use super::lease::Lease;
use crate::connection::{Connection, ConnectionHandle, Received};
use crate::error::{Error, Kind, Phase, RequestSent, Result};

/// Largest rest of a dropped body that is read to keep its connection, in bytes (P8).
const DRAIN: usize = 64 * 1024;

/// Body of a response, as its connection delivers it.
///
/// The connection returns to the pool when the body has been read to its end. A body that is
/// dropped earlier returns it only if the rest has already arrived and has at most 64 KiB;
/// otherwise the connection is closed.
///
/// # Cancel safety
///
/// A read that is dropped and begun again loses no data.
pub struct ResponseBody {
    received: Received,
    /// None after the end of the body or a failure.
    reading: Option<Reading>,
    connection: ConnectionInfo,
    handle: ConnectionHandle,
}

struct Reading {
    lease: Lease<Key, Connection>,
    /// Counts the request as under way.
    guard: Option<InFlightGuard>,
    upload: Upload,
}

/// Rest of the request's body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Upload {
    /// None, or the server does not want it.
    Done,
    /// Sent while the response is read.
    Beside,
    /// Left after the end of the response.
    Alone,
}

/// Origin of a response's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// True if it had served another request.
    pub reused: bool,
    /// Address of the server.
    pub peer: SocketAddr,
    /// Time that the request spent without a connection: in the queue, resolving and connecting.
    pub waited: Duration,
}

impl ResponseBody {
    pub(super) fn new(
        received: Received,
        lease: Lease<Key, Connection>,
        connection: ConnectionInfo,
        handle: ConnectionHandle,
        uploading: bool,
    ) -> Self {
        let upload = if uploading { Upload::Beside } else { Upload::Done };
        let mut body = Self { received, reading: Some(Reading { lease, guard: None, upload }), connection, handle };
        if body.received.is_end_stream() {
            body.finish();
        }
        body
    }

    /// Origin of its connection.
    pub fn connection(&self) -> &ConnectionInfo {
        &self.connection
    }

    /// Handle to its connection, which keeps the connection from serving further requests. It stays
    /// valid after the end of the body.
    ///
    /// ```no_run
    /// # use trunkline::{Body, Pool, Timeouts};
    /// # async fn run(pool: Pool, request: http::Request<Body>) -> trunkline::Result<()> {
    /// let response = pool.send(request, Timeouts::new()).await?;
    /// if response.status().is_server_error() {
    ///     response.body().connection_handle().retire();
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn connection_handle(&self) -> ConnectionHandle {
        self.handle.clone()
    }

    /// Counts the request as under way until the end of the body.
    pub(crate) fn hold(&mut self, guard: InFlightGuard) {
        if let Some(reading) = &mut self.reading {
            reading.guard = Some(guard);
        }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let Self { received, reading: Some(reading), .. } = self else { return Poll::Ready(None) };
        if reading.upload == Upload::Alone {
            return reading.poll_sent(cx);
        }
        let frame = match received.poll_arrived() {
            Poll::Ready(frame) => {
                // The reader has data: silence until the next poll is not the server's.
                reading.lease.slot().pause_silence();
                frame
            }
            Poll::Pending => {
                match ready!(reading.lease.poll(cx, |connection, cx| connection.poll_frame(received, cx))) {
                    Ok(frame) => frame,
                    Err(error) => return Poll::Ready(Some(Err(error.at(Phase::Body)))),
                }
            }
        };
        match frame {
            Some(frame) => Poll::Ready(Some(frame.map_err(|cause| reading.broken(cause)))),
            None => reading.poll_sent(cx),
        }
    }

    /// Returns the connection at the end of the body.
    fn finish(&mut self) {
        if let Some(Reading { lease, guard, .. }) = self.reading.take() {
            lease.end(Connection::completed);
            drop(guard);
        }
    }

    fn has_sent(&self) -> bool {
        self.reading.as_ref().is_none_or(Reading::has_sent)
    }

    /// Reads what has already arrived, without a wait. True if that was the rest of the body.
    fn drain(&mut self) -> bool {
        let cx = &mut Context::from_waker(Waker::noop());
        let mut drained = 0;
        while drained <= DRAIN {
            match self.poll_data(cx) {
                Poll::Ready(Some(Ok(_))) if self.received.is_end_stream() => return true,
                Poll::Ready(Some(Ok(frame))) => drained += frame.data_ref().map_or(0, Bytes::len),
                Poll::Ready(None) => return true,
                Poll::Ready(Some(Err(_))) | Poll::Pending => return false,
            }
        }
        false
    }
}

impl Reading {
    /// Sends the rest of the request's body after the end of the response: the reader sees the end
    /// only after that.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        if self.upload == Upload::Done {
            return Poll::Ready(None);
        }
        self.upload = Upload::Alone;
        let sent = ready!(self.lease.poll(cx, Connection::poll_sent)).and_then(|sent| sent);
        Poll::Ready(sent.err().map(|error| Err(error.at(Phase::Body))))
    }

    fn has_sent(&self) -> bool {
        self.upload == Upload::Done || self.lease.with(Connection::has_sent).unwrap_or(false)
    }

    /// Error of a body that broke off: taken away by a close or a limit, ended by a failure of the
    /// request's body, or broken by the server.
    fn broken(&self, cause: crate::error::BoxError) -> Error {
        let failure = self.lease.with(Connection::take_upload_failure).unwrap_or_else(Some);
        failure.map(|error| error.at(Phase::Body)).unwrap_or_else(|| {
            Error::new(Kind::Body).at(Phase::Body).detail("the response broke off or was malformed").because(cause)
        })
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let frame = ready!(self.poll_data(cx));
        match &frame {
            // With a known length the last frame is known: the connection returns without another
            // read.
            Some(Ok(_)) if self.received.is_end_stream() && self.has_sent() => self.finish(),
            Some(Ok(_)) => {}
            Some(Err(_)) => self.reading = None,
            None => self.finish(),
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
        let Some(reading) = &self.reading else { return };
        // The drain may poll the request's body, which may need its runtime. A response can be
        // dropped outside of it.
        let runtime = reading.lease.slot().key.runtime.handle().clone();
        let _inside = runtime.enter();
        if self.drain() {
            self.finish();
        }
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { received, reading, connection: _, handle: _ } = self;
        f.debug_struct("ResponseBody").field("ended", &reading.is_none()).field("size", &received.size_hint()).finish()
    }
}
