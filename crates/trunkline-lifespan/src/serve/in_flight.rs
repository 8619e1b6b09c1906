//! Requests in flight, from the head that was read to the last byte of the response.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use hyper::body::{Body, Frame, SizeHint};

/// The requests of all connections of a server.
#[derive(Clone, Debug, Default)]
pub(super) struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    pub(super) fn get(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    fn add(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    fn subtract(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The requests of one connection. After its first request the connection itself counts as one
/// request in flight until it is closed: the bytes of a body that was handed over may not be sent
/// yet, and a connection is open at the end of a drain for that reason only.
#[derive(Debug)]
pub(super) struct ConnectionRequests {
    total: InFlight,
    in_flight: AtomicUsize,
    requests: AtomicUsize,
}

impl ConnectionRequests {
    pub(super) fn new(total: InFlight) -> Arc<Self> {
        Arc::new(Self { total, in_flight: AtomicUsize::new(0), requests: AtomicUsize::new(0) })
    }

    /// True once the connection has had a request.
    pub(super) fn had_request(&self) -> bool {
        self.requests.load(Ordering::Acquire) > 0
    }

    pub(super) fn begin(self: &Arc<Self>) -> RequestGuard {
        let first = self.requests.swap(1, Ordering::AcqRel) == 0;
        let beside_others = self.in_flight.fetch_add(1, Ordering::AcqRel) > 0;
        if first || beside_others {
            self.total.add();
        }
        RequestGuard(self.clone())
    }
}

impl Drop for ConnectionRequests {
    fn drop(&mut self) {
        if self.had_request() {
            self.total.subtract();
        }
    }
}

/// A request in flight, until it is dropped.
#[derive(Debug)]
pub(super) struct RequestGuard(Arc<ConnectionRequests>);

impl Drop for RequestGuard {
    fn drop(&mut self) {
        let beside_others = self.0.in_flight.fetch_sub(1, Ordering::AcqRel) > 1;
        if beside_others {
            self.0.total.subtract();
        }
    }
}

/// The body of a response. Its drop ends the request.
#[derive(Debug)]
pub(super) struct CountedBody<B> {
    pub(super) body: B,
    pub(super) _request: RequestGuard,
}

impl<B: Body + Unpin> Body for CountedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
