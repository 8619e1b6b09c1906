//! HTTP/1.1 connection: one exchange at a time, driven by the task that holds the lease. It spawns
//! no task and passes nothing to another one.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{Method, Request, Response, Version};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;

use super::bell::Bell;
use super::engine::{Engine, Http1, PendingResponse};
use super::expect::WithheldBody;
use super::socket::{ConnectionHandle, MeteredStream, Probe, Socket, Stream};
use crate::body::Body;
use crate::error::{BoxError, Error, Kind, Phase, RequestSent, Result};
use crate::stats::CloseReason;

/// An established HTTP/1.1 connection.
pub(crate) struct Connection {
    engine: Engine,
    bell: Bell,
    /// Response of the current exchange, until its head has arrived.
    pending: Option<PendingResponse>,
    /// Failure of an exchange that could not start.
    refused: Option<Box<ExchangeFailure>>,
    socket: Arc<Socket>,
    settings: Http1,
    /// Bytes written to the socket before the current exchange.
    written_before: u64,
    /// Bytes read from the socket before the current exchange.
    read_before: u64,
    /// The server's `Keep-Alive: timeout`, less a second for the transit.
    keep_alive: Option<Duration>,
    persistent: bool,
    /// True if the server's last response was HTTP/1.0.
    http10: bool,
    incomplete: bool,
    /// True if the current request has a body that must still be sent to its end.
    uploading: bool,
    /// A complete response that arrived before the request was sent.
    early: Option<Box<Response<Incoming>>>,
    /// Body of the current request, while it waits for a 100 response.
    withheld: Option<WithheldBody>,
    /// Body of the current request, if the server rejected it unread.
    unsent: Option<Body>,
    /// Failure of the request's body after the head of the response.
    upload_failure: Option<Error>,
}

/// Failure of an exchange before the head of its response. `sent` and `unsent` decide whether the
/// request may be sent again.
#[derive(Debug)]
pub(crate) struct ExchangeFailure {
    pub(crate) error: Error,
    /// The request's body, if no byte of the request was written to the socket.
    pub(crate) unsent: Option<Body>,
    pub(crate) sent: RequestSent,
}

impl Connection {
    pub(crate) fn open(stream: Stream, socket: Arc<Socket>, settings: Http1) -> Result<Self> {
        let bell = Bell::new();
        let started = Engine::start(MeteredStream::new(stream, socket.clone()).read_by(bell.clone()), settings);
        let failed = |error: hyper::Error| Error::new(Kind::Connect).at(Phase::Connect).because(error);
        Ok(Self {
            engine: started.map_err(failed)?,
            bell,
            pending: None,
            refused: None,
            socket,
            settings,
            written_before: 0,
            read_before: 0,
            keep_alive: None,
            persistent: true,
            http10: false,
            incomplete: false,
            uploading: false,
            early: None,
            withheld: None,
            unsent: None,
            upload_failure: None,
        })
    }

    #[cfg(test)]
    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn peer(&self) -> std::net::SocketAddr {
        self.socket.peer()
    }

    pub(crate) fn handle(&self) -> ConnectionHandle {
        ConnectionHandle::new(&self.socket)
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.socket.is_retired()
    }

    /// Probes an idle connection without sending (P10). The kernel is asked first: it knows of a
    /// FIN, and of unsolicited bytes (a 408, a second response), before the runtime does.
    pub(crate) fn probe(&mut self) -> Probe {
        match self.socket.probe() {
            unusable @ (Probe::Dead | Probe::Retired) => unusable,
            // No wake-up is needed: the caller polls the connection again.
            probe if self.poll_idle(&mut Context::from_waker(Waker::noop())).is_pending() => probe,
            _ => Probe::Dead,
        }
    }

    /// Watches a connection that has been idle for a while, and releases its engine's buffers.
    /// Ready once the connection is unusable.
    pub(crate) fn poll_resting(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let unused = self.poll_idle(&mut Context::from_waker(Waker::noop())).is_pending();
        // Two engines stay: one that still has to send the rest of a request that was answered
        // early, and one that has learnt that the server speaks HTTP/1.0.
        if unused && self.socket.is_flushed() && !self.http10 {
            self.engine.rest();
        }
        self.poll_idle(cx)
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.drive(cx).is_pending() && self.engine.is_ready() {
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Begins an exchange; [`poll_answer`](Self::poll_answer) drives it.
    pub(crate) fn send(&mut self, mut request: Request<Body>) {
        let has_body = !request.body().is_end_stream();
        let unknown_length = has_body && request.body().size_hint().exact().is_none();
        if unknown_length && self.http10 {
            self.refused = Some(Box::new(length_required()));
            return;
        }
        self.written_before = self.socket.written();
        self.read_before = self.socket.read();
        self.keep_alive = None;
        self.incomplete = true;
        self.persistent =
            !request.headers().iter().any(|(name, value)| name == CONNECTION && has_option(value, "close"));
        self.uploading = has_body;
        if unknown_length {
            announce_chunked(&mut request);
        }
        if has_body {
            self.withheld = WithheldBody::withhold(&mut request);
        }
        self.bell.hush();
        self.engine.wake(self.settings);
        match self.engine.send(request) {
            Ok(pending) => self.pending = Some(pending),
            Err(request) => self.refused = Some(Box::new(self.connection_ended(*request))),
        }
    }

    /// Drives the exchange until the head of the response has arrived. If the response has no body,
    /// also until the request is sent.
    pub(crate) fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<Received>, ExchangeFailure>> {
        let _ended = self.drive(cx);
        if self.early.is_some() {
            return self.poll_early(cx);
        }
        let Some(pending) = &mut self.pending else {
            return self.refused.take().map_or(Poll::Pending, |failure| Poll::Ready(Err(*failure)));
        };
        let outcome = ready!(pending.as_mut().poll(&mut Context::from_waker(Waker::noop())));
        self.pending = None;
        match outcome {
            Ok(response) => {
                self.record_head(&response);
                if response.body().is_end_stream() && !self.has_sent() {
                    self.early = Some(Box::new(response));
                    return self.poll_early(cx);
                }
                Poll::Ready(Ok(self.received(response)))
            }
            Err(failed) => Poll::Ready(Err(self.failure(failed))),
        }
    }

    fn poll_early(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<Received>, ExchangeFailure>> {
        let sent = ready!(self.poll_sent(cx));
        let Some(response) = self.early.take() else { return Poll::Pending };
        let failure = |error: Error| ExchangeFailure {
            error: error.sent(RequestSent::Yes),
            unsent: None,
            sent: RequestSent::Yes,
        };
        Poll::Ready(sent.map(|()| self.received(*response)).map_err(failure))
    }

    /// Drives the rest of the upload after the response has ended; before that the engine cannot
    /// tell the two apart. Ready once nothing is left to send.
    ///
    /// "A client that receives a response while it is still sending the associated request SHOULD
    /// continue sending that request" (RFC 9110 section 7.5), unless the response indicates that
    /// the server does not need the rest.
    pub(crate) fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let sent = self.has_sent() || self.drive(cx).is_ready() || self.has_sent();
        // With bytes left behind the response the engine stops reading, and does not notice a
        // reset.
        if !sent && !self.socket.is_write_reset() {
            return Poll::Pending;
        }
        self.uploading = false;
        Poll::Ready(self.upload_failure.take().map_or(Ok(()), Err))
    }

    /// True if the request is sent, as of the last poll: the engine accepts another request once it
    /// has written this one, and the flush shows that TLS holds none of it.
    pub(crate) fn has_sent(&mut self) -> bool {
        !self.uploading || self.engine.is_ready() && self.socket.is_flushed()
    }

    /// True if a part of the request may be unsent although the response has begun.
    pub(crate) fn is_uploading(&self) -> bool {
        self.uploading
    }

    fn received(&self, response: Response<Incoming>) -> Response<Received> {
        response.map(|body| Received { body, bell: self.bell.clone() })
    }

    fn failure(&mut self, mut failed: TrySendError<Request<Body>>) -> ExchangeFailure {
        let withheld = self.withheld.take().and_then(|body| body.withdraw());
        let unsent = failed.take_message().map(|request| withheld.unwrap_or(request.into_body()));
        let sent = if unsent.is_some() { RequestSent::No } else { self.sent() };
        let error = describe(failed.into_error()).at(Phase::Response).sent(sent);
        ExchangeFailure { error, unsent, sent }
    }

    fn connection_ended(&mut self, request: Request<Body>) -> ExchangeFailure {
        let withheld = self.withheld.take().and_then(|body| body.withdraw());
        let unsent = Some(withheld.unwrap_or(request.into_body()));
        let error = Error::new(Kind::Exchange).at(Phase::Response).detail("the connection had ended");
        ExchangeFailure { error, unsent, sent: RequestSent::No }
    }

    /// Progress of the current request, judged by the bytes that passed.
    pub(crate) fn sent(&self) -> RequestSent {
        match (self.socket.written() == self.written_before, self.socket.read() == self.read_before) {
            // Without a written byte, read bytes are no response.
            (true, _) => RequestSent::No,
            (false, true) => RequestSent::Maybe,
            (false, false) => RequestSent::Yes,
        }
    }

    /// Drives the exchange until the next frame of the response's body.
    pub(crate) fn poll_frame(
        &mut self,
        received: &mut Received,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let _ended = self.drive(cx);
        received.poll_frame()
    }

    /// Drives the connection. Ready once it has ended.
    fn drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.bell.rings_for(cx.waker());
        let result = ready!(self.engine.drive(&mut Context::from_waker(&self.bell.waker)));
        // The pending response or body reports a failure of the connection. A failure of the
        // request's body after the head of the response is reported only here.
        if let Some(failure) = result.err().filter(hyper::Error::is_user) {
            self.upload_failure = Some(describe(failure));
        }
        Poll::Ready(())
    }

    fn record_head<B>(&mut self, response: &Response<B>) {
        self.http10 = response.version() != Version::HTTP_11;
        // An HTTP/1.0 connection persists only with the option `keep-alive` (RFC 9112 section 9.3).
        let (option, mut present) = (if self.http10 { "keep-alive" } else { "close" }, false);
        // One pass over all headers is faster than a lookup of each.
        for (name, value) in response.headers() {
            if name == CONNECTION {
                present |= has_option(value, option);
            } else if name == KEEP_ALIVE {
                self.keep_alive = self.keep_alive.or_else(|| keep_alive(value));
            }
        }
        let persists = present == self.http10;
        self.persistent &= persists;
        // An unsuccessful response, or one with `close`, means that the server does not need the
        // rest.
        self.uploading &= persists && response.status().is_success();
        self.unsent = self.withheld.take().and_then(|body| body.answered(response.status()));
    }

    /// Records that the body of the response was read to its end.
    pub(crate) fn completed(&mut self) {
        self.incomplete = false;
    }

    /// Takes the body of the request, if the server rejected it unread.
    pub(crate) fn take_unsent(&mut self) -> Option<Body> {
        self.unsent.take()
    }

    /// Takes the failure of the request's body after the head of the response.
    pub(crate) fn take_upload_failure(&mut self) -> Option<Error> {
        self.upload_failure.take()
    }

    /// Counter that changes with every byte in either direction.
    pub(crate) fn traffic(&self) -> u64 {
        self.socket.written().wrapping_add(self.socket.read())
    }

    /// Ends the exchange: the keep-alive hint if both sides are complete and the connection
    /// persists, else the reason to close it (P8).
    pub(crate) fn retire(&mut self) -> Result<Option<Duration>, CloseReason> {
        if self.incomplete {
            return Err(CloseReason::Incomplete);
        }
        if !self.persistent || self.socket.is_retired() {
            return Err(CloseReason::NotPersistent);
        }
        // The poll that returned the end of the body has usually left the engine ready. Another
        // poll would allocate a new read buffer while the reader still holds slices of the current
        // one.
        if self.engine.is_ready() || self.poll_idle(&mut Context::from_waker(Waker::noop())).is_pending() {
            Ok(self.keep_alive)
        } else if self.engine.is_over() {
            Err(CloseReason::PeerClosed)
        } else {
            // The response has ended, the request has not.
            Err(CloseReason::Incomplete)
        }
    }

    /// Closes the connection (TLS close_notify, FIN) without waiting for the peer.
    pub(crate) fn end(self) {
        // During an exchange a further poll would only continue the exchange.
        if !self.incomplete {
            self.engine.end();
        }
    }
}

/// Response body as the connection delivers it.
#[derive(Debug)]
pub(crate) struct Received {
    body: Incoming,
    bell: Bell,
}

impl Received {
    /// Returns what has already arrived. [`Connection::poll_frame`] waits for more.
    pub(crate) fn poll_arrived(&mut self) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.bell.hush();
        self.poll_frame()
    }

    fn poll_frame(&mut self) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        // The caller itself drives the connection, so no wake-up is needed.
        Pin::new(&mut self.body).poll_frame(&mut Context::from_waker(Waker::noop())).map_err(Into::into)
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// True if this `Connection` header contains the option (RFC 9112 section 9.6).
fn has_option(value: &HeaderValue, option: &str) -> bool {
    let mut options = value.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    options.any(|name| name.eq_ignore_ascii_case(option.as_bytes()))
}

/// Parses `Keep-Alive: timeout=n` (RFC 2068 section 19.7.1), less one second: the server counts
/// from its sending, the client from the arrival.
fn keep_alive(value: &HeaderValue) -> Option<Duration> {
    let seconds = value.to_str().ok()?.split(',').find_map(|part| {
        let (name, seconds) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("timeout").then(|| seconds.trim().parse::<u32>().ok())?
    })?;
    Some(Duration::from_secs(u64::from(seconds).saturating_sub(1)))
}

/// Announces a chunked body. For GET and HEAD the engine assumes no body and would omit it.
fn announce_chunked(request: &mut Request<Body>) {
    let bodyless = matches!(*request.method(), Method::GET | Method::HEAD);
    if bodyless && !request.headers().contains_key(CONTENT_LENGTH) {
        request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// Failure for a body of unknown length to an HTTP/1.0 server, which does not understand chunks
/// (RFC 9112 section 6.1). Another connection would fail alike, so the request is not replayed.
fn length_required() -> ExchangeFailure {
    let detail = "the server speaks HTTP/1.0, to which only a body of known length can be sent (Body::with_length)";
    let error = Error::new(Kind::Body).at(Phase::Response).detail(detail);
    ExchangeFailure { error, unsent: None, sent: RequestSent::No }
}

fn describe(error: hyper::Error) -> Error {
    let has_own_error = std::error::Error::source(&error).is_some_and(|cause| cause.is::<Error>());
    if error.is_user() && has_own_error {
        let detail = "the request's body could not be sent";
        return Error::new(Kind::Body).at(Phase::Response).detail(detail).because(error);
    }
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
    use super::*;

    #[test]
    fn p9_keep_alive_is_shortened_by_a_second() {
        let hint = |value| keep_alive(&HeaderValue::from_static(value));
        assert_eq!(hint("timeout=5, max=100"), Some(Duration::from_secs(4)));
        assert_eq!(hint("max=100, Timeout=1"), Some(Duration::ZERO));
        assert_eq!(hint("timeout=0"), Some(Duration::ZERO));
        for invalid in ["", "timeout", "timeout=", "timeout=-1", "timeout=99999999999", "max=3"] {
            assert_eq!(hint(invalid), None, "{invalid}");
        }
    }

    #[test]
    fn p8_connection_close_is_found_among_other_options() {
        for close in ["close", "Close", "keep-alive, close", "te,CLOSE "] {
            assert!(has_option(&HeaderValue::from_static(close), "close"), "{close}");
        }
        assert!(!has_option(&HeaderValue::from_static("keep-alive"), "close"));
    }
}
