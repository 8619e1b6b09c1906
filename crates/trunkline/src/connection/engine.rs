//! hyper's engine on a connection's stream: running, or taken down while the connection rests.
//!
//! Its rules for being driven from outside: poll the driver before asking whether the sender is
//! ready; never poll a driver that has ended; drop an ended driver, for that resolves what waits on
//! it.
//!
//! A running engine holds some 25 KiB of buffers, whatever it is doing. A connection that nobody
//! uses needs none of them: its stream is watched as it is, and the next request has another engine
//! put over it, at the price of a few allocations.

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

/// What a server may send as the head of a response.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Http1 {
    pub(crate) max_headers: Option<usize>,
    pub(crate) max_header_size: Option<usize>,
}

pub(super) enum Engine {
    Running {
        sender: SendRequest<Body>,
        /// Boxed, so that a connection at rest is small.
        driver: Box<Driver>,
    },
    Resting(MeteredStream),
    Over,
}

type Driver = http1::Connection<TokioIo<MeteredStream>, Body>;

/// What a request is answered with: ready as soon as the driver has it, and so whoever drives need
/// not be woken for it. Unconstrained, for else tokio could put it off when a task has done much in
/// one turn. Boxed, as hyper does not name it.
pub(super) type Answer = Pin<Box<dyn Future<Output = Result<Response<Incoming>, TrySendError<Request<Body>>>> + Send>>;

/// What hyper's read buffer grows to when nothing is set.
const READ_BUFFER: usize = 8192 + 4096 * 100;

impl Engine {
    pub(super) fn start(stream: MeteredStream, settings: Http1) -> hyper::Result<Self> {
        let mut builder = http1::Builder::new();
        if let Some(count) = settings.max_headers {
            builder.max_headers(count);
        }
        if let Some(size) = settings.max_header_size {
            builder.max_header_size(size);
            // A head has to fit into the buffer it is read into.
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

    /// Begins an exchange. One that is not running gives the request back; boxed, for it is rare
    /// and large.
    pub(super) fn send(&mut self, request: Request<Body>) -> Result<Answer, Box<Request<Body>>> {
        match self {
            Self::Running { sender, .. } => Ok(Box::pin(unconstrained(sender.try_send_request(request)))),
            Self::Resting(_) | Self::Over => Err(Box::new(request)),
        }
    }

    /// Moves on what is under way, and notices if the other end closes. Ready once it is over.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        let result = match self {
            Self::Running { driver, .. } => ready!(Pin::new(driver).poll(cx)),
            Self::Resting(stream) => {
                // An end, an error, or what nobody has asked for. (Over TLS what is no data, such as tickets, is
                // taken in here.)
                let _ = ready!(Pin::new(&mut *stream).poll_read(cx, &mut ReadBuf::new(&mut [0])));
                let _ = Pin::new(stream).poll_shutdown(cx);
                Ok(())
            }
            Self::Over => Ok(()),
        };
        *self = Self::Over;
        Poll::Ready(result)
    }

    /// Would it take a request? Asked after it was driven, for that is what makes it ready.
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

    /// Gives back what only a request needs. For an engine that is ready, and has nothing left to
    /// write.
    pub(super) fn rest(&mut self) {
        *self = match std::mem::replace(self, Self::Over) {
            Self::Running { driver, .. } => {
                let parts = driver.into_parts();
                // What nobody has asked for is nobody's answer.
                if parts.read_buf.is_empty() { Self::Resting(parts.io.into_inner()) } else { Self::Over }
            }
            other => other,
        };
    }

    /// Makes one at rest run again.
    pub(super) fn wake(&mut self, settings: Http1) {
        if let Self::Resting(_) = self
            && let Self::Resting(stream) = std::mem::replace(self, Self::Over)
        {
            *self = Self::start(stream, settings).unwrap_or(Self::Over);
        }
    }

    /// Says goodbye (TLS close_notify, FIN) without waiting for an answer. Not in the middle of an
    /// exchange: it would only go on with that.
    pub(super) fn end(self) {
        let cx = &mut Context::from_waker(Waker::noop());
        match self {
            Self::Running { sender, mut driver } => {
                // Without a sender the driver shuts the stream down at its next poll.
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
