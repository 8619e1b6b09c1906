//! The body of a response: it holds the lease to its end, and gives the connection back there.

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

/// How much of a body that nobody reads is taken in to keep its connection (P8).
const DRAIN: usize = 64 * 1024;

/// The body of a response, as it comes off its connection.
///
/// The connection goes back to the pool when the body has been read to its end. A body that is
/// dropped earlier gives it back only if the rest has already arrived and is at most 64 KiB;
/// otherwise the connection is closed.
///
/// # Cancel safety
///
/// Nothing is lost when a read is given up and begun again.
pub struct ResponseBody {
    received: Received,
    /// Until the end of the body, or a failure.
    reading: Option<Reading>,
    connection: ConnectionInfo,
    handle: ConnectionHandle,
}

struct Reading {
    lease: Lease<Key, Connection>,
    /// The request is under way.
    pass: Option<InFlightGuard>,
    upload: Upload,
}

/// What there is left of the request's body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Upload {
    /// Nothing, or nothing that the server wants.
    Done,
    /// It may outlast the response.
    Beside,
    /// The response has ended, and it has not.
    Alone,
}

/// How a response's connection came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// It had served another request before.
    pub reused: bool,
    /// The server's address.
    pub peer: SocketAddr,
    /// How long the request was without a connection: waiting, resolving and connecting together.
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
        let mut body = Self { received, reading: Some(Reading { lease, pass: None, upload }), connection, handle };
        if body.received.is_end_stream() {
            body.finish();
        }
        body
    }

    /// How its connection came about.
    pub fn connection(&self) -> &ConnectionInfo {
        &self.connection
    }

    /// A handle to its connection, good also after the body has ended: to keep the connection from
    /// serving others.
    ///
    /// ```no_run
    /// # async fn run(pool: trunkline::Pool, request: http::Request<trunkline::Body>) -> trunkline::Result<()> {
    /// let response = pool.send(request, trunkline::Timeouts::new()).await?;
    /// if response.status().is_server_error() {
    ///     response.body().connection_handle().retire();
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn connection_handle(&self) -> ConnectionHandle {
        self.handle.clone()
    }

    /// The request counts as under way until the end of the body.
    pub(crate) fn hold(&mut self, pass: InFlightGuard) {
        if let Some(reading) = &mut self.reading {
            reading.pass = Some(pass);
        }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let Self { received, reading: Some(reading), .. } = self else { return Poll::Ready(None) };
        if reading.upload == Upload::Alone {
            return reading.poll_sent(cx);
        }
        let frame = match received.poll_arrived() {
            Poll::Ready(frame) => {
                // From here until the next poll, silence is the reader's.
                reading.lease.cell().rest();
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

    /// The end of the body has come: its connection is free.
    fn finish(&mut self) {
        if let Some(Reading { lease, pass, .. }) = self.reading.take() {
            lease.end(Connection::completed);
            drop(pass);
        }
    }

    fn has_sent(&self) -> bool {
        self.reading.as_ref().is_none_or(Reading::has_sent)
    }

    /// Takes in what has already arrived, without waiting. True if that was the rest.
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
    /// The response has ended. It has no end for its reader before the request has gone, if the
    /// server goes on taking it.
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

    /// Why the body broke off: taken away by a close or a deadline, given up because the request's
    /// body failed, or broken by the server.
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
            // With a length known, the last piece is known too: the connection need not wait for the reader to ask
            // again.
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
        // To go on may mean to poll the request's body, which may need its runtime; a response can be
        // dropped anywhere.
        let runtime = reading.lease.cell().key.runtime.handle().clone();
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
