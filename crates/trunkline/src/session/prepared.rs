//! A request with everything that was set on it, ready for its next exchange.

use std::sync::Arc;
use std::time::Instant;

use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, RANGE,
};
use http::{Method, Request};
use http_body::Body as _;

use super::cookies;
use super::headers::{basic, percent_decoded};
use super::request_url::RequestUrl;
use crate::body::Body;
use crate::cookies::CookieJar;
use crate::error::Result;
use crate::pool::{Outgoing, Target};

pub(super) struct Prepared {
    pub(super) method: Method,
    pub(super) request_url: Arc<RequestUrl>,
    pub(super) headers: HeaderMap,
    /// True if the session's headers are added where the request has none of the name.
    pub(super) defaults: bool,
    pub(super) body: Body,
}

/// A request with the session's headers and cookies, as it is sent.
pub(super) struct OutgoingRequest<'a> {
    pub(super) request: &'a mut Prepared,
    pub(super) defaults: &'a HeaderMap,
    pub(super) jar: &'a CookieJar,
    /// Offered content codings, unless a header sets them.
    pub(super) codings: Option<&'a HeaderValue>,
}

impl Prepared {
    /// Credentials in the address become a header, unless one is set, and are never sent as part of
    /// the address.
    pub(super) fn take_credentials(&mut self, defaults: &HeaderMap) -> Result<()> {
        let Self { request_url, headers, .. } = self;
        if !request_url.has_credentials {
            return Ok(());
        }
        let mut url = request_url.url.clone();
        let set = headers.contains_key(AUTHORIZATION) || self.defaults && defaults.contains_key(AUTHORIZATION);
        if !set {
            let (username, password) = (percent_decoded(url.username()), url.password().map(percent_decoded));
            headers.insert(AUTHORIZATION, basic(&username, &password.unwrap_or_default()));
        }
        // Both fail only for addresses that cannot carry credentials in the first place.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        *request_url = RequestUrl::new(url)?;
        Ok(())
    }
}

impl Prepared {
    /// Measures files to be sent. An empty body expects no 100 (Continue).
    pub(super) async fn measure_by(&mut self, deadline: Option<Instant>) -> Result<()> {
        let measured = self.body.measure_by(deadline).await;
        measured.map_err(|error| error.of(&self.method, &self.request_url.url))?;
        if self.body.is_end_stream() {
            self.headers.remove(EXPECT);
        }
        Ok(())
    }
}

impl OutgoingRequest<'_> {
    /// Every header that was set, for this request or for its session, and what is to be asked for.
    /// The jar's cookies belong to one hop and are not among them.
    pub(super) fn all_headers(&self) -> HeaderMap {
        self.completed().0
    }

    fn completed(&self) -> (HeaderMap, PresentHeaders) {
        /// As many as a small answer has: hyper takes the map for the headers of the response.
        const ROOM: usize = 6;
        let given = &self.request.headers;
        let mut headers = if given.is_empty() { HeaderMap::with_capacity(ROOM) } else { given.clone() };
        let mut present = PresentHeaders::default();
        given.keys().for_each(|name| present.note(name));
        if self.request.defaults {
            for (name, value) in self.defaults.iter().filter(|(name, _)| given.is_empty() || !given.contains_key(*name))
            {
                present.note(name);
                headers.append(name.clone(), value.clone());
            }
        }
        if let Some(codings) = self.codings.filter(|_| !present.codings) {
            // A range is counted in coded bytes: who wants one gets it uncoded, as the Fetch
            // standard has it.
            let accepted = if present.range { HeaderValue::from_static("identity") } else { codings.clone() };
            headers.append(ACCEPT_ENCODING, accepted);
        }
        (headers, present)
    }
}

/// The headers of the request that are completed here. Recorded in one pass, which is faster than a
/// search for each.
#[derive(Default)]
struct PresentHeaders {
    codings: bool,
    range: bool,
    host: bool,
}

impl PresentHeaders {
    fn note(&mut self, name: &HeaderName) {
        self.codings |= name == ACCEPT_ENCODING;
        self.range |= name == RANGE;
        self.host |= name == HOST;
    }
}

impl Outgoing for OutgoingRequest<'_> {
    fn target(&self) -> &Target {
        &self.request.request_url.target
    }

    fn method(&self) -> &Method {
        &self.request.method
    }

    fn headers(&self) -> &HeaderMap {
        &self.request.headers
    }

    fn head(&self) -> Request<()> {
        let Prepared { method, request_url, body, .. } = &*self.request;
        let mut head = Request::new(());
        *head.method_mut() = method.clone();
        *head.uri_mut() = request_url.path.clone();
        let (headers, present) = self.completed();
        *head.headers_mut() = headers;
        let headers = head.headers_mut();
        cookies::add(self.jar, &request_url.url, headers);
        if !present.host {
            headers.append(HOST, request_url.host.clone());
        }
        // RFC 9110 section 8.6: where a body is expected, none is announced too; some servers
        // insist.
        if body.is_end_stream() && [Method::POST, Method::PUT, Method::PATCH].contains(method) {
            headers.entry(CONTENT_LENGTH).or_insert(HeaderValue::from_static("0"));
        }
        head
    }

    fn body(&mut self) -> &mut Body {
        &mut self.request.body
    }
}
