//! HTTP/1 engine of a connection: hyper's, dismantled while the connection is idle.
//!
//! Rules for driving hyper from outside: poll the driver before asking if the sender is ready;
//! never poll a driver that has ended; drop an ended driver, which resolves the futures that wait
//! for it.
//!
//! A running engine holds about 25 KiB of buffers at all times. An idle connection needs none of
//! them: its stream is watched directly, and the next request gets a new engine for the price of a
//! few allocations.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::coop::unconstrained;

use super::socket::MeteredStream;
use crate::body::Body;

/// Limits on the head of a response.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Http1 {
    pub(crate) max_headers: Option<usize>,
    pub(crate) max_header_size: Option<usize>,
}

pub(super) enum Engine {
    Running {
        sender: SendRequest<Body>,
        /// Boxed, so that an idle connection is small.
        driver: Box<Driver>,
    },
    Resting(MeteredStream),
    Over,
}

type Driver = http1::Connection<TokioIo<MeteredStream>, Body>;

/// Future of a response. It is ready as soon as the driver has received the head, so the driving
/// task needs no wake-up. Unconstrained, because tokio's budget could postpone it. Boxed, because
/// hyper does not name its type.
pub(super) type PendingResponse =
    Pin<Box<dyn Future<Output = Result<Response<Incoming>, TrySendError<Request<Body>>>> + Send>>;

/// hyper's default limit on its read buffer.
const READ_BUFFER: usize = 8192 + 4096 * 100;

impl Engine {
    pub(super) fn start(stream: MeteredStream, settings: Http1) -> hyper::Result<Self> {
        let mut builder = http1::Builder::new();
        if let Some(count) = settings.max_headers {
            builder.max_headers(count);
        }
        if let Some(size) = settings.max_header_size {
            builder.max_header_size(size);
            // The read buffer must hold the whole head.
            builder.max_buf_size(size.max(READ_BUFFER));
        }
        let handshake = pin!(builder.handshake(TokioIo::new(stream)));
        let Poll::Ready(started) = handshake.poll(&mut Context::from_waker(Waker::noop())) else {
            // HTTP/1 has nothing to exchange before the first request.
            return Ok(Self::Over);
        };
        let (sender, driver) = started?;
        Ok(Self::Running { sender, driver: Box::new(driver) })
    }

    /// Begins an exchange. An engine that is not running returns the request; boxed, because it is
    /// large and this is rare.
    pub(super) fn send(&mut self, request: Request<Body>) -> Result<PendingResponse, Box<Request<Body>>> {
        match self {
            Self::Running { sender, .. } => Ok(Box::pin(unconstrained(sender.try_send_request(request)))),
            Self::Resting(_) | Self::Over => Err(Box::new(request)),
        }
    }

    /// Drives the exchange, and detects a close by the peer. Ready once the connection has ended.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        let result = match self {
            Self::Running { driver, .. } => ready!(Pin::new(driver).poll(cx)),
            Self::Resting(stream) => {
                // An end, an error or unsolicited data. (Over TLS this read also consumes records
                // without data, such as session tickets.)
                let _ = ready!(Pin::new(&mut *stream).poll_read(cx, &mut ReadBuf::new(&mut [0])));
                let _ = Pin::new(stream).poll_shutdown(cx);
                Ok(())
            }
            Self::Over => Ok(()),
        };
        *self = Self::Over;
        Poll::Ready(result)
    }

    /// True if it accepts a request. Valid after a call of `drive`, which makes it ready.
    pub(super) fn is_ready(&self) -> bool {
        match self {
            Self::Running { sender, .. } => sender.is_ready(),
            Self::Resting(_) => true,
            Self::Over => false,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    /// Frees the buffers of an engine that is ready and has nothing left to write.
    pub(super) fn rest(&mut self) {
        *self = match std::mem::replace(self, Self::Over) {
            Self::Running { driver, .. } => {
                let parts = driver.into_parts();
                // Unsolicited bytes make the connection unusable.
                if parts.read_buf.is_empty() { Self::Resting(parts.io.into_inner()) } else { Self::Over }
            }
            other => other,
        };
    }

    /// Restarts a resting engine.
    pub(super) fn wake(&mut self, settings: Http1) {
        if let Self::Resting(_) = self
            && let Self::Resting(stream) = std::mem::replace(self, Self::Over)
        {
            *self = Self::start(stream, settings).unwrap_or(Self::Over);
        }
    }

    /// Closes the connection (TLS close_notify, FIN) without waiting for the peer. Must not be
    /// called during an exchange, which it would only continue.
    pub(super) fn end(self) {
        let cx = &mut Context::from_waker(Waker::noop());
        match self {
            Self::Running { sender, mut driver } => {
                // A driver without a sender shuts the stream down at its next poll.
                drop(sender);
                let _ = Pin::new(&mut driver).poll(cx);
            }
            Self::Resting(mut stream) => {
                let _ = Pin::new(&mut stream).poll_shutdown(cx);
            }
            Self::Over => {}
        }
    }
}

#[cfg(test)]
mod tests;
