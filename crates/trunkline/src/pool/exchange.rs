//! One exchange: a connection is acquired, the request is sent on it, the head of the response comes back (P2, P10).

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, header};
use http_body::Body as _;

use super::acquire::Acquire;
use super::cell::{Dial, Limits};
use super::key::{Key, Runtime};
use super::lease::Lease;
use super::response::ResponseBody;
use super::state::{Owner, SlotId};
use super::{ConnectionInfo, Inner};
use crate::body::Body;
use crate::connection::{Connection, Failure, Probe, Received, Target};
use crate::error::{Error, Phase, RequestSent, Result};
use crate::timeouts::{self, Timeouts};

type PoolLease = Lease<Key, Connection>;

/// Whose exchange this is, and how long it may take.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    pub(crate) owner: Owner,
    /// A later exchange of a request that began before the pool was closed, which it may finish.
    pub(crate) under_way: bool,
    pub(crate) deadline: Option<Instant>,
    pub(crate) timeouts: Timeouts,
}

/// What is to be sent, as it goes over the wire: in origin-form and with its `Host`. The body is taken out of it; the rest stays.
pub(crate) struct Outgoing {
    pub(crate) head: Parts,
    pub(crate) body: Body,
}

impl Inner {
    /// The caller is inside the pool's gate: while it drains, this may still go on.
    pub(crate) async fn exchange(
        self: &Arc<Self>,
        outgoing: &mut Outgoing,
        target: &Target,
        call: &Call,
    ) -> Result<Response<ResponseBody>> {
        let Outgoing { head, body } = outgoing;
        let key = Key { target: target.clone(), runtime: Runtime::current()? };
        check(head, body)?;
        let begun = timeouts::now();
        let mut lease = self.acquire(&key, call).await?;
        let waited = begun.elapsed();
        let mut before = RequestSent::No;
        loop {
            let again = body.try_clone();
            let replayable = head.method.is_idempotent() && again.is_some();
            lease = self
                .fit_for_use(lease, &key, call, replayable && self.replay)
                .await
                .map_err(|error| error.sent_at_least(before))?;
            self.begin(&lease, head, call);
            let sending = Request::from_parts(head.clone(), std::mem::take(body));
            let Failed { failure, sent, early } = match converse(&lease, sending).await {
                Ok(response) => return Ok(self.answered(response, lease, waited)),
                Err(failed) => failed,
            };
            let ended = failure.error.is_timeout() || failure.error.is_closed();
            let replay = lease.is_reused() && self.replay && early && !ended;
            *body = match (failure.unsent, again) {
                (Some(unsent), _) if replay => unsent.into_body(),
                (None, Some(again)) if replay && (sent == RequestSent::No || replayable) => again,
                _ => return Err(failure.error.sent_at_least(before)),
            };
            tracing::debug!(target: "trunkline::pool", host = %key.target, ?sent, "replay: the reused connection was gone");
            before = before.max(sent);
            // Rare, and kept out of the future that every request is.
            let redialed = Box::pin(lease.redial(self.dialer(&key, call))).await;
            lease = redialed.map_err(|error| error.sent_at_least(before))?;
        }
    }

    /// The exchange's limits hold from now on, whoever polls it.
    fn begin(&self, lease: &PoolLease, head: &Parts, call: &Call) {
        let now = timeouts::now();
        let limits = Limits::new(call.deadline, call.timeouts.read, now);
        lease.begin(head.method.clone(), limits);
        let held = self.keepers.threshold().and_then(|threshold| now.checked_add(threshold));
        if let Some(due) = limits.due(true).map(|(due, _)| due).into_iter().chain(held).min() {
            self.keepers.look_by(lease.shell(), &lease.cell().key.runtime, due, None);
        }
    }

    async fn acquire(self: &Arc<Self>, key: &Key, call: &Call) -> Result<PoolLease> {
        let dial = self.dialer(key, call);
        let mut acquire = pin!(Acquire::new(&self.shell, key.clone(), call.owner, call.under_way, dial));
        let limit = call.timeouts.acquire.and_then(|limit| timeouts::now().checked_add(limit));
        let due = [limit, call.deadline].into_iter().flatten().min();
        let mut timer = None;
        std::future::poll_fn(|cx| {
            if let Poll::Ready(result) = acquire.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            // A dial has its own deadline; it is the wait that is bounded here.
            let (true, Some(due)) = (acquire.is_waiting(), due) else { return Poll::Pending };
            let timer = timer.get_or_insert_with(|| {
                tracing::debug!(target: "trunkline::pool", host = %key.target, "queued: no connection is free");
                Box::pin(tokio::time::sleep_until(due.into()))
            });
            timer.as_mut().poll(cx).map(|()| Err(self.explain_wait(key)))
        })
        .await
    }

    /// P10: a reused connection is looked at before it is used; a dead one is replaced.
    async fn fit_for_use(
        self: &Arc<Self>,
        mut lease: PoolLease,
        key: &Key,
        call: &Call,
        replayable: bool,
    ) -> Result<PoolLease> {
        while lease.is_reused() {
            if look(&lease, replayable).await? != Probe::Dead {
                tracing::trace!(target: "trunkline::pool", host = %key.target, "reuse");
                break;
            }
            tracing::debug!(target: "trunkline::pool", host = %key.target, "an idle connection was found closed");
            lease = Box::pin(lease.replace(self.dialer(key, call))).await?;
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
                    Ok((stream, wire)) => Connection::open(stream, wire, http1).await,
                    Err(error) => Err(error),
                };
                if let (Err(error), Some(pool)) = (&connected, pool.upgrade()) {
                    pool.note_dial_error(&target, error);
                }
                connected
            })
        }
    }

    fn answered(&self, response: Response<Received>, lease: PoolLease, waited: Duration) -> Response<ResponseBody> {
        let (mut head, received) = response.into_parts();
        let peer = lease.with(|connection| {
            connection.answered(&head);
            connection.peer()
        });
        if let Ok(peer) = peer {
            head.extensions.insert(ConnectionInfo { reused: lease.has_served(), peer, waited });
        }
        Response::from_parts(head, ResponseBody::new(received, lease))
    }
}

/// Is the connection still there?
async fn look(lease: &PoolLease, replayable: bool) -> Result<Probe> {
    let poll = || {
        std::future::poll_fn(|cx| lease.poll(cx, |connection, cx| Poll::Ready(connection.poll_alive(cx, replayable))))
    };
    let first = poll().await?;
    if first != Probe::Unread {
        return Ok(first);
    }
    // The runtime learns of what has come when it next looks at its sockets, and the engine then reads it.
    tokio::task::yield_now().await;
    poll().await
}

/// What would break the conversation. The engine believes the caller's `Content-Length`: too long a body would be cut off, and after too
/// short a one the server would wait for ever.
fn check(head: &Parts, body: &Body) -> Result<()> {
    if head.method == Method::CONNECT {
        return Err(Error::input(
            "the method CONNECT asks for a tunnel, which a session does not open: use another method",
        ));
    }
    if head.headers.get_all(header::HOST).into_iter().count() > 1 {
        return Err(Error::input(
            "there is more than one host header, which servers refuse (RFC 9112 section 3.2): set one",
        ));
    }
    let Some(length) = body.size_hint().exact() else { return Ok(()) };
    let given = |value: &HeaderValue| value.to_str().ok().and_then(|text| text.parse().ok());
    match head.headers.get_all(header::CONTENT_LENGTH).into_iter().find(|value| given(value) != Some(length)) {
        Some(wrong) => {
            Err(Error::input(format!("the header content-length says {wrong:?}, and the body has {length} bytes")))
        }
        None => Ok(()),
    }
}

/// A failed conversation: what may be done about it depends on how far it got.
struct Failed {
    failure: Failure,
    sent: RequestSent,
    /// Not a byte of a response had come: what comes before the request is written answers something else.
    early: bool,
}

/// Sends the request and waits for the head of its response, driving the connection from here.
async fn converse(lease: &PoolLease, request: Request<Body>) -> Result<Response<Received>, Failed> {
    let lost = |error| Failed { failure: Failure { error, unsent: None }, sent: RequestSent::No, early: false };
    let mut response = pin!(lease.with(|connection| connection.send(request)).map_err(lost)?);
    let mut progress = (false, false);
    let result = std::future::poll_fn(|cx| {
        let driven = lease.poll(cx, |connection, cx| {
            let _ended = connection.drive(cx);
            Poll::Ready((connection.has_written(), connection.has_read()))
        });
        match std::task::ready!(driven) {
            Ok(seen) => progress = seen,
            Err(error) => return Poll::Ready(Err(Failure { error, unsent: None })),
        }
        response.as_mut().poll(cx)
    })
    .await;
    result.map_err(|mut failure| {
        let (written, read) = progress;
        let sent = match (failure.unsent.is_some() || !written, read) {
            (true, _) => RequestSent::No,
            (false, false) => RequestSent::Maybe,
            (false, true) => RequestSent::Yes,
        };
        failure.error = failure.error.at(Phase::Response).sent(sent);
        Failed { failure, sent, early: !read || sent == RequestSent::No }
    })
}
