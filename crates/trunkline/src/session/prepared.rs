//! A request with everything that was set on it, ready for its next exchange.

use std::sync::Arc;

use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, HeaderMap, HeaderValue};
use http::{Method, Request};
use http_body::Body as _;

use super::address::Address;
use super::headers::{basic, percent_decoded};
use crate::body::Body;
use crate::error::Result;
use crate::pool::Outgoing;

pub(super) struct Prepared {
    pub(super) method: Method,
    pub(super) address: Arc<Address>,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

impl Prepared {
    /// The session's headers, where the request has none of the name.
    pub(super) fn add_defaults(&mut self, defaults: &HeaderMap) {
        if self.headers.is_empty() {
            self.headers.clone_from(defaults);
            return;
        }
        for (name, value) in defaults {
            if !self.headers.contains_key(name) {
                self.headers.insert(name, value.clone());
            }
        }
    }

    /// Credentials in the address become a header, unless one is set, and are never sent as part of the address.
    pub(super) fn take_credentials(&mut self) -> Result<()> {
        let Self { address, headers, .. } = self;
        if address.url.username().is_empty() && address.url.password().is_none() {
            return Ok(());
        }
        let mut url = address.url.clone();
        if !headers.contains_key(AUTHORIZATION) {
            let (username, password) = (percent_decoded(url.username()), url.password().map(percent_decoded));
            headers.insert(AUTHORIZATION, basic(&username, &password.unwrap_or_default()));
        }
        // Both fail only for addresses that cannot carry credentials in the first place.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        *address = Address::new(url)?;
        Ok(())
    }

    /// What goes over the wire, and what it was made of.
    pub(super) fn outgoing(self) -> (Method, Arc<Address>, Outgoing) {
        let Self { method, address, headers, body } = self;
        let mut request = Request::new(());
        *request.method_mut() = method.clone();
        *request.uri_mut() = address.path.clone();
        *request.headers_mut() = headers;
        let headers = request.headers_mut();
        headers.entry(HOST).or_insert_with(|| address.host.clone());
        // RFC 9110 section 8.6: where a body is expected, none is announced too; some servers insist.
        if body.is_end_stream() && [Method::POST, Method::PUT, Method::PATCH].contains(&method) {
            headers.entry(CONTENT_LENGTH).or_insert(HeaderValue::from_static("0"));
        }
        let (head, ()) = request.into_parts();
        (method, address, Outgoing { head, body })
    }
}
