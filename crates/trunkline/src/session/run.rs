//! The main loop of a request: deadline → cookies → exchange → redirect, until there is an answer.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::time::Duration;

use http::StatusCode;
use http::header::EXPECT;
use http_body::Body as _;
use http_body_util::BodyExt;
use tracing::Instrument as _;

use super::history::RedirectHop;
use super::prepared::{OutgoingRequest, Prepared};
use super::redirect::Policy;
use super::request_settings::RequestSettings;
use super::response::Response;
use super::{Session, cookies, redirect};
use crate::body::{Body, NotReplayable};
use crate::error::{Error, RequestSent, Result};
use crate::pool::{Call, ResponseBody};
use crate::redact::redact_url;
use crate::timeouts::Timeouts;

/// A request on its way.
pub(super) struct Run {
    pub(super) session: Session,
    pub(super) request_settings: RequestSettings,
    pub(super) request: Prepared,
}

impl Run {
    // Borrowed: an async function stores its arguments twice.
    pub(super) async fn run(&mut self) -> Result<Response> {
        let span = tracing::debug_span!(
            target: "trunkline::session",
            "request",
            method = %self.request.method,
            host = %self.request.request_url.target,
            path = self.request.request_url.url.path(),
        );
        if span.is_disabled() {
            return self.hops().await;
        }
        // Boxed: without a subscriber a request does not carry the span along.
        Box::pin(self.hops().instrument(span)).await
    }

    async fn hops(&mut self) -> Result<Response> {
        let Self { session, request_settings, request } = self;
        let session = &session.0;
        let guard =
            session.in_flight.enter().ok_or_else(|| Error::closed().of(&request.method, &request.request_url.url))?;
        let timeouts = request_settings.settings.timeouts.or(session.settings.timeouts).or(Timeouts::DEFAULT);
        let mut call = Call::new(session.owner, timeouts);
        let codings = session.codings.as_ref().filter(|_| request_settings.settings.decompress);
        let mut outgoing = OutgoingRequest { request, defaults: &session.headers, jar: &session.cookies, codings };
        let mut history = Vec::new();
        loop {
            outgoing.request.take_credentials(outgoing.defaults)?;
            if outgoing.request.body.is_to_be_measured() {
                Box::pin(outgoing.request.measure_by(call.deadline)).await?;
                call.begin_now();
            }
            let again = outgoing.request.body.again();
            let answered = session.pool.0.exchange(&mut outgoing, &call).await;
            let inherited = session.redirect_policy.as_ref();
            let finishing =
                match step(&mut outgoing, &call, answered, again, request_settings, inherited, &mut history)? {
                    ControlFlow::Continue(finishing) => finishing,
                    ControlFlow::Break(mut response) => {
                        response.hold(guard);
                        return if request_settings.settings.error_for_status {
                            response.error_for_status()
                        } else {
                            Ok(response)
                        };
                    }
                };
            finishing.await;
            call.go_on();
        }
    }
}

/// Future that drains the body of a redirecting response.
type Draining = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Handles the response of a hop: it is the result, or the next hop is prepared.
///
/// Not in the loop itself, whose future would carry all of this along.
fn step(
    outgoing: &mut OutgoingRequest<'_>,
    call: &Call,
    answered: Result<http::Response<ResponseBody>>,
    again: Result<Body, NotReplayable>,
    request_settings: &RequestSettings,
    inherited: Option<&Policy>,
    history: &mut Vec<RedirectHop>,
) -> Result<ControlFlow<Response, Draining>> {
    // A server that redirected has seen the request.
    let before = if call.under_way { RequestSent::Yes } else { RequestSent::No };
    let (method, request_url) = (outgoing.request.method.clone(), outgoing.request.request_url.clone());
    let here = |error: Error| error.sent_at_least(before).of(&method, &request_url.url);
    let response = answered.map_err(here)?;
    cookies::keep(outgoing.jar, &request_url.url, response.headers());
    // A body that was not wanted can be sent to the next hop, even if it can be sent only once.
    let unsent = std::mem::take(&mut outgoing.request.body);
    let mut again = if unsent.is_end_stream() { again } else { Ok(unsent) };
    if response.status() == StatusCode::EXPECTATION_FAILED
        && let Ok(body) = &mut again
        && outgoing.request.headers.remove(EXPECT).is_some()
    {
        // RFC 9110 section 10.1.1: "the 417 response merely indicates that the response chain does
        // not support expectations".
        tracing::debug!(target: "trunkline::session", "expectations are not met here: once more without");
        outgoing.request.body = std::mem::take(body);
        return Ok(ControlFlow::Continue(Box::pin(finish(response.into_body()))));
    }
    let settings = &request_settings.settings;
    let next = if settings.max_redirects == 0 {
        None
    } else {
        let policy = request_settings.redirect_policy.as_ref().or(inherited);
        redirect::next(outgoing, &response, again, policy, history).map_err(here)?
    };
    let Some(next) = next else {
        let response = Response::new(response, method, request_url, std::mem::take(history), settings, call.deadline);
        return Ok(ControlFlow::Break(response));
    };
    if history.len() == settings.max_redirects {
        return Err(here(redirect::too_many(settings.max_redirects, &next.request_url.url)));
    }
    tracing::debug!(target: "trunkline::session", status = %response.status(), to = %redact_url(&next.request_url.url), "redirect");
    history.push(RedirectHop { status: response.status(), url: request_url.url.clone() });
    *outgoing.request = next;
    Ok(ControlFlow::Continue(Box::pin(finish(response.into_body()))))
}

/// A redirecting response's body is short: reading it keeps the connection for the next hop. A long
/// or slow one is given up.
async fn finish(body: ResponseBody) {
    const PATIENCE: Duration = Duration::from_millis(250);
    let short = http_body_util::Limited::new(body, 64 * 1024);
    // Whatever becomes of it, the redirect is followed.
    let _ = tokio::time::timeout(PATIENCE, short.collect()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_in_flight_fits_the_allocators_fast_path() {
        let session = Session::new();
        let size = size_of_val(&session.get("http://a.test/").send());
        assert!(size <= 1024, "{size} bytes");
    }
}
