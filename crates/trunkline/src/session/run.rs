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

use super::hop::RedirectHop;
use super::policy::Policy;
use super::prepared::{OutgoingRequest, Prepared};
use super::response::Response;
use super::settings::RequestSettings;
use super::{Session, cookies, redirect};
use crate::body::{Body, NotReplayable};
use crate::error::{Error, RequestSent, Result};
use crate::pool::{Call, ResponseBody};
use crate::redact::redact_url;
use crate::timeouts::Timeouts;

/// A request on its way.
pub(super) struct Run {
    pub(super) session: Session,
    pub(super) own: RequestSettings,
    pub(super) request: Prepared,
}

impl Run {
    // Borrowed: an async function stores its arguments twice.
    pub(super) async fn run(&mut self) -> Result<Response> {
        let span = tracing::debug_span!(
            target: "trunkline::session",
            "request",
            method = %self.request.method,
            host = %self.request.address.target,
            path = self.request.address.url.path(),
        );
        if span.is_disabled() {
            return self.hops().await;
        }
        // Boxed: without a subscriber a request does not carry the span along.
        Box::pin(self.hops().instrument(span)).await
    }

    async fn hops(&mut self) -> Result<Response> {
        let Self { session, own, request } = self;
        let session = &session.0;
        let pass =
            session.in_flight.enter().ok_or_else(|| Error::closed().of(&request.method, &request.address.url))?;
        let timeouts = own.settings.timeouts.or(session.settings.timeouts).or(Timeouts::DEFAULT);
        let mut call = Call::new(session.owner, timeouts);
        let codings = session.codings.as_ref().filter(|_| own.settings.decompress);
        let mut dressed = OutgoingRequest { request, defaults: &session.headers, jar: &session.cookies, codings };
        let mut history = Vec::new();
        loop {
            dressed.request.take_credentials(dressed.defaults)?;
            if dressed.request.body.is_to_be_measured() {
                Box::pin(dressed.request.measure_by(call.deadline)).await?;
                call.begin_now();
            }
            let again = dressed.request.body.again();
            let answered = session.pool.0.exchange(&mut dressed, &call).await;
            let inherited = session.redirect_policy.as_ref();
            let finishing = match step(&mut dressed, &call, answered, again, own, inherited, &mut history)? {
                ControlFlow::Continue(finishing) => finishing,
                ControlFlow::Break(mut response) => {
                    response.hold(pass);
                    return if own.settings.error_for_status { response.error_for_status() } else { Ok(response) };
                }
            };
            finishing.await;
            call.go_on();
        }
    }
}

/// The rest of a hop that is left, to be taken out of the way.
type Finishing = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Handles the response of a hop: it is the result, or the next hop is prepared.
///
/// Not in the loop itself, whose future would carry all of this along.
fn step(
    dressed: &mut OutgoingRequest<'_>,
    call: &Call,
    answered: Result<http::Response<ResponseBody>>,
    again: Result<Body, NotReplayable>,
    own: &RequestSettings,
    inherited: Option<&Policy>,
    history: &mut Vec<RedirectHop>,
) -> Result<ControlFlow<Response, Finishing>> {
    // A server that redirected has seen the request.
    let before = if call.under_way { RequestSent::Yes } else { RequestSent::No };
    let (method, address) = (dressed.request.method.clone(), dressed.request.address.clone());
    let here = |error: Error| error.sent_at_least(before).of(&method, &address.url);
    let response = answered.map_err(here)?;
    cookies::keep(dressed.jar, &address.url, response.headers());
    // A body that was not wanted can be sent to the next hop, even if it can be sent only once.
    let unsent = std::mem::take(&mut dressed.request.body);
    let mut again = if unsent.is_end_stream() { again } else { Ok(unsent) };
    if response.status() == StatusCode::EXPECTATION_FAILED
        && let Ok(body) = &mut again
        && dressed.request.headers.remove(EXPECT).is_some()
    {
        // RFC 9110 section 10.1.1: "the 417 response merely indicates that the response chain does not
        // support expectations".
        tracing::debug!(target: "trunkline::session", "expectations are not met here: once more without");
        dressed.request.body = std::mem::take(body);
        return Ok(ControlFlow::Continue(Box::pin(finish(response.into_body()))));
    }
    let settings = &own.settings;
    let next = if settings.max_redirects == 0 {
        None
    } else {
        let policy = own.redirect_policy.as_ref().or(inherited);
        redirect::next(dressed, &response, again, policy, history).map_err(here)?
    };
    let Some(next) = next else {
        let response = Response::new(response, method, address, std::mem::take(history), settings, call.deadline);
        return Ok(ControlFlow::Break(response));
    };
    if history.len() == settings.max_redirects {
        return Err(here(redirect::too_many(settings.max_redirects, &next.address.url)));
    }
    tracing::debug!(target: "trunkline::session", status = %response.status(), to = %redact_url(&next.address.url), "redirect");
    history.push(RedirectHop { status: response.status(), url: address.url.clone() });
    *dressed.request = next;
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
    fn a_request_under_way_is_small_enough_for_the_allocators_quick_path() {
        let session = Session::new();
        let size = size_of_val(&session.get("http://a.test/").send());
        assert!(size <= 1024, "{size} bytes");
    }
}
