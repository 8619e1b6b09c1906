//! Request of [`Pool::send`](super::Pool::send): sent as it is, with only a missing `Host` added.

use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use url::Url;

use super::outgoing::Outgoing;
use crate::body::Body;
use crate::connection::Target;
use crate::error::{Error, Result};
use crate::redact::redact_url;

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

/// URL of a URI with a scheme. Without one, `user:password@host` would read as a URL of the scheme
/// `user`, whose path a redaction keeps.
pub(super) fn absolute_url(uri: &Uri) -> Option<Url> {
    uri.scheme()?;
    Url::parse(&uri.to_string()).ok()
}

/// Target of an absolute URI.
fn target(uri: &Uri) -> Result<Target> {
    // A URI without a scheme is not shown: credentials may be anywhere in it.
    let wrong = || match absolute_url(uri) {
        Some(url) => Error::input(format!("{:?} is not an absolute http or https URI", redact_url(&url).as_str())),
        None => Error::input("the request's URI is not an absolute http or https URI"),
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

#[cfg(all(test, not(trunkline_loom)))]
mod tests {
    use crate::{Body, Pool, Timeouts};

    #[tokio::test]
    async fn a_refused_uri_is_named_without_its_secrets() {
        for (uri, named) in [
            ("ftp://ann:secret@example.com/a?token=secret", "ftp://example.com/a"),
            ("/a?token=secret", "the request's URI"),
            ("//ann:secret@example.com/a", "the request's URI"),
            ("ann:secret@example.com:80", "the request's URI"),
        ] {
            let request = http::Request::get(uri).body(Body::empty()).unwrap();
            let error = Pool::new().send(request, Timeouts::new()).await.unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
    }
}
