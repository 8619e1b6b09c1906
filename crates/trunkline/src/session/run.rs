//! The main loop of a request: deadline → exchange → redirect, until there is an answer.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use tracing::Instrument as _;

use super::prepared::Prepared;
use super::redirect;
use super::response::{Hop, Response};
use super::{Inner, Settings};
use crate::error::{Error, RequestSent, Result, redacted};
use crate::pool::{Call, Passes, ResponseBody};
use crate::timeouts::{self, Timeouts};

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
    let deadline = timeouts.total.and_then(|total| timeouts::now().checked_add(total));
    let mut call = Call { owner: session.owner, under_way: false, deadline, timeouts };
    request.add_defaults(&session.headers);
    let mut history = Vec::new();
    loop {
        // Whoever redirected has seen the request.
        let before = if history.is_empty() { RequestSent::No } else { RequestSent::Yes };
        request.take_credentials()?;
        let again = request.body.try_clone();
        let (method, address, mut outgoing) = request.outgoing();
        let here = |error: Error| error.sent_at_least(before).of(&method, &address.url);
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
        call.under_way = true;
        request = next;
    }
}

/// The request counts as under way in its session and in its pool until its response has been read.
fn enter(session: &Inner) -> Result<Passes> {
    let own = session.gate.enter().ok_or_else(Error::closed)?;
    let pool = session.pool.0.gate().enter().ok_or_else(Error::closed)?;
    Ok(Passes { pool, session: Some(own) })
}

/// A redirecting response's body is short: reading it keeps the connection for the next hop. A long or slow one is given up.
async fn finish(body: ResponseBody) {
    const PATIENCE: Duration = Duration::from_millis(250);
    let short = http_body_util::Limited::new(body, 64 * 1024);
    // Whatever becomes of it, the redirect is followed.
    let _ = tokio::time::timeout(PATIENCE, short.collect()).await;
}
