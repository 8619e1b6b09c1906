//! One HTTP/1.1 exchange at a time, driven by whoever holds the connection: nothing is spawned,
//! nothing crosses a task.

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
use super::engine::{Answer, Engine, Http1};
use super::expect::Held;
use super::socket::{ConnectionHandle, MeteredStream, Probe, Socket, Stream};
use crate::body::Body;
use crate::error::{BoxError, Error, Kind, Phase, RequestSent, Result};
use crate::stats::CloseReason;

/// An established connection.
pub(crate) struct Connection {
    engine: Engine,
    bell: Bell,
    /// What the current exchange waits for, until the head of the response has come.
    answer: Option<Answer>,
    /// Why there is nothing to wait for.
    refused: Option<Box<Failure>>,
    wire: Arc<Socket>,
    settings: Http1,
    /// The wire's counts when the current exchange began.
    written: u64,
    read: u64,
    /// What the server promised of an idle connection, less a second for the way.
    keep_alive: Option<Duration>,
    persistent: bool,
    /// The server speaks HTTP/1.0.
    old: bool,
    incomplete: bool,
    /// The current request has a body, and nothing has come that speaks against sending all of it.
    uploading: bool,
    /// An answer that is all there, while the request is not.
    early: Option<Box<Response<Incoming>>>,
    /// The body of the current request, while it waits for the server to want it.
    held: Option<Held>,
    /// The same, if the server does not want it.
    unsent: Option<Body>,
    /// Why it could not be sent, where the answer had begun already.
    upload_failure: Option<Error>,
}

/// Why an exchange failed before there was a response. What may be done about it depends on how far
/// it got.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// The request's body, if not a byte of the request was handed to the socket.
    pub(crate) unsent: Option<Body>,
    pub(crate) sent: RequestSent,
}

impl Connection {
    pub(crate) fn open(stream: Stream, wire: Arc<Socket>, settings: Http1) -> Result<Self> {
        let bell = Bell::new();
        let started = Engine::start(MeteredStream::new(stream, wire.clone()).read_by(bell.clone()), settings);
        let failed = |error: hyper::Error| Error::new(Kind::Connect).at(Phase::Connect).because(error);
        Ok(Self {
            engine: started.map_err(failed)?,
            bell,
            answer: None,
            refused: None,
            wire,
            settings,
            written: 0,
            read: 0,
            keep_alive: None,
            persistent: true,
            old: false,
            incomplete: false,
            uploading: false,
            early: None,
            held: None,
            unsent: None,
            upload_failure: None,
        })
    }

    #[cfg(test)]
    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn peer(&self) -> std::net::SocketAddr {
        self.wire.peer()
    }

    pub(crate) fn handle(&self) -> ConnectionHandle {
        ConnectionHandle::new(&self.wire)
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.wire.is_retired()
    }

    /// P10: is the connection still there, as far as can be known without sending? The kernel is
    /// asked first: it knows of a FIN, or of bytes that nobody asked for and that would be
    /// taken for the answer (a 408, a second answer), before the runtime does.
    pub(crate) fn probe(&mut self) -> Probe {
        match self.wire.probe() {
            bad @ (Probe::Dead | Probe::Retired) => bad,
            // Nobody is woken by this look: whoever goes on polls it again.
            probe if self.poll_idle(&mut Context::from_waker(Waker::noop())).is_pending() => probe,
            _ => Probe::Dead,
        }
    }

    /// Watches a connection that has been idle for a while, and is smaller from now on. Ready once
    /// it is good for nothing any more.
    pub(crate) fn poll_resting(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let unused = self.poll_idle(&mut Context::from_waker(Waker::noop())).is_pending();
        // A server that answers before it has read the request may still have to be sent the rest of it. To
        // one that speaks HTTP/1.0 the engine goes on as it has learnt to.
        if unused && self.wire.is_flushed() && !self.old {
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

    /// Begins an exchange: [`poll_answer`](Self::poll_answer) goes on with it.
    pub(crate) fn send(&mut self, mut request: Request<Body>) {
        let has_body = !request.body().is_end_stream();
        let unknown = has_body && request.body().size_hint().exact().is_none();
        if unknown && self.old {
            // Nothing is begun.
            self.refused = Some(Box::new(no_length()));
            return;
        }
        self.written = self.wire.written();
        self.read = self.wire.read();
        self.keep_alive = None;
        self.incomplete = true;
        self.persistent = !request.headers().iter().any(|(name, value)| name == CONNECTION && says(value, "close"));
        self.uploading = has_body;
        if unknown {
            announce_chunks(&mut request);
        }
        if has_body {
            self.held = Held::of(&mut request);
        }
        self.bell.hush();
        self.engine.wake(self.settings);
        match self.engine.send(request) {
            Ok(answer) => self.answer = Some(answer),
            Err(request) => self.refused = Some(Box::new(self.is_over(*request))),
        }
    }

    /// Moves the exchange on until the head of the response has come; and until the request has
    /// gone, if there is no more to come.
    pub(crate) fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<Received>, Failure>> {
        let _ended = self.drive(cx);
        if self.early.is_some() {
            return self.poll_early(cx);
        }
        let Some(answer) = &mut self.answer else {
            return self.refused.take().map_or(Poll::Pending, |failure| Poll::Ready(Err(*failure)));
        };
        let answered = ready!(answer.as_mut().poll(&mut Context::from_waker(Waker::noop())));
        self.answer = None;
        match answered {
            Ok(response) => {
                self.answered(&response);
                if response.body().is_end_stream() && !self.has_sent() {
                    self.early = Some(Box::new(response));
                    return self.poll_early(cx);
                }
                Poll::Ready(Ok(self.received(response)))
            }
            Err(failed) => Poll::Ready(Err(self.failure(failed))),
        }
    }

    fn poll_early(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<Received>, Failure>> {
        let sent = ready!(self.poll_sent(cx));
        let Some(response) = self.early.take() else { return Poll::Pending };
        let failure =
            |error: Error| Failure { error: error.sent(RequestSent::Yes), unsent: None, sent: RequestSent::Yes };
        Poll::Ready(sent.map(|()| self.received(*response)).map_err(failure))
    }

    /// "A client that receives a response while it is still sending the associated request SHOULD
    /// continue sending that request" (RFC 9110 section 7.5), unless the response speaks
    /// against it. Ready once there is nothing left to send. To be asked when the response
    /// has ended: before that the engine cannot tell.
    pub(crate) fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let sent = self.has_sent() || self.drive(cx).is_ready() || self.has_sent();
        // With more bytes behind the response the engine reads no further, and does not learn that the
        // server has gone.
        if !sent && !self.wire.is_refused() {
            return Poll::Pending;
        }
        self.uploading = false;
        Poll::Ready(self.upload_failure.take().map_or(Ok(()), Err))
    }

    /// The same, as far as the last look at the engine tells: it takes another request when it has
    /// handed this one over, to TLS perhaps.
    pub(crate) fn has_sent(&mut self) -> bool {
        !self.uploading || self.engine.is_ready() && self.wire.is_flushed()
    }

    /// May there be something left to send, although the response has begun?
    pub(crate) fn is_uploading(&self) -> bool {
        self.uploading
    }

    fn received(&self, response: Response<Incoming>) -> Response<Received> {
        response.map(|body| Received { body, bell: self.bell.clone() })
    }

    fn failure(&mut self, mut failed: TrySendError<Request<Body>>) -> Failure {
        let held = self.held.take().and_then(|held| held.withdraw());
        let unsent = failed.take_message().map(|request| held.unwrap_or(request.into_body()));
        let sent = if unsent.is_some() { RequestSent::No } else { self.sent() };
        let error = explain(failed.into_error()).at(Phase::Response).sent(sent);
        Failure { error, unsent, sent }
    }

    fn is_over(&mut self, request: Request<Body>) -> Failure {
        let held = self.held.take().and_then(|held| held.withdraw());
        let unsent = Some(held.unwrap_or(request.into_body()));
        let error = Error::new(Kind::Exchange).at(Phase::Response).detail("the connection had ended");
        Failure { error, unsent, sent: RequestSent::No }
    }

    /// How far the current exchange has got, for all that is known here.
    pub(crate) fn sent(&self) -> RequestSent {
        match (self.wire.written() == self.written, self.wire.read() == self.read) {
            // What came in answer to nothing is no answer.
            (true, _) => RequestSent::No,
            (false, true) => RequestSent::Maybe,
            (false, false) => RequestSent::Yes,
        }
    }

    /// Moves the exchange on until there is another piece of the response's body.
    pub(crate) fn poll_frame(
        &mut self,
        received: &mut Received,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let _ended = self.drive(cx);
        received.poll_frame()
    }

    /// Moves the exchange on. Ready once the connection has ended.
    fn drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.bell.rings_for(cx.waker());
        let result = ready!(self.engine.drive(&mut Context::from_waker(&self.bell.waker)));
        // What waits on it is told why, except for one thing: why the body of a request broke off that is
        // being answered.
        if let Some(failure) = result.err().filter(hyper::Error::is_user) {
            self.upload_failure = Some(explain(failure));
        }
        Poll::Ready(())
    }

    fn answered<B>(&mut self, response: &Response<B>) {
        self.old = response.version() != Version::HTTP_11;
        // RFC 9112 section 9.3: HTTP/1.0 persists only if it says so.
        let (option, mut said) = (if self.old { "keep-alive" } else { "close" }, false);
        // One walk over the few there are is quicker than a search for each.
        for (name, value) in response.headers() {
            if name == CONNECTION {
                said |= says(value, option);
            } else if name == KEEP_ALIVE {
                self.keep_alive = self.keep_alive.or_else(|| keep_alive(value));
            }
        }
        let persists = said == self.old;
        self.persistent &= persists;
        // Any other answer, or one after which it closes, says that it has no need of the rest.
        self.uploading &= persists && response.status().is_success();
        self.unsent = self.held.take().and_then(|held| held.answered(response.status()));
    }

    /// The body of the response was read to its end.
    pub(crate) fn completed(&mut self) {
        self.incomplete = false;
    }

    /// The body of the request, if the server has answered without wanting it.
    pub(crate) fn take_unsent(&mut self) -> Option<Body> {
        self.unsent.take()
    }

    /// Why the body of the request broke off after the head of the response had come, if it did.
    pub(crate) fn take_upload_failure(&mut self) -> Option<Error> {
        self.upload_failure.take()
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
        if !self.persistent || self.wire.is_retired() {
            return Err(CloseReason::NotPersistent);
        }
        // The poll that brought the end of the body has mostly left the engine ready. Another one would set
        // a new read buffer aside while the reader still holds what is in this one.
        if self.engine.is_ready() || self.poll_idle(&mut Context::from_waker(Waker::noop())).is_pending() {
            Ok(self.keep_alive)
        } else if self.engine.is_over() {
            Err(CloseReason::PeerClosed)
        } else {
            // The response has ended and the request has not.
            Err(CloseReason::Incomplete)
        }
    }

    /// Says goodbye (TLS close_notify, FIN) without waiting for an answer.
    pub(crate) fn end(self) {
        // In the middle of an exchange a further poll would only go on with it.
        if !self.incomplete {
            self.engine.end();
        }
    }
}

/// The body of a response as it comes off the connection.
#[derive(Debug)]
pub(crate) struct Received {
    body: Incoming,
    bell: Bell,
}

impl Received {
    /// What has come already. Whoever wants to wait for more asks the connection.
    pub(crate) fn poll_arrived(&mut self) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.bell.hush();
        self.poll_frame()
    }

    fn poll_frame(&mut self) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        // It comes from the driver: there is nobody to be woken for it.
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

/// RFC 9112 section 9.6: is the option among those of this `Connection` header?
fn says(value: &HeaderValue, option: &str) -> bool {
    let mut options = value.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    options.any(|given| given.eq_ignore_ascii_case(option.as_bytes()))
}

/// `Keep-Alive: timeout=n` (RFC 2068 section 19.7.1), less one second: the server counts from when
/// it sent, we from when it came.
fn keep_alive(value: &HeaderValue) -> Option<Duration> {
    let seconds = value.to_str().ok()?.split(',').find_map(|part| {
        let (name, seconds) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("timeout").then(|| seconds.trim().parse::<u32>().ok())?
    })?;
    Some(Duration::from_secs(u64::from(seconds).saturating_sub(1)))
}

/// The engine takes these two for requests without a body, and would leave it out.
fn announce_chunks(request: &mut Request<Body>) {
    let bare = matches!(*request.method(), Method::GET | Method::HEAD);
    if bare && !request.headers().contains_key(CONTENT_LENGTH) {
        request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// RFC 9112 section 6.1: chunks are only for a server that is not known to speak HTTP/1.0. The
/// engine would leave the body out. To send it over another connection would be no better, so it is
/// not replayed.
fn no_length() -> Failure {
    let detail = "the server speaks HTTP/1.0, to which only a body of known length can be sent (Body::with_length)";
    let error = Error::new(Kind::Body).at(Phase::Response).detail(detail);
    Failure { error, unsent: None, sent: RequestSent::No }
}

fn explain(error: hyper::Error) -> Error {
    if error.is_user()
        && let Some(told) = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<Error>())
    {
        let detail = format!("the request's body could not be sent: {}", told.told());
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
    fn p9_keep_alive_is_taken_less_a_second() {
        let hint = |value| keep_alive(&HeaderValue::from_static(value));
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
            assert!(says(&HeaderValue::from_static(close), "close"), "{close}");
        }
        assert!(!says(&HeaderValue::from_static("keep-alive"), "close"));
    }
}
