//! How many requests are under way, from the head that was read to the last byte of the answer.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use hyper::body::{Body, Frame, SizeHint};

/// The requests of all connections of a server.
#[derive(Clone, Debug, Default)]
pub(super) struct Total(Arc<AtomicUsize>);

impl Total {
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

/// The requests of one connection. Once it has had one, it counts for one as long as it exists:
/// when the body has been handed over, its bytes may still be on their way, and a connection that
/// exists at the end of a drain is there because of that.
#[derive(Debug)]
pub(super) struct Line {
    total: Total,
    under_way: AtomicUsize,
    asked: AtomicUsize,
}

impl Line {
    pub(super) fn new(total: Total) -> Arc<Self> {
        Arc::new(Self { total, under_way: AtomicUsize::new(0), asked: AtomicUsize::new(0) })
    }

    /// It has had a request.
    pub(super) fn was_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire) > 0
    }

    pub(super) fn request(self: &Arc<Self>) -> Request {
        let first = self.asked.swap(1, Ordering::AcqRel) == 0;
        let beside_others = self.under_way.fetch_add(1, Ordering::AcqRel) > 0;
        if first || beside_others {
            self.total.add();
        }
        Request(self.clone())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.was_asked() {
            self.total.subtract();
        }
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Request(Arc<Line>);

impl Drop for Request {
    fn drop(&mut self) {
        let beside_others = self.0.under_way.fetch_sub(1, Ordering::AcqRel) > 1;
        if beside_others {
            self.0.total.subtract();
        }
    }
}

/// The body of an answer; with it the request ends.
#[derive(Debug)]
pub(super) struct Counted<B> {
    pub(super) body: B,
    pub(super) _request: Request,
}

impl<B: Body + Unpin> Body for Counted<B> {
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
