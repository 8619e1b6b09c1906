//! One exchange: a connection is acquired, the request is sent on it, the head of the response
//! comes back (P2, P10).

use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::{Duration, Instant};

use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::Body as _;

use super::acquire::{Arrival, Queued, arrive};
use super::cell::{Dial, Limits};
use super::key::{Key, Runtime};
use super::lease::Lease;
use super::response::ResponseBody;
use super::state::{Owner, SlotId};
use super::{ConnectionInfo, Inner};
use crate::body::Body;
use crate::connection::{Connection, ConnectionHandle, ExchangeFailure, Probe, Received, Target, continue_timeout};
use crate::error::{Error, Phase, RequestSent, Result};
use crate::stats::CloseReason;
use crate::timeouts::{self, Timeouts};

type PoolLease = Lease<Key, Connection>;

/// To ask the kernel about a connection costs about a tenth of a small request. What comes within
/// this time after an answer that nobody asked for can be taken for the next one's: no request that
/// cannot be sent again runs that risk.
const JUST_NOW: Duration = Duration::from_micros(100);

/// Whose exchange this is, and how long it may take.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    pub(crate) owner: Owner,
    /// A later exchange of a request that began before the pool was closed, which it may finish.
    pub(crate) under_way: bool,
    pub(crate) begun: Instant,
    pub(crate) deadline: Option<Instant>,
    pub(crate) timeouts: Timeouts,
}

impl Call {
    pub(crate) fn new(owner: Owner, timeouts: Timeouts) -> Self {
        let begun = timeouts::now();
        let deadline = timeouts.total.and_then(|total| begun.checked_add(total));
        Self { owner, under_way: false, begun, deadline, timeouts }
    }

    /// The request goes on with another exchange.
    pub(crate) fn go_on(&mut self) {
        self.under_way = true;
        self.begin_now();
    }

    /// Its time without a connection begins only now.
    pub(crate) fn begin_now(&mut self) {
        self.begun = timeouts::now();
    }
}

/// What is to be sent, perhaps more than once.
pub(crate) trait Outgoing {
    /// Where it goes.
    fn target(&self) -> &Target;

    fn method(&self) -> &Method;

    /// What the caller gave of them.
    fn headers(&self) -> &HeaderMap;

    /// The head as it goes over the wire: in origin-form and with its `Host`.
    fn head(&self) -> Request<()>;

    /// It is taken out of here when it is sent, and put back if it was held back for a 100
    /// (Continue) and not wanted.
    fn body(&mut self) -> &mut Body;
}

impl Inner {
    /// The caller is inside the pool's in_flight: while it drains, this may still go on.
    pub(crate) async fn exchange<O: Outgoing>(
        self: &Arc<Self>,
        outgoing: &mut O,
        call: &Call,
    ) -> Result<Response<ResponseBody>> {
        let key = Key { target: outgoing.target().clone(), runtime: Runtime::current()? };
        check(outgoing)?;
        // From here on each wait has its own end. A connection found at once would still carry a request
        // that nobody waits for.
        if call.deadline.is_some_and(|deadline| deadline <= call.begun) {
            return Err(Error::timeout(Phase::Acquire).detail("the request's deadline passed (timeout `total`)"));
        }
        let mut waited = Duration::ZERO;
        let mut lease = match self.arrive(&key, call)? {
            Ok(lease) => lease,
            Err(waiting) => {
                let lease = waiting.await?;
                waited = call.begun.elapsed();
                lease
            }
        };
        let mut before = RequestSent::No;
        loop {
            let again = outgoing.body().try_clone();
            let replayable = self.replay && again.is_some() && outgoing.method().is_idempotent();
            let mut in_doubt = lease.idle().is_some_and(|idle| idle >= JUST_NOW || !replayable);
            let served = loop {
                if in_doubt {
                    lease = self.fit_for_use(lease, &key, call).await.map_err(|error| error.sent_at_least(before))?;
                    if lease.idle().is_none() {
                        waited = call.begun.elapsed();
                    }
                }
                match self.begin(&lease, outgoing, call, waited) {
                    Some(served) => break served,
                    None => in_doubt = true,
                }
            };
            let sent = match converse(&lease).await {
                Ok(Answer { response, peer, handle, unsent, uploading }) => {
                    if let Some(unsent) = unsent {
                        *outgoing.body() = *unsent;
                    }
                    let info = ConnectionInfo { reused: served && lease.idle().is_some(), peer, waited };
                    return Ok(response.map(|received| ResponseBody::new(received, lease, info, handle, uploading)));
                }
                Err(failure) if self.replay && lease.idle().is_some() => recover(failure, again, outgoing),
                Err(failure) => Err(failure.error),
            };
            before = before.max(sent.map_err(|error| error.sent_at_least(before))?);
            tracing::debug!(target: "trunkline::pool", host = %key.target, sent = ?before, "replay: the reused connection was gone");
            // Rare, and kept out of the future that every request is.
            let dialing = timeouts::now();
            let redialed = Box::pin(lease.redial(self.dialer(&key, call))).await;
            lease = redialed.map_err(|error| error.sent_at_least(before))?;
            waited += dialing.elapsed();
        }
    }

    /// An idle connection at once, or else what to wait for; that is boxed, so that only who waits
    /// carries it along.
    fn arrive<'a>(
        self: &'a Arc<Self>,
        key: &'a Key,
        call: &'a Call,
    ) -> Result<Result<PoolLease, Pin<Box<impl Future<Output = Result<PoolLease>>>>>> {
        Ok(match arrive(&self.shell, key, (call.owner, call.under_way, call.begun), || self.dialer(key, call))? {
            Arrival::Served(lease) => Ok(lease),
            Arrival::Queued(queued) => Err(Box::pin(self.wait(queued, key, call))),
        })
    }

    /// Sends the request, whose limits hold from now on, whoever goes on with it. True if it is not
    /// the connection's first. None if somebody has asked that the connection serves nobody
    /// else: then nothing is sent.
    fn begin(&self, lease: &PoolLease, outgoing: &mut impl Outgoing, call: &Call, waited: Duration) -> Option<bool> {
        let continue_timeout = continue_timeout(outgoing.headers());
        // The clock is asked again only if there was something to wait for, or if every moment since
        // counts.
        let at_once = waited.is_zero() && continue_timeout.is_zero();
        let now = if at_once { call.begun } else { timeouts::now() };
        let limits = Limits::new(call.deadline, call.timeouts.read, now + continue_timeout);
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
        let held = self.keepers.threshold().and_then(|threshold| now.checked_add(threshold));
        if let Some(due) = limits.due(true).map(|(due, _)| due).into_iter().chain(held).min() {
            self.keepers.look_by(lease.shell(), &lease.cell().key.runtime, due, None);
        }
        Some(served)
    }

    /// Waits for what a place in the queue leads to, within the limits of the call.
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
            // A dial has its own deadline; it is the wait that is bounded here.
            let (true, Some(due)) = (queued.is_waiting(), due) else { return Poll::Pending };
            let timer = timer.get_or_insert_with(|| {
                tracing::debug!(target: "trunkline::pool", host = %key.target, "queued: no connection is free");
                Box::pin(tokio::time::sleep_until(due.into()))
            });
            timer.as_mut().poll(cx).map(|()| Err(self.explain_wait(key)))
        })
        .await
    }

    /// P10: a reused connection is looked at before it is used; a dead one is replaced.
    async fn fit_for_use(self: &Arc<Self>, mut lease: PoolLease, key: &Key, call: &Call) -> Result<PoolLease> {
        while lease.idle().is_some() {
            let reason = match look(&lease).await? {
                Probe::Dead => CloseReason::PeerClosed,
                Probe::Retired => CloseReason::NotPersistent,
                Probe::Alive | Probe::Unread => {
                    tracing::trace!(target: "trunkline::pool", host = %key.target, "reuse");
                    break;
                }
            };
            tracing::debug!(target: "trunkline::pool", host = %key.target, ?reason, "an idle connection is of no use");
            lease = Box::pin(lease.replace(reason, self.dialer(key, call))).await?;
        }
        Ok(lease)
    }

    /// What makes the connection of a slot.
    fn dialer(self: &Arc<Self>, key: &Key, call: &Call) -> impl FnMut(SlotId) -> Dial<Connection> + Unpin + use<> {
        let (inner, target) = (self.clone(), key.target.clone());
        let (connect, deadline) = (call.timeouts.connect, call.deadline);
        move |slot| {
            let limit = connect.and_then(|limit| timeouts::now().checked_add(limit));
            let deadline = [limit, deadline].into_iter().flatten().min();
            let (connector, http1, target) = (inner.connector.clone(), inner.http1, target.clone());
            let (attempts, pool) = (super::SlotAttempts::new(&inner, slot), Arc::downgrade(&inner));
            Box::pin(async move {
                let opened = connector.open(&target, &attempts, deadline.map(Into::into)).await;
                let connected = match opened {
                    Ok((stream, wire)) => Connection::open(stream, wire, http1),
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

/// Is the connection still there?
async fn look(lease: &PoolLease) -> Result<Probe> {
    let first = lease.with(Connection::probe)?;
    if first != Probe::Unread {
        return Ok(first);
    }
    // The runtime learns of what has come when it next looks at its sockets, and the engine then reads
    // it.
    tokio::task::yield_now().await;
    lease.with(Connection::probe)
}

/// What would break the conversation. The engine believes the caller's `Content-Length`: too long a
/// body would be cut off, and after too short a one the server would wait for ever.
fn check(outgoing: &mut impl Outgoing) -> Result<()> {
    if *outgoing.method() == Method::CONNECT {
        return Err(Error::input(
            "the method CONNECT asks for a tunnel, which a session does not open: use another method",
        ));
    }
    if outgoing.headers().is_empty() {
        return Ok(());
    }
    if outgoing.headers().get_all(HOST).into_iter().count() > 1 {
        return Err(Error::input(
            "there is more than one host header, which servers refuse (RFC 9112 section 3.2): set one",
        ));
    }
    let given = |value: &HeaderValue| value.to_str().ok().and_then(|text| text.parse().ok());
    let Some(length) = outgoing.body().size_hint().exact() else {
        let said = outgoing.headers().get(CONTENT_LENGTH).map(|value| given(value).ok_or_else(|| format!("{value:?}")));
        return match said {
            Some(Err(odd)) => Err(Error::input(format!("the header content-length says {odd}, which is no length"))),
            Some(Ok(length)) => {
                outgoing.body().announce(length);
                Ok(())
            }
            None => Ok(()),
        };
    };
    match outgoing.headers().get_all(CONTENT_LENGTH).into_iter().find(|value| given(value) != Some(length)) {
        Some(wrong) => {
            Err(Error::input(format!("the header content-length says {wrong:?}, and the body has {length} bytes")))
        }
        None => Ok(()),
    }
}

/// P10: may the request that failed be sent again? Then its body is in its place again. Tells
/// whether the server may have seen it.
fn recover(failed: ExchangeFailure, again: Option<Body>, outgoing: &mut impl Outgoing) -> Result<RequestSent> {
    let ExchangeFailure { error, unsent, sent } = failed;
    if error.is_timeout() || error.is_closed() || error.is_body() {
        return Err(error);
    }
    let harmless = sent == RequestSent::No || sent == RequestSent::Maybe && outgoing.method().is_idempotent();
    *outgoing.body() = match (unsent, again) {
        (Some(unsent), _) => unsent,
        (None, Some(again)) if harmless => again,
        _ => return Err(error),
    };
    Ok(sent)
}

/// The head of a response.
struct Answer {
    response: Response<Received>,
    peer: SocketAddr,
    handle: ConnectionHandle,
    /// The body of the request, if it was held back and is not wanted. Boxed, for it is rare.
    unsent: Option<Box<Body>>,
    /// There may be more of it to send.
    uploading: bool,
}

/// Waits for the head of the response, driving the connection from here.
fn converse(lease: &PoolLease) -> impl Future<Output = Result<Answer, ExchangeFailure>> {
    let mut sent = RequestSent::No;
    std::future::poll_fn(move |cx| {
        let polled = lease.poll(cx, |connection, cx| {
            let answer = connection.poll_answer(cx);
            sent = connection.sent();
            answer.map_ok(|response| {
                let unsent = connection.take_unsent().map(Box::new);
                let (peer, handle, uploading) = (connection.peer(), connection.handle(), connection.is_uploading());
                Answer { response, peer, handle, unsent, uploading }
            })
        });
        Poll::Ready(ready!(polled).unwrap_or_else(|error| {
            // It was taken away.
            Err(ExchangeFailure { error: error.at(Phase::Response).sent(sent), unsent: None, sent })
        }))
    })
}
