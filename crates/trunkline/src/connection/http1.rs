//! One HTTP/1.1 exchange at a time, driven by whoever holds the connection: nothing is spawned, nothing crosses a task.
//!
//! The engine is hyper's. Its rules for being driven this way: poll the driver before asking whether the sender is ready; never
//! poll a driver that has ended; drop an ended driver, for that resolves what waits on it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONNECTION, HeaderMap, HeaderName};
use http::response::Parts;
use http::{Request, Response, Version};
use http_body::{Body as _, Frame, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

use super::wire::{Counted, Probe, Stream, Wire};
use crate::body::Body;
use crate::error::{BoxError, Error, Kind, Phase, Result};
use crate::stats::CloseReason;

/// What a server may send as the head of a response.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Http1 {
    pub(crate) max_headers: Option<usize>,
    pub(crate) max_header_size: Option<usize>,
}

/// What hyper's read buffer grows to when nothing is set.
const READ_BUFFER: usize = 8192 + 4096 * 100;

/// An established connection.
pub(crate) struct Connection {
    sender: SendRequest<Body>,
    /// None once it has ended.
    driver: Option<http1::Connection<TokioIo<Counted>, Body>>,
    wire: Arc<Wire>,
    /// The wire's counts when the current exchange began.
    written: u64,
    read: u64,
    /// What the server promised of an idle connection, less a second for the way.
    keep_alive: Option<Duration>,
    persistent: bool,
    incomplete: bool,
    /// When it last came back whole.
    retired: Option<Instant>,
}

/// To ask the kernel costs about a tenth of a small request. What comes within this time after an answer that nobody asked for can be
/// taken for the next one's: no request that cannot be sent again runs that risk.
const JUST_NOW: Duration = Duration::from_micros(100);

/// Why an exchange failed before there was a response.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// The request, if not a byte of it was handed to the socket.
    pub(crate) unsent: Option<Request<Body>>,
}

impl Connection {
    pub(crate) async fn open(stream: Stream, wire: Arc<Wire>, settings: Http1) -> Result<Self> {
        let mut builder = http1::Builder::new();
        if let Some(count) = settings.max_headers {
            builder.max_headers(count);
        }
        if let Some(size) = settings.max_header_size {
            builder.max_header_size(size);
            // A head has to fit into the buffer it is read into.
            builder.max_buf_size(size.max(READ_BUFFER));
        }
        let io = TokioIo::new(Counted::new(stream, wire.clone()));
        let failed = |error: hyper::Error| Error::new(Kind::Connect).at(Phase::Connect).because(error);
        let (sender, driver) = builder.handshake(io).await.map_err(failed)?;
        Ok(Self {
            sender,
            driver: Some(driver),
            wire,
            written: 0,
            read: 0,
            keep_alive: None,
            persistent: true,
            incomplete: false,
            retired: None,
        })
    }

    pub(crate) fn peer(&self) -> std::net::SocketAddr {
        self.wire.peer()
    }

    /// P10: is the connection still there, as far as can be known without sending? The kernel is asked first: it knows of a FIN, or
    /// of bytes that nobody asked for and that would be taken for the answer (a 408, a second answer), before the runtime does.
    /// What came back [`JUST_NOW`] was looked at then: a request that can be sent again takes it as it is.
    pub(crate) fn poll_alive(&mut self, cx: &mut Context<'_>, replayable: bool) -> Probe {
        if replayable && self.retired.is_some_and(|retired| retired.elapsed() < JUST_NOW) {
            return Probe::Alive;
        }
        match self.wire.probe() {
            Probe::Dead => Probe::Dead,
            probe if self.poll_idle(cx).is_pending() => probe,
            _ => Probe::Dead,
        }
    }

    /// Watches an idle connection. Ready once it is good for nothing any more.
    pub(crate) fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.drive(cx).is_pending() && matches!(self.sender.poll_ready(cx), Poll::Ready(Ok(()))) {
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Begins an exchange. The response comes while [`drive`](Self::drive) is polled.
    pub(crate) fn send(
        &mut self,
        request: Request<Body>,
    ) -> impl Future<Output = Result<Response<Received>, Failure>> + Send + use<> {
        self.written = self.wire.written();
        self.read = self.wire.read();
        self.keep_alive = None;
        self.incomplete = true;
        self.persistent = !says(request.headers(), "close");
        let sending = self.sender.try_send_request(request);
        async move {
            match sending.await {
                Ok(response) => Ok(response.map(Received)),
                Err(mut failed) => {
                    let unsent = failed.take_message();
                    Err(Failure { error: explain(failed.into_error()), unsent })
                }
            }
        }
    }

    /// Moves the exchange on. Ready once the connection has ended.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(driver) = &mut self.driver else { return Poll::Ready(()) };
        let ended = Pin::new(driver).poll(cx).is_ready();
        if ended {
            // What waits on it is told why; its own result says nothing more.
            self.driver = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// The head of the response has come.
    pub(crate) fn answered(&mut self, head: &Parts) {
        self.keep_alive = keep_alive(&head.headers);
        // RFC 9112 section 9.3: HTTP/1.0 persists only if it says so.
        self.persistent &= match head.version {
            Version::HTTP_11 => !says(&head.headers, "close"),
            _ => says(&head.headers, "keep-alive"),
        };
    }

    /// The body of the response was read to its end.
    pub(crate) fn completed(&mut self) {
        self.incomplete = false;
    }

    /// Has anything of the current request been handed to the socket?
    pub(crate) fn has_written(&self) -> bool {
        self.wire.written() != self.written
    }

    /// Has a byte come in answer to it?
    pub(crate) fn has_read(&self) -> bool {
        self.wire.read() != self.read
    }

    /// Changes whenever a byte passes in either direction.
    pub(crate) fn traffic(&self) -> u64 {
        self.wire.written().wrapping_add(self.wire.read())
    }

    /// P8: complete on both sides, and allowed to persist?
    pub(crate) fn retire(&mut self) -> Result<Option<Duration>, CloseReason> {
        if self.incomplete {
            return Err(CloseReason::Incomplete);
        }
        let cx = &mut Context::from_waker(Waker::noop());
        let ended = self.drive(cx).is_ready();
        if !self.persistent {
            Err(CloseReason::NotPersistent)
        } else if ended {
            Err(CloseReason::PeerClosed)
        } else if let Poll::Ready(Ok(())) = self.sender.poll_ready(cx) {
            self.retired = Some(Instant::now());
            Ok(self.keep_alive)
        } else {
            // The response has ended and the request has not.
            Err(CloseReason::Incomplete)
        }
    }

    /// Says goodbye (TLS close_notify, FIN) without waiting for an answer.
    pub(crate) fn end(self) {
        let Self { sender, driver, incomplete, .. } = self;
        drop(sender);
        // In the middle of an exchange a further poll would only go on with it.
        if let Some(mut driver) = driver.filter(|_| !incomplete) {
            // Without a sender the driver shuts the stream down at its next poll.
            let _ = Pin::new(&mut driver).poll(&mut Context::from_waker(Waker::noop()));
        }
    }
}

/// The body of a response as it comes off the connection.
#[derive(Debug)]
pub(crate) struct Received(hyper::body::Incoming);

impl Received {
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.0).poll_frame(cx).map_err(Into::into)
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// RFC 9112 section 9.6.
fn says(headers: &HeaderMap, option: &str) -> bool {
    let values = headers.get_all(CONNECTION).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|given| given.trim().eq_ignore_ascii_case(option))
}

/// `Keep-Alive: timeout=n` (RFC 2068 section 19.7.1), less one second: the server counts from when it sent, we from when it came.
fn keep_alive(headers: &HeaderMap) -> Option<Duration> {
    static KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
    let value = headers.get(&KEEP_ALIVE)?.to_str().ok()?;
    let seconds = value.split(',').find_map(|part| {
        let (name, seconds) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("timeout").then(|| seconds.trim().parse::<u32>().ok())?
    })?;
    Some(Duration::from_secs(u64::from(seconds).saturating_sub(1)))
}

fn explain(error: hyper::Error) -> Error {
    let kind = if error.is_user() { Kind::Body } else { Kind::Exchange };
    let detail = if error.is_parse() && error.to_string().contains("too large") {
        "the head of the response has more headers, or is larger, than this session accepts (max_headers, max_header_size)"
    } else if error.is_parse() {
        "the server did not answer in HTTP/1"
    } else if error.is_incomplete_message() {
        "the server closed the connection before its response was complete"
    } else if error.is_user() {
        "the request's body could not be read to its end"
    } else {
        "the connection broke"
    };
    Error::new(kind).at(Phase::Response).detail(detail).because(error)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn p9_keep_alive_is_taken_less_a_second() {
        let hint = |value| keep_alive(&headers("keep-alive", value));
        assert_eq!(hint("timeout=5, max=100"), Some(Duration::from_secs(4)));
        assert_eq!(hint("max=100, Timeout=1"), Some(Duration::ZERO));
        assert_eq!(hint("timeout=0"), Some(Duration::ZERO));
        for odd in ["", "timeout", "timeout=", "timeout=-1", "timeout=99999999999", "max=3"] {
            assert_eq!(hint(odd), None, "{odd}");
        }
    }

    #[test]
    fn p8_connection_close_is_found_among_other_options() {
        for close in ["close", "Close", "keep-alive, close", "te,CLOSE "] {
            assert!(says(&headers("connection", close), "close"), "{close}");
        }
        assert!(!says(&headers("connection", "keep-alive"), "close"));
        assert!(!says(&HeaderMap::new(), "close"));
    }
}
