//! Request of [`Pool::send`](super::Pool::send): sent as it is, with only a missing `Host` added.

use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Uri};

use super::outgoing::Outgoing;
use crate::body::Body;
use crate::connection::Target;
use crate::error::{Error, Result};

pub(super) struct RawRequest {
    target: Target,
    head: Parts,
    pub(super) body: Body,
}

impl RawRequest {
    /// # Errors
    ///
    /// A URI that is not an absolute `http` or `https` one.
    pub(super) fn new(head: Parts, body: Body) -> Result<Self> {
        let (target, head) = to_wire_form(head)?;
        Ok(Self { target, head, body })
    }
}

impl Outgoing for RawRequest {
    fn target(&self) -> &Target {
        &self.target
    }

    fn method(&self) -> &Method {
        &self.head.method
    }

    fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    fn head(&self) -> Request<()> {
        Request::from_parts(self.head.clone(), ())
    }

    fn body(&mut self) -> &mut Body {
        &mut self.body
    }
}

/// Target of an absolute URI.
fn target(uri: &Uri) -> Result<Target> {
    let wrong = || {
        // Credentials and query may be secret.
        let visible = uri.to_string();
        let visible = visible.split('?').next().unwrap_or_default();
        let visible = match (visible.split_once("://"), visible.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
            (None, Some((_, rest))) => rest.to_owned(),
            (_, None) => visible.to_owned(),
        };
        Error::input(format!("{visible:?} is not an absolute http or https URI"))
    };
    let https = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(wrong()),
    };
    let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
    let host =
        if host.bytes().any(|byte| byte.is_ascii_uppercase()) { host.to_ascii_lowercase().into() } else { host.into() };
    Ok(Target { https, host, port })
}

/// Head in wire form: with an origin-form target and the `Host` that HTTP/1.1 requires (RFC 9112
/// sections 3.2 and 3.2.1).
fn to_wire_form(mut head: Parts) -> Result<(Target, Parts)> {
    let target = target(&head.uri)?;
    if !head.headers.contains_key(HOST) {
        let authority = head.uri.authority().map_or("", |authority| authority.as_str());
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let host = HeaderValue::from_str(host)
            .map_err(|error| Error::input(format!("{target} is not a host name")).because(error))?;
        head.headers.insert(HOST, host);
    }
    head.uri = head.uri.path_and_query().map_or_else(|| Uri::from_static("/"), |path| path.clone().into());
    head.version = http::Version::HTTP_11;
    Ok((target, head))
}
