//! Redirects: target, method, body and headers of the next hop (RFC 9110 section 15.4, and the
//! Fetch standard where practice differs).

use std::fmt::{self, Write as _};
use std::sync::Arc;

use http::header::{
    AUTHORIZATION, COOKIE, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED, LOCATION, ORIGIN,
    PROXY_AUTHORIZATION, REFERER, TRAILER, TRANSFER_ENCODING,
};
use http::{Method, Response, StatusCode};
use url::Url;

use super::history::RedirectHop;
use super::prepared::{OutgoingRequest, Prepared};
use super::request_url::RequestUrl;
use crate::body::{Body, NotReplayable};
use crate::error::{Error, Kind, RequestSent, Result};
use crate::pool::ResponseBody;
use crate::redact::redact_url;

/// A redirect about to be followed, as a redirect policy sees it:
/// [`SessionBuilder::redirect_policy`](crate::SessionBuilder::redirect_policy).
pub struct RedirectAttempt<'a> {
    pub(super) status: StatusCode,
    pub(super) from: &'a Url,
    pub(super) method: &'a Method,
    pub(super) url: &'a Url,
    pub(super) history: &'a [RedirectHop],
}

impl RedirectAttempt<'_> {
    /// The status of the response that redirects.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The address that was asked and redirects.
    pub fn from(&self) -> &Url {
        self.from
    }

    /// The target. It may be a URL that a session cannot request, such as `myapp://callback`:
    /// following it is then an error.
    pub fn url(&self) -> &Url {
        self.url
    }

    /// The method it would be asked with.
    pub fn method(&self) -> &Method {
        self.method
    }

    /// The redirects that this request has followed already, first to last.
    pub fn history(&self) -> &[RedirectHop] {
        self.history
    }

    /// True if the target has another scheme, host or port. Then `authorization` and `cookie`
    /// headers set by hand are not sent there.
    pub fn is_cross_origin(&self) -> bool {
        self.from.origin() != self.url.origin()
    }
}

impl fmt::Debug for RedirectAttempt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedirectAttempt")
            .field("status", &self.status)
            .field("from", &redact_url(self.from).as_str())
            .field("method", self.method)
            .field("url", &redact_url(self.url).as_str())
            .field("history", &self.history)
            .finish()
    }
}

/// The policy's decision on a [`RedirectAttempt`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedirectAction {
    /// It is followed, if it can be and is within `max_redirects`.
    Follow,
    /// It is not followed: the redirecting response itself is returned.
    Stop,
    /// It is not followed: the request fails, with an error that
    /// [`is_redirect`](crate::Error::is_redirect) and shows this reason.
    Refuse(String),
}

impl RedirectAction {
    /// [`Refuse`](Self::Refuse), for this reason.
    pub fn refuse(reason: impl Into<String>) -> Self {
        Self::Refuse(reason.into())
    }
}

/// The caller's, shared by all requests.
pub(super) type Policy = Arc<dyn Fn(&RedirectAttempt<'_>) -> RedirectAction + Send + Sync>;

/// The request that the response to this one asks for, if it redirects and the policy has it
/// followed. `body` is the request's, or why it cannot be sent again; `history` are the redirects
/// before this one.
pub(super) fn next(
    outgoing: &OutgoingRequest<'_>,
    response: &Response<ResponseBody>,
    body: Result<Body, NotReplayable>,
    policy: Option<&Policy>,
    history: &[RedirectHop],
) -> Result<Option<Prepared>> {
    let status = response.status();
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = location(response.headers())? else { return Ok(None) };
    let request = &*outgoing.request;
    let from = &request.request_url.url;
    let mut url = resolve(from, &location)?;
    let method = method(status, &request.method);
    if !is_followed(&RedirectAttempt { status, from, method: &method, url: &url, history }, policy)? {
        return Ok(None);
    }
    check_scheme(&url)?;
    let mut headers = outgoing.all_headers();
    // A 303 is followed by a GET, or a HEAD after a HEAD (RFC 9110 section 15.4.4).
    let body = if method == request.method && status != StatusCode::SEE_OTHER {
        body.map_err(|not_replayable| refused(not_replayable.to_string()))?
    } else {
        remove_where(&mut headers, |name, _| describes_content(name));
        Body::empty()
    };
    match origin(&headers, from, &url) {
        // A method that changed became GET, with which browsers send no `Origin`.
        Some(_) if method != request.method => drop(headers.remove(ORIGIN)),
        Some(origin) => drop(headers.insert(ORIGIN, origin)),
        None => {}
    }
    if url.origin() != from.origin() {
        remove_secrets(&mut headers, &mut url);
    }
    if from.scheme() == "https" && url.scheme() == "http" {
        // RFC 9110 section 10.1.3. We set none, but the caller may have.
        headers.remove(REFERER);
    }
    Ok(Some(Prepared {
        method,
        request_url: RequestUrl::new(url)
            .map_err(|error| refused("its Location cannot be asked for").because(error))?,
        headers,
        // `headers` has the session's already, less those removed above.
        defaults: false,
        body,
    }))
}

/// The policy's say, before anything else that could stand in the way: it may stop at what cannot
/// be followed.
fn is_followed(redirect: &RedirectAttempt<'_>, policy: Option<&Policy>) -> Result<bool> {
    let Some(policy) = policy else { return Ok(true) };
    match policy(redirect) {
        RedirectAction::Follow => Ok(true),
        RedirectAction::Stop => Ok(false),
        RedirectAction::Refuse(why) => {
            Err(refused(format!("the redirect policy refuses {}: {why}", redact_url(redirect.url))))
        }
    }
}

/// The target in ASCII: other bytes are percent-encoded, whatever their charset.
fn location(headers: &HeaderMap) -> Result<Option<String>> {
    let mut given = headers.get_all(LOCATION).into_iter();
    let Some(location) = given.next() else { return Ok(None) };
    if given.any(|other| other != location) {
        return Err(refused("it has several Locations, which lead to different addresses"));
    }
    let mut text = String::with_capacity(location.len());
    for &byte in location.as_bytes() {
        if byte.is_ascii() {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    Ok(Some(text))
}

/// RFC 9110 section 15.4, and what goes with content that is not sent any more (sections 6.6.2 and
/// 10.1.1).
fn describes_content(name: &HeaderName) -> bool {
    name.as_str().starts_with("content-")
        || [TRANSFER_ENCODING, TRAILER, EXPECT, LAST_MODIFIED].contains(name)
        || ["digest", "repr-digest"].contains(&name.as_str())
}

/// Removes headers and credentials that another origin must not see.
fn remove_secrets(headers: &mut HeaderMap, url: &mut Url) {
    for secret in [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE, HOST] {
        headers.remove(secret);
    }
    // Headers that the caller marked as sensitive.
    remove_where(headers, |_, value| value.is_sensitive());
    // Both fail only for addresses that cannot carry credentials in the first place.
    let _ = url.set_username("");
    let _ = url.set_password(None);
}

fn remove_where(headers: &mut HeaderMap, unwanted: impl Fn(&HeaderName, &HeaderValue) -> bool) {
    let found = headers.iter().filter(|(name, value)| unwanted(name, value));
    let names: Vec<_> = found.map(|(name, _)| name.clone()).collect();
    for name in names {
        headers.remove(name);
    }
}

/// The `Origin` header of the next hop, if the caller set one (the Fetch standard, "HTTP-redirect
/// fetch" and "append a request `Origin` header"). It becomes `null` when another origin redirects
/// the request elsewhere, or when https leads to http.
fn origin(headers: &HeaderMap, from: &Url, to: &Url) -> Option<HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    let tainted = from.origin() != to.origin() && origin.as_bytes() != from.origin().ascii_serialization().as_bytes();
    let downgraded = from.scheme() == "https" && to.scheme() == "http";
    Some(if tainted || downgraded { HeaderValue::from_static("null") } else { origin.clone() })
}

/// 301 and 302 turn POST into GET, as browsers do; 303 turns everything but HEAD into it; 307 and
/// 308 change nothing.
fn method(status: StatusCode, method: &Method) -> Method {
    match (status, method) {
        (StatusCode::SEE_OTHER, method) if method != Method::HEAD => Method::GET,
        (StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND, &Method::POST) => Method::GET,
        (_, method) => method.clone(),
    }
}

fn resolve(from: &Url, location: &str) -> Result<Url> {
    let mut url = from.join(location).map_err(|error| refused("its Location is not an address").because(error))?;
    // RFC 9110 section 10.2.2.
    if url.fragment().is_none() {
        url.set_fragment(from.fragment());
    }
    Ok(url)
}

fn check_scheme(url: &Url) -> Result<()> {
    match url.scheme() {
        "http" | "https" => Ok(()),
        other => Err(refused(format!("it leads to {other}:, and only http and https are followed"))),
    }
}

pub(super) fn too_many(limit: usize, next: &Url) -> Error {
    let detail = format!("{limit} redirects were followed, and there is another to {}", redact_url(next));
    refused(detail).by_setting("max_redirects")
}

fn refused(detail: impl Into<String>) -> Error {
    Error::new(Kind::Redirect).sent(RequestSent::Yes).detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_method_follows_the_status() {
        for (status, from, to) in [
            (301, Method::POST, Method::GET),
            (302, Method::POST, Method::GET),
            (303, Method::POST, Method::GET),
            (303, Method::PUT, Method::GET),
            (303, Method::HEAD, Method::HEAD),
            (301, Method::PUT, Method::PUT),
            (302, Method::DELETE, Method::DELETE),
            (307, Method::POST, Method::POST),
            (308, Method::POST, Method::POST),
        ] {
            assert_eq!(method(StatusCode::from_u16(status).unwrap(), &from), to, "{status} {from}");
        }
    }

    #[test]
    fn a_location_is_relative_to_where_it_was_given() {
        let from = Url::parse("https://example.com/a/b?q#part").unwrap();
        for (location, to) in [
            ("c", "https://example.com/a/c#part"),
            ("/c?d", "https://example.com/c?d#part"),
            ("//other.example/x#y", "https://other.example/x#y"),
            ("?r", "https://example.com/a/b?r#part"),
            ("", "https://example.com/a/b?q#part"),
        ] {
            assert_eq!(resolve(&from, location).unwrap().as_str(), to, "{location}");
        }
        assert!(resolve(&from, "https://exa mple.com/").unwrap_err().is_redirect());
        for odd in ["ftp://example.com/", "javascript:alert(1)"] {
            assert!(check_scheme(&resolve(&from, odd).unwrap()).unwrap_err().is_redirect(), "{odd}");
        }
    }
}
