//! `Expect: 100-continue` (RFC 9110 section 10.1.1): holds the body of a request back until the
//! server accepts it.
//!
//! The engine sends a body as soon as the body yields data. The body it gets here yields no data
//! before a 100 response, a final status of success, or a second without a response ("a client that
//! sends a 100-continue expectation is not required to wait for any specific length of time"). Any
//! other final status withdraws the body: it is still complete and may be sent elsewhere.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{EXPECT, HeaderMap};
use http::{Request, StatusCode};
use http_body::{Frame, SizeHint};
use tokio::time::Sleep;

use crate::body::{Body, KnownError};
use crate::error::{BoxError, Error};

/// Time that a body waits for a 100 response: one second, as in curl.
const CONTINUE_TIMEOUT: Duration = Duration::from_secs(1);

/// Time that the body of a request with these headers may be held back. Read timeouts start after
/// it.
pub(crate) fn continue_timeout(headers: &HeaderMap) -> Duration {
    if is_expected(headers) { CONTINUE_TIMEOUT } else { Duration::ZERO }
}

fn is_expected(headers: &HeaderMap) -> bool {
    !headers.is_empty()
        && headers.get_all(EXPECT).into_iter().any(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// The connection's handle of a body that is held back.
#[derive(Clone)]
pub(super) struct WithheldBody(Arc<Shared>);

struct Shared {
    body: Mutex<Option<Body>>,
    accepted: AtomicBool,
}

impl WithheldBody {
    /// Holds the body of the request back if it expects a 100 response.
    pub(super) fn withhold(request: &mut Request<Body>) -> Option<Self> {
        if !is_expected(request.headers()) {
            return None;
        }
        let body = std::mem::take(request.body_mut());
        let length = http_body::Body::size_hint(&body);
        let shared = Arc::new(Shared { body: Mutex::new(Some(body)), accepted: AtomicBool::new(false) });
        let on_continue = shared.clone();
        // The body needs no wake-up: the poll that calls this closure polls the body again.
        hyper::ext::on_informational(request, move |response| {
            if response.status() == StatusCode::CONTINUE {
                on_continue.accepted.store(true, Ordering::Relaxed);
            }
        });
        *request.body_mut() = Body::wrap(GatedBody { shared: shared.clone(), length, timer: None, body: None });
        Some(Self(shared))
    }

    /// Handles the final status. Anything but success withdraws the body, which is returned if none
    /// of it was sent.
    pub(super) fn answered(&self, status: StatusCode) -> Option<Body> {
        if status.is_success() {
            self.0.accepted.store(true, Ordering::Relaxed);
            return None;
        }
        self.withdraw()
    }

    pub(super) fn withdraw(&self) -> Option<Body> {
        self.0.take()
    }
}

impl Shared {
    fn body(&self) -> MutexGuard<'_, Option<Body>> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Body> {
        self.body().take()
    }

    fn is_empty(&self) -> bool {
        self.body().is_none()
    }
}

/// The body that the engine gets in place of the withheld one.
struct GatedBody {
    shared: Arc<Shared>,
    length: SizeHint,
    timer: Option<Pin<Box<Sleep>>>,
    /// The real body, once it may be sent.
    body: Option<Body>,
}

impl http_body::Body for GatedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        loop {
            if let Some(body) = &mut self.body {
                let frame = ready!(Pin::new(body).poll_frame(cx));
                return Poll::Ready(frame.map(|frame| frame.map_err(keep_own_error)));
            }
            // Withdrawn: the connection will be closed, no wake-up is needed.
            if self.shared.is_empty() {
                return Poll::Pending;
            }
            if !self.shared.accepted.load(Ordering::Relaxed) {
                let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(CONTINUE_TIMEOUT)));
                ready!(timer.as_mut().poll(cx));
            }
            self.body = self.shared.take();
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_some_and(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| self.length, http_body::Body::size_hint)
    }
}

/// Marks an error of this crate, so that no other description replaces its own.
fn keep_own_error(error: BoxError) -> BoxError {
    error.downcast::<Error>().map_or_else(|other| other, |own| KnownError(*own).into())
}
