//! A body that can be sent again because a function makes it anew.

use std::sync::Arc;
use std::task::{Context, Poll};

use http_body::{Body as _, SizeHint};

use super::source::{Measuring, Piece, Source};
use super::{Body, NotReplayable};

pub(super) struct Replayable {
    make: Arc<dyn Fn() -> Body + Send + Sync>,
    /// Made when it is first asked for.
    body: Option<Body>,
    /// The announced length of the first body: later ones are held to it.
    length: Option<u64>,
}

impl Replayable {
    pub(super) fn new(first: Body, make: impl Fn() -> Body + Send + Sync + 'static) -> Self {
        let length = first.size_hint().exact();
        Self { make: Arc::new(make), body: Some(first), length }
    }

    fn body(&mut self) -> &mut Body {
        self.body.get_or_insert_with(|| {
            let body = (self.make)();
            match self.length {
                Some(length) => body.with_length(length),
                None => body,
            }
        })
    }
}

impl Source for Replayable {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        std::pin::Pin::new(self.body()).poll_frame(cx)
    }

    fn has_ended(&self) -> bool {
        self.body.as_ref().is_some_and(Body::is_end_stream)
    }

    fn length(&self) -> SizeHint {
        match (&self.body, self.length) {
            (Some(body), _) => body.size_hint(),
            (None, Some(length)) => SizeHint::with_exact(length),
            (None, None) => SizeHint::new(),
        }
    }

    fn announce(&mut self, length: u64) {
        self.length = Some(length);
        if let Some(body) = self.body.take() {
            self.body = Some(body.with_length(length));
        }
    }

    fn again(&self) -> Result<Body, NotReplayable> {
        let another = Self { make: self.make.clone(), body: None, length: self.length };
        Ok(Body::from(Box::new(another)))
    }

    fn is_to_be_measured(&self) -> bool {
        self.body.as_ref().is_some_and(Body::is_to_be_measured)
    }

    fn measure(&mut self) -> Measuring<'_> {
        Box::pin(async {
            let body = self.body();
            Box::pin(body.measure()).await?;
            self.length = self.body().size_hint().exact();
            Ok(())
        })
    }

    fn what(&self) -> &'static str {
        "replayable body"
    }
}
