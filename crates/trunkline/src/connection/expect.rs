//! `Expect: 100-continue` (RFC 9110 section 10.1.1): the body of a request is held back until the
//! server wants it.
//!
//! The engine sends a body as soon as it has something to say. So the one it is given has nothing
//! to say until there is a 100, a final status of success, or a second of silence ("a client that
//! sends a 100-continue expectation is not required to wait for any specific length of time"). Any
//! other final status withdraws it: it is whole still, and may be sent elsewhere.

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

/// How long a body waits for a 100 that does not come: as long as curl's.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long the body of a request with these headers may be held back: until then, nobody's silence
/// counts.
pub(crate) fn patience(headers: &HeaderMap) -> Duration {
    if is_expected(headers) { PATIENCE } else { Duration::ZERO }
}

fn is_expected(headers: &HeaderMap) -> bool {
    !headers.is_empty()
        && headers.get_all(EXPECT).into_iter().any(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// A body that is held back, as the connection knows it.
#[derive(Clone)]
pub(super) struct Held(Arc<Shared>);

struct Shared {
    body: Mutex<Option<Body>>,
    wanted: AtomicBool,
}

impl Held {
    /// If the request expects a 100, its body is held back from now on.
    pub(super) fn of(request: &mut Request<Body>) -> Option<Self> {
        if !is_expected(request.headers()) {
            return None;
        }
        let body = std::mem::take(request.body_mut());
        let length = http_body::Body::size_hint(&body);
        let shared = Arc::new(Shared { body: Mutex::new(Some(body)), wanted: AtomicBool::new(false) });
        let informed = shared.clone();
        // The body needs no waking: it is polled again in the turn in which this is called.
        hyper::ext::on_informational(request, move |response| {
            if response.status() == StatusCode::CONTINUE {
                informed.wanted.store(true, Ordering::Relaxed);
            }
        });
        *request.body_mut() = Body::wrap(Gated { shared: shared.clone(), length, timer: None, body: None });
        Some(Self(shared))
    }

    /// The final status has come. Anything but success means that the body is not wanted: here it
    /// is, if it has not set out.
    pub(super) fn answered(&self, status: StatusCode) -> Option<Body> {
        if status.is_success() {
            self.0.wanted.store(true, Ordering::Relaxed);
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

/// The same body, as the engine knows it.
struct Gated {
    shared: Arc<Shared>,
    length: SizeHint,
    timer: Option<Pin<Box<Sleep>>>,
    /// Once it is on its way.
    body: Option<Body>,
}

impl http_body::Body for Gated {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        loop {
            if let Some(body) = &mut self.body {
                let piece = ready!(Pin::new(body).poll_frame(cx));
                return Poll::Ready(piece.map(|piece| piece.map_err(known)));
            }
            // Withdrawn: the connection is going to be closed, and there is nothing to wait for.
            if self.shared.is_empty() {
                return Poll::Pending;
            }
            if !self.shared.wanted.load(Ordering::Relaxed) {
                let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(PATIENCE)));
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

/// What failed has said so already.
fn known(error: BoxError) -> BoxError {
    error.downcast::<Error>().map_or_else(|other| other, |own| KnownError(*own).into())
}
