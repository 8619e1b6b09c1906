//! Request for an exchange: its parts, its caller and its time, checked before a connection is
//! used.

use std::time::Instant;

use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body::Body as _;

use super::state::Owner;
use crate::body::Body;
use crate::connection::Target;
use crate::error::{Error, Result};
use crate::timeouts::{self, Timeouts};

/// Caller of an exchange, and its time limits.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    pub(crate) owner: Owner,
    /// True for a later exchange of a request that began before the pool was closed: it may finish.
    pub(crate) under_way: bool,
    pub(crate) begun: Instant,
    pub(crate) deadline: Option<Instant>,
    pub(crate) timeouts: Timeouts,
}

impl Call {
    pub(crate) fn new(owner: Owner, timeouts: Timeouts) -> Self {
        let begun = timeouts::now();
        let deadline = timeouts.total.and_then(|total| begun.checked_add(total));
        Self { owner, under_way: false, begun, deadline, timeouts }
    }

    /// Prepares another exchange of the same request.
    pub(crate) fn go_on(&mut self) {
        self.under_way = true;
        self.begin_now();
    }

    /// Begins the time to acquire a connection now.
    pub(crate) fn begin_now(&mut self) {
        self.begun = timeouts::now();
    }
}

/// Request that may be sent more than once.
pub(crate) trait Outgoing {
    fn target(&self) -> &Target;

    fn method(&self) -> &Method;

    /// The caller's headers.
    fn headers(&self) -> &HeaderMap;

    /// Head in wire form: with an origin-form target and a `Host`.
    fn head(&self) -> Request<()>;

    /// Body. It is taken when the request is sent, and put back if it was held back for a 100
    /// (Continue) and the server does not want it.
    fn body(&mut self) -> &mut Body;
}

/// Refuses requests that would break the connection's framing. The engine trusts the caller's
/// `Content-Length`: a longer body would be cut off, and a shorter one would leave the server
/// waiting.
pub(super) fn check(outgoing: &mut impl Outgoing) -> Result<()> {
    if *outgoing.method() == Method::CONNECT {
        return Err(Error::input(
            "the method CONNECT asks for a tunnel, which a session does not open: use another method",
        ));
    }
    if outgoing.headers().is_empty() {
        return Ok(());
    }
    if outgoing.headers().get_all(HOST).into_iter().count() > 1 {
        return Err(Error::input(
            "there is more than one host header, which servers refuse (RFC 9112 section 3.2): set one",
        ));
    }
    let parse = |value: &HeaderValue| value.to_str().ok().and_then(|text| text.parse().ok());
    let Some(length) = outgoing.body().size_hint().exact() else {
        let announced =
            outgoing.headers().get(CONTENT_LENGTH).map(|value| parse(value).ok_or_else(|| format!("{value:?}")));
        return match announced {
            Some(Err(value)) => {
                Err(Error::input(format!("the header content-length says {value}, which is no length")))
            }
            Some(Ok(length)) => {
                outgoing.body().announce(length);
                Ok(())
            }
            None => Ok(()),
        };
    };
    match outgoing.headers().get_all(CONTENT_LENGTH).into_iter().find(|value| parse(value) != Some(length)) {
        Some(wrong) => {
            Err(Error::input(format!("the header content-length says {wrong:?}, and the body has {length} bytes")))
        }
        None => Ok(()),
    }
}
