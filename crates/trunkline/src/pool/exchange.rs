//! Exchange: acquires a connection, sends the request on it, and returns the head of the response
//! (P2, P10).

use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use http::Response;

use super::acquire::{Queued, checkout};
use super::connection_slot::Dial;
use super::exchange_record::ExchangeLimits;
use super::key::{Key, Runtime};
use super::lease::Lease;
use super::outgoing::{Call, Outgoing, check};
use super::response::ResponseBody;
use super::state::{Checkout, SlotId};
use super::{ConnectionInfo, Inner, SlotAttempts};
use crate::body::Body;
use crate::connection::{Connection, ConnectionHandle, ExchangeFailure, Probe, Received, continue_timeout};
use crate::error::{Error, Phase, RequestSent, Result};
use crate::stats::CloseReason;
use crate::timeouts;

type PoolLease = Lease<Key, Connection>;

/// Time after an exchange for which a replayable request skips the probe of its connection, which
/// costs about a tenth of a small request. Unsolicited bytes that arrive within this time can be
/// taken for the response, so other requests always probe.
const PROBE_AFTER: Duration = Duration::from_micros(100);

impl Inner {
    /// Sends one request and returns the head of its response. The caller holds an
    /// `InFlightGuard` of the pool, so the exchange may go on while the pool drains.
    pub(crate) async fn exchange<O: Outgoing>(
        self: &Arc<Self>,
        outgoing: &mut O,
        call: &Call,
    ) -> Result<Response<ResponseBody>> {
        let key = Key { target: outgoing.target().clone(), runtime: Runtime::current()? };
        check(outgoing)?;
        // Each wait from here on ends at the deadline. An idle connection needs no wait, so without
        // this check the request would be sent after its deadline.
        if call.deadline.is_some_and(|deadline| deadline <= call.begun) {
            return Err(Error::timeout(Phase::Acquire).detail("the request's deadline passed").by_setting("total"));
        }
        let mut waited = Duration::ZERO;
        let mut lease = match self.checkout(&key, call) {
            Checkout::Reuse(lease) => lease,
            Checkout::Queued(queued) => {
                let lease = queued.await?;
                waited = call.begun.elapsed();
                lease
            }
            Checkout::Closed => return Err(Error::closed()),
        };
        let mut sent_before = RequestSent::No;
        loop {
            let again = outgoing.body().try_clone();
            // A request that may be replayed needs no probe of a connection used a moment ago.
            let replayable = self.replay && again.is_some() && outgoing.method().is_idempotent();
            let mut in_doubt = lease.idle().is_some_and(|idle| idle >= PROBE_AFTER || !replayable);
            let served = loop {
                if in_doubt {
                    lease = self
                        .validate_reused(lease, &key, call)
                        .await
                        .map_err(|error| error.sent_at_least(sent_before))?;
                    if lease.idle().is_none() {
                        waited = call.begun.elapsed();
                    }
                }
                match self.begin(&lease, outgoing, call, waited) {
                    Some(served) => break served,
                    None => in_doubt = true,
                }
            };
            let sent = match response_head(&lease).await {
                Ok(ResponseHead { response, peer, handle, unsent, uploading }) => {
                    if let Some(unsent) = unsent {
                        *outgoing.body() = *unsent;
                    }
                    let info = ConnectionInfo { reused: served && lease.idle().is_some(), peer, waited };
                    return Ok(response.map(|received| ResponseBody::new(received, lease, info, handle, uploading)));
                }
                Err(failure) if self.replay && lease.idle().is_some() => allow_replay(failure, again, outgoing),
                Err(failure) => Err(failure.error),
            };
            // A redialed lease is not a reused connection, so there is no second replay.
            sent_before = sent_before.max(sent.map_err(|error| error.sent_at_least(sent_before))?);
            tracing::debug!(target: "trunkline::pool", host = %key.target, sent = ?sent_before, "replay: the reused connection was gone");
            let dialing = timeouts::now();
            // Boxed: a redial is rare, and the future of each request would carry its size.
            let redialed = Box::pin(lease.redial(self.dialer(&key, call))).await;
            lease = redialed.map_err(|error| error.sent_at_least(sent_before))?;
            waited += dialing.elapsed();
        }
    }

    /// Leases an idle connection, or queues the request. The wait is boxed, so that a request
    /// without a wait does not carry its size.
    fn checkout<'a>(
        self: &'a Arc<Self>,
        key: &'a Key,
        call: &'a Call,
    ) -> Checkout<PoolLease, Pin<Box<impl Future<Output = Result<PoolLease>>>>> {
        checkout(&self.shared, key, (call.owner, call.under_way, call.begun), || self.dialer(key, call))
            .map_queued(|queued| Box::pin(self.wait(queued, key, call)))
    }

    /// Sends the request; its limits hold from now on. True if the connection has served another
    /// request. None, with nothing sent, if the connection was retired by its handle.
    fn begin(&self, lease: &PoolLease, outgoing: &mut impl Outgoing, call: &Call, waited: Duration) -> Option<bool> {
        let continue_timeout = continue_timeout(outgoing.headers());
        // The clock is read again only after a wait, or if the limits must be exact for a 100.
        let at_once = waited.is_zero() && continue_timeout.is_zero();
        let now = if at_once { call.begun } else { timeouts::now() };
        let limits = ExchangeLimits::new(call.deadline, call.timeouts.read, now + continue_timeout);
        let mut retired = false;
        let served = lease.begin(outgoing.method().clone(), limits, |connection| {
            retired = connection.is_retired();
            if retired {
                return;
            }
            let head = outgoing.head();
            let body = std::mem::take(outgoing.body());
            connection.send(head.map(|()| body));
        });
        if retired {
            return None;
        }
        let held = self.maintenance.held_threshold().and_then(|threshold| now.checked_add(threshold));
        if let Some(due) = limits.due(true).map(|(due, _)| due).into_iter().chain(held).min() {
            self.maintenance.run_by(lease.shared(), &lease.slot().key.runtime, due, None);
        }
        Some(served)
    }

    /// Waits in the queue, within the limits of the call.
    async fn wait<D>(&self, queued: Queued<Key, Connection, D>, key: &Key, call: &Call) -> Result<PoolLease>
    where
        D: FnMut(SlotId) -> Dial<Connection> + Unpin,
    {
        let mut queued = pin!(queued);
        let limit = call.timeouts.acquire.and_then(|limit| call.begun.checked_add(limit));
        let due = [limit, call.deadline].into_iter().flatten().min();
        let mut timer = None;
        std::future::poll_fn(|cx| {
            if let Poll::Ready(result) = queued.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            // A dial has its own deadline; this timer bounds the wait before it.
            let (true, Some(due)) = (queued.is_waiting(), due) else { return Poll::Pending };
            let timer = timer.get_or_insert_with(|| {
                tracing::debug!(target: "trunkline::pool", host = %key.target, "queued: no connection is free");
                Box::pin(tokio::time::sleep_until(due.into()))
            });
            timer.as_mut().poll(cx).map(|()| Err(self.explain_wait(key)))
        })
        .await
    }

    /// P10: probes a reused connection before its use, and replaces a dead one.
    async fn validate_reused(self: &Arc<Self>, mut lease: PoolLease, key: &Key, call: &Call) -> Result<PoolLease> {
        while lease.idle().is_some() {
            let reason = match probe(&lease).await? {
                Probe::Dead => CloseReason::PeerClosed,
                Probe::Retired => CloseReason::NotPersistent,
                Probe::Alive | Probe::Unread => {
                    tracing::trace!(target: "trunkline::pool", host = %key.target, "reuse");
                    break;
                }
            };
            tracing::debug!(target: "trunkline::pool", host = %key.target, ?reason, "an idle connection was unusable");
            lease = Box::pin(lease.replace(reason, self.dialer(key, call))).await?;
        }
        Ok(lease)
    }

    /// Makes the dial of a slot.
    fn dialer(self: &Arc<Self>, key: &Key, call: &Call) -> impl FnMut(SlotId) -> Dial<Connection> + Unpin + use<> {
        let (inner, target) = (self.clone(), key.target.clone());
        let (connect, deadline) = (call.timeouts.connect, call.deadline);
        move |slot| {
            let limit = connect.and_then(|limit| timeouts::now().checked_add(limit));
            let deadline = [limit, deadline].into_iter().flatten().min();
            let (connector, http1, target) = (inner.connector.clone(), inner.http1, target.clone());
            let (attempts, pool) = (SlotAttempts::new(&inner, slot), Arc::downgrade(&inner));
            Box::pin(async move {
                let opened = connector.open(&target, &attempts, deadline.map(Into::into)).await;
                let connected = match opened {
                    Ok((stream, socket)) => Connection::open(stream, socket, http1),
                    Err(error) => Err(error),
                };
                if let (Err(error), Some(pool)) = (&connected, pool.upgrade()) {
                    pool.note_dial_error(&target, error);
                }
                connected
            })
        }
    }
}

/// Asks whether the connection is still there.
async fn probe(lease: &PoolLease) -> Result<Probe> {
    let first = lease.with(Connection::probe)?;
    if first != Probe::Unread {
        return Ok(first);
    }
    // The runtime learns of arrived bytes when it next polls its sockets. The engine then reads
    // them.
    tokio::task::yield_now().await;
    lease.with(Connection::probe)
}

/// P10: decides whether a failed request is sent again, and puts its body back in place. Returns
/// the server's knowledge of the request; fails with the request's error if it is not sent again,
/// as after a timeout, a close and a failure of its own body.
fn allow_replay(failed: ExchangeFailure, again: Option<Body>, outgoing: &mut impl Outgoing) -> Result<RequestSent> {
    let ExchangeFailure { error, unsent, sent } = failed;
    if error.is_timeout() || error.is_closed() || error.is_body() {
        return Err(error);
    }
    let is_safe = sent == RequestSent::No || sent == RequestSent::Maybe && outgoing.method().is_idempotent();
    *outgoing.body() = match (unsent, again) {
        (Some(unsent), _) => unsent,
        (None, Some(again)) if is_safe => again,
        _ => return Err(error),
    };
    Ok(sent)
}

/// Head of a response, and the state of its connection.
struct ResponseHead {
    response: Response<Received>,
    peer: SocketAddr,
    handle: ConnectionHandle,
    /// Body of the request, if it was held back and the server does not want it. Boxed: it is rare.
    unsent: Option<Box<Body>>,
    /// True if more of the request's body may be left to send.
    uploading: bool,
}

/// Waits for the head of the response, and drives the connection meanwhile.
fn response_head(lease: &PoolLease) -> impl Future<Output = Result<ResponseHead, ExchangeFailure>> {
    let mut sent = RequestSent::No;
    std::future::poll_fn(move |cx| {
        let polled = lease.poll(cx, |connection, cx| {
            let answer = connection.poll_answer(cx);
            sent = connection.sent();
            answer.map_ok(|response| {
                let unsent = connection.take_unsent().map(Box::new);
                let (peer, handle, uploading) = (connection.peer(), connection.handle(), connection.is_uploading());
                ResponseHead { response, peer, handle, unsent, uploading }
            })
        });
        Poll::Ready(ready!(polled).unwrap_or_else(|error| {
            // The connection was taken away.
            Err(ExchangeFailure { error: error.at(Phase::Response).sent(sent), unsent: None, sent })
        }))
    })
}
