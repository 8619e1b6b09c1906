//! The main loop of a request: deadline → exchange → redirect, until there is an answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, HeaderMap, HeaderValue};
use http::{Method, Request};
use http_body::Body as _;
use http_body_util::BodyExt;
use tracing::Instrument as _;

use super::address::Address;
use super::redirect;
use super::request::basic;
use super::response::{Hop, Response};
use super::{Inner, Settings};
use crate::body::Body;
use crate::error::{Error, Result, redacted};
use crate::pool::{Call, Outgoing, Passes, ResponseBody};
use crate::timeouts::Timeouts;

/// A request with everything that was set on it.
pub(super) struct Prepared {
    pub(super) method: Method,
    pub(super) address: Arc<Address>,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

pub(super) async fn run(session: &Arc<Inner>, settings: Settings, request: Prepared) -> Result<Response> {
    let span = tracing::debug_span!(
        target: "trunkline::session",
        "request",
        method = %request.method,
        host = %request.address.target,
        path = request.address.url.path(),
    );
    if span.is_disabled() {
        return hops(session, settings, request).await;
    }
    // Boxed: wrapping it would move it, and it is large.
    Box::pin(hops(session, settings, request)).instrument(span).await
}

async fn hops(session: &Arc<Inner>, settings: Settings, mut request: Prepared) -> Result<Response> {
    let passes = enter(session).map_err(|error| error.of(&request.method, &request.address.url))?;
    let timeouts = settings.timeouts.or(session.settings.timeouts).or(Timeouts::DEFAULT);
    let deadline = timeouts.total.and_then(|total| Instant::now().checked_add(total));
    let call = Call { owner: session.owner, deadline, timeouts };
    add_defaults(&mut request.headers, &session.headers);
    let mut history = Vec::new();
    loop {
        take_credentials(&mut request)?;
        let Prepared { method, address, headers, body } = request;
        let again = body.try_clone();
        let here = |error: Error| error.of(&method, &address.url);
        let mut outgoing = outgoing(&method, &address, headers, body);
        let mut response = session.pool.0.exchange(&mut outgoing, &address.target, &call).await.map_err(here)?;
        let next = if settings.max_redirects == 0 {
            None
        } else {
            redirect::next(&method, &address.url, outgoing.head.headers, &response, again).map_err(here)?
        };
        let Some(next) = next else {
            response.body_mut().hold(passes);
            let response = Response::new(response, method, address, history, settings.max_body_size);
            return if settings.error_for_status { response.error_for_status() } else { Ok(response) };
        };
        if history.len() == settings.max_redirects {
            return Err(here(redirect::too_many(settings.max_redirects, &next.address.url)));
        }
        tracing::debug!(target: "trunkline::session", status = %response.status(), to = %redacted(&next.address.url), "redirect");
        history.push(Hop { status: response.status(), url: address.url.clone() });
        Box::pin(finish(response.into_body())).await;
        request = next;
    }
}

/// The request counts as under way in its session and in its pool until its response has been read.
fn enter(session: &Inner) -> Result<Passes> {
    let own = session.gate.enter().ok_or_else(Error::closed)?;
    let pool = session.pool.0.gate().enter().ok_or_else(Error::closed)?;
    Ok(Passes { pool, session: Some(own) })
}

/// The session's headers, where the request has none of the name.
fn add_defaults(headers: &mut HeaderMap, defaults: &HeaderMap) {
    if headers.is_empty() {
        headers.clone_from(defaults);
        return;
    }
    for (name, value) in defaults {
        if !headers.contains_key(name) {
            headers.insert(name, value.clone());
        }
    }
}

/// Credentials in the address become a header, unless one is set, and are never sent as part of the address.
fn take_credentials(request: &mut Prepared) -> Result<()> {
    let Prepared { address, headers, .. } = request;
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

fn percent_decoded(text: &str) -> String {
    // The rules of a form differ from those of an address in `+` alone.
    let as_form = format!("x={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(as_form.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

fn outgoing(method: &Method, address: &Address, headers: HeaderMap, body: Body) -> Outgoing {
    let mut request = Request::new(());
    *request.method_mut() = method.clone();
    *request.uri_mut() = address.path.clone();
    *request.headers_mut() = headers;
    let headers = request.headers_mut();
    headers.entry(HOST).or_insert_with(|| address.host.clone());
    // RFC 9110 section 8.6: where a body is expected, none is announced too; some servers insist.
    if body.is_end_stream() && [Method::POST, Method::PUT, Method::PATCH].contains(method) {
        headers.entry(CONTENT_LENGTH).or_insert(HeaderValue::from_static("0"));
    }
    let (head, ()) = request.into_parts();
    Outgoing { head, body }
}

/// A redirecting response's body is short: reading it keeps the connection for the next hop. A long or slow one is given up.
async fn finish(body: ResponseBody) {
    const PATIENCE: Duration = Duration::from_millis(250);
    let short = http_body_util::Limited::new(body, 64 * 1024);
    // Whatever becomes of it, the redirect is followed.
    let _ = tokio::time::timeout(PATIENCE, short.collect()).await;
}
