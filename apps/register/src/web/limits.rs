//! How often a client may ask, by its address, in this copy of the service.
//!
//! Copies do not share this: with three of them a client may ask three times as often. What mails an address gets is limited in the database, which they share.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::time::{MissedTickBehavior, interval};
use trunkline_lifespan::Stop;

use super::client::{TrustedProxies, one_customers};
use super::problem::Problem;

/// How often the addresses that have not asked for a while are forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(30);

/// So many requests at once, and again so many, evenly, over each such time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub requests: NonZeroU32,
    /// Over how long.
    pub per: Duration,
}

/// The limits of all clients. A clone is a handle to the same.
#[derive(Clone, Debug)]
pub struct Limits(Option<Arc<DefaultKeyedRateLimiter<IpAddr>>>);

impl Limits {
    /// Without a rate there is no limit.
    pub fn new(rate: Option<Rate>) -> Self {
        let quota = rate.and_then(|Rate { requests, per }| {
            // None, if it is less than a nanosecond each: then it limits nothing.
            Some(Quota::with_period(per / requests.get())?.allow_burst(requests))
        });
        Self(quota.map(|quota| Arc::new(RateLimiter::dashmap(quota))))
    }

    /// Forgets, now and then, the clients that have not asked for so long that they may as often as any other: what is kept is in
    /// proportion to how many have asked lately. For the background; ends when it is told to.
    pub async fn sweep(self, stop: Stop) {
        let Some(clients) = self.0 else { return };
        let mut ticks = interval(SWEEP_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.or(ticks.tick()).await.is_some() {
            clients.retain_recent();
            clients.shrink_to_fit();
        }
    }

    /// How long this client has to wait before it may ask.
    fn wait(&self, client: IpAddr) -> Option<Duration> {
        let refused = self.0.as_ref()?.check_key(&one_customers(client)).err()?;
        Some(refused.wait_time_from(DefaultClock::default().now()))
    }
}

/// Refuses what a client POSTs too often, before anything of it is read.
pub(crate) async fn by_client(
    State(limits): State<Limits>,
    State(trusted): State<TrustedProxies>,
    request: Request,
    next: Next,
) -> Response {
    if request.method() == Method::POST
        && let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>()
        && let Some(wait) = limits.wait(trusted.client(peer.ip(), request.headers()))
    {
        let problem =
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "Too many requests from your address. Please wait a little.");
        return problem.retry_after(wait).into_response();
    }
    next.run(request).await
}
