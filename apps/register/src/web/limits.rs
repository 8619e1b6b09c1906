//! Rate limit of clients by address, per copy of the service.
//!
//! Copies do not share it: with three copies a client has three times the rate. The limit of mails
//! per recipient is in the database, which copies share.

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

use super::client::one_customers;
use super::problem::Problem;
use crate::settings::TrustedProxies;

/// Interval at which idle clients are forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(30);

/// A burst of `requests`, refilled evenly over `per`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Number of requests.
    pub requests: NonZeroU32,
    /// Period.
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

    /// Background task that forgets clients whose allowance is full again, so that memory is
    /// bounded by the number of recent clients. Ends when the stop is requested.
    pub async fn sweep(self, stop: Stop) {
        let Some(clients) = self.0 else { return };
        let mut ticks = interval(SWEEP_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.or(ticks.tick()).await.is_some() {
            forget(&clients);
        }
    }

    /// Returns the wait before this client's next request, or None if it is allowed now.
    fn wait(&self, client: IpAddr) -> Option<Duration> {
        let refused = self.0.as_ref()?.check_key(&one_customers(client)).err()?;
        Some(refused.wait_time_from(DefaultClock::default().now()))
    }
}

fn forget(clients: &DefaultKeyedRateLimiter<IpAddr>) {
    clients.retain_recent();
    clients.shrink_to_fit();
}

/// Refuses `POST` requests over the limit before their body is read.
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
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "Too many requests from your address.");
        return problem.retry_after(wait).into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Instant;

    use super::*;

    fn limits(requests: u32, per: Duration) -> Limits {
        Limits::new(NonZeroU32::new(requests).map(|requests| Rate { requests, per }))
    }

    #[test]
    fn a_burst_is_allowed_and_then_refilled_evenly() {
        let limits = limits(3, Duration::from_secs(300));
        let client = IpAddr::from(Ipv4Addr::LOCALHOST);
        for _ in 0..3 {
            assert_eq!(limits.wait(client), None);
        }
        let wait = limits.wait(client).unwrap();
        assert!((Duration::from_secs(99)..=Duration::from_secs(100)).contains(&wait), "{wait:?}");
        assert_eq!(Limits::new(None).wait(client), None);
    }

    #[test]
    fn idle_clients_are_forgotten() {
        let limits = limits(1, Duration::from_millis(1));
        let clients = limits.0.as_ref().unwrap();
        for client in 0..10_000_u32 {
            limits.wait(Ipv4Addr::from_bits(client).into());
        }
        let begun = Instant::now();
        while !clients.is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(60), "{} are kept", clients.len());
            forget(clients);
        }
        // One who is still limited is not.
        let limits = self::limits(1, Duration::from_secs(3600));
        assert_eq!(limits.wait(Ipv4Addr::LOCALHOST.into()), None);
        forget(limits.0.as_ref().unwrap());
        assert!(limits.wait(Ipv4Addr::LOCALHOST.into()).is_some());
    }
}
