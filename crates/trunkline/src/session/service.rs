//! The session as a `tower` service, for those who put layers over it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Request;
use tower_service::Service;

use super::{DecodedBody, Session};
use crate::body::Body;
use crate::error::{Error, Result};

/// Always ready: see [above](Session#as-a-tower-service).
impl Service<Request<Body>> for Session {
    type Response = http::Response<DecodedBody>;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> ResponseFuture {
        ResponseFuture::new(self, request)
    }
}

/// The same, for a session that is borrowed.
impl Service<Request<Body>> for &Session {
    type Response = http::Response<DecodedBody>;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> ResponseFuture {
        ResponseFuture::new(self, request)
    }
}

/// The response to come of a request that was made of a [`Session`] as a [`tower`
/// service](Session#as-a-tower-service).
///
/// # Cancel safety
///
/// As [`RequestBuilder::send`](crate::RequestBuilder::send): dropped, the request gives up its
/// place in the queue or its connection.
#[must_use = "a request is sent when its future is awaited"]
pub struct ResponseFuture(Pin<Box<dyn Future<Output = Result<http::Response<DecodedBody>>> + Send>>);

impl ResponseFuture {
    fn new(session: &Session, request: Request<Body>) -> Self {
        let session = session.clone();
        Self(Box::pin(async move { session.execute(request).await.map(Into::into) }))
    }
}

impl Future for ResponseFuture {
    type Output = Result<http::Response<DecodedBody>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
