//! One exchange: a connection is acquired, the request is sent on it, the head of the response comes back (P2, P10).

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use http::request::Parts;
use http::{HeaderValue, Request, Response, header};

use super::cell::{Dial, Label};
use super::clock::{Clock, Expired};
use super::gate::Pass;
use super::key::{Key, Runtime};
use super::lease::Lease;
use super::response::ResponseBody;
use super::shell::Acquire;
use super::state::{Owner, SlotId};
use super::{ConnectionInfo, Inner};
use crate::body::Body;
use crate::connection::{Connection, Failure, Received};
use crate::error::{Error, Phase, RequestSent, Result};
use crate::timeouts::Timeouts;

type PoolLease = Lease<Key, Connection>;

/// Whose exchange this is, and how long it may take.
pub(crate) struct Call {
    pub(crate) owner: Owner,
    /// A later exchange of a request that began before the pool was closed.
    pub(crate) under_way: bool,
    pub(crate) deadline: Option<Instant>,
    pub(crate) timeouts: Timeouts,
    pub(crate) passes: Vec<Arc<Pass>>,
}

impl Inner {
    pub(crate) async fn exchange(
        self: &Arc<Self>,
        mut head: Parts,
        mut body: Body,
        call: Call,
    ) -> Result<Response<ResponseBody>> {
        let key = Key { target: super::target(&head.uri)?, runtime: Runtime::current()? };
        let label = Label { method: head.method.clone(), host: key.target.to_string().into() };
        prepare(&mut head, &label)?;
        let begun = Instant::now();
        let mut lease = self.acquire(&key, &call).await?;
        let waited = begun.elapsed();
        loop {
            let replayable = head.method.is_idempotent() && body.try_clone().is_some();
            lease = self.fit_for_use(lease, &key, &call, replayable).await?;
            lease.label(label.clone());
            let again = if lease.is_reused() { body.try_clone() } else { None };
            let request = Request::from_parts(head.clone(), std::mem::take(&mut body));
            let mut clock = Clock::new(call.deadline, call.timeouts.read);
            let Failed { failure, sent, early } = match converse(&lease, request, &mut clock).await {
                Ok(response) => return Ok(self.answered(response, lease, clock, waited, call.passes)),
                Err(failed) => failed,
            };
            let unsent = failure.unsent.map(Request::into_body);
            let replay = lease.is_reused() && self.replay && early && !failure.error.is_timeout();
            body = match (unsent, again) {
                (Some(body), _) if replay => body,
                (None, Some(body)) if replay && (sent == RequestSent::No || head.method.is_idempotent()) => body,
                _ => return Err(failure.error.sent(sent)),
            };
            tracing::debug!(target: "trunkline::pool", host = %label.host, ?sent, "replay: the reused connection was gone");
            lease = lease.redial(self.dialer(&key, &call)).await?;
        }
    }

    async fn acquire(self: &Arc<Self>, key: &Key, call: &Call) -> Result<PoolLease> {
        let dial = self.dialer(key, call);
        let mut acquire = pin!(Acquire::new(&self.shell, key.clone(), call.owner, call.under_way, dial));
        let limit = call.timeouts.acquire.and_then(|limit| Instant::now().checked_add(limit));
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
            // What can be sent again need not ask the kernel first.
            let alive = std::future::poll_fn(|cx| {
                lease.poll(cx, |connection, cx| Poll::Ready(connection.poll_alive(cx, !(replayable && self.replay))))
            });
            if alive.await? {
                tracing::trace!(target: "trunkline::pool", host = %key.target, "reuse");
                break;
            }
            tracing::debug!(target: "trunkline::pool", host = %key.target, "an idle connection was found closed");
            lease = lease.replace(self.dialer(key, call)).await?;
        }
        Ok(lease)
    }

    /// What makes the connection of a slot.
    fn dialer(self: &Arc<Self>, key: &Key, call: &Call) -> impl FnMut(SlotId) -> Dial<Connection> + Unpin + use<> {
        let (inner, target) = (self.clone(), key.target.clone());
        let (connect, deadline) = (call.timeouts.connect, call.deadline);
        move |slot| {
            let limit = connect.and_then(|limit| Instant::now().checked_add(limit));
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

    fn answered(
        &self,
        response: Response<Received>,
        lease: PoolLease,
        clock: Clock,
        waited: Duration,
        passes: Vec<Arc<Pass>>,
    ) -> Response<ResponseBody> {
        let (mut head, received) = response.into_parts();
        let peer = lease.with(|connection| {
            connection.answered(&head.headers);
            connection.peer()
        });
        if let Ok(peer) = peer {
            head.extensions.insert(ConnectionInfo { reused: lease.is_reused(), peer, waited });
        }
        Response::from_parts(head, ResponseBody::new(received, lease, clock, passes, &self.keepers))
    }
}

/// The request as it goes over the wire: origin-form, and the `Host` that HTTP/1.1 demands (RFC 9112 sections 3.2, 3.2.1).
fn prepare(head: &mut Parts, label: &Label) -> Result<()> {
    if head.method == http::Method::CONNECT {
        return Err(Error::input("the method CONNECT asks for a tunnel, which a session does not open: use another method"));
    }
    if !head.headers.contains_key(header::HOST) {
        let authority = head.uri.authority().map_or("", |authority| authority.as_str());
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let host = HeaderValue::from_str(host)
            .map_err(|error| Error::input(format!("{} is not a host name", label.host)).because(error))?;
        head.headers.insert(header::HOST, host);
    }
    let path = head.uri.path_and_query().cloned();
    head.uri = path.map_or_else(|| http::Uri::from_static("/"), http::Uri::from);
    head.version = http::Version::HTTP_11;
    Ok(())
}

/// A failed conversation: what may be done about it depends on how far it got.
struct Failed {
    failure: Failure,
    sent: RequestSent,
    /// Not a byte of a response had come.
    early: bool,
}

/// Sends the request and waits for the head of its response, driving the connection from here.
async fn converse(lease: &PoolLease, request: Request<Body>, clock: &mut Clock) -> Result<Response<Received>, Failed> {
    let lost = |error| Failed { failure: Failure { error, unsent: None }, sent: RequestSent::No, early: false };
    let mut response = pin!(lease.with(|connection| connection.send(request)).map_err(lost)?);
    let result = std::future::poll_fn(|cx| {
        let driven = lease.poll(cx, |connection, cx| {
            let ended = connection.drive(cx).is_ready();
            Poll::Ready((ended, connection.traffic()))
        });
        let traffic = match driven {
            Poll::Ready(Ok((_, traffic))) => traffic,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(Failure { error, unsent: None })),
            Poll::Pending => 0,
        };
        if let Poll::Ready(result) = response.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        clock.poll_expired(cx, traffic).map(|expired: Expired| {
            let error = Error::timeout(Phase::Response).detail(expired.words());
            Err(Failure { error, unsent: None })
        })
    })
    .await;
    result.map_err(|mut failure| {
        let (written, read) = lease.with(|connection| (connection.has_written(), connection.has_read())).unwrap_or((true, false));
        let sent = match (failure.unsent.is_some() || !written, read) {
            (true, _) => RequestSent::No,
            (false, false) => RequestSent::Maybe,
            (false, true) => RequestSent::Yes,
        };
        failure.error = failure.error.sent(sent);
        Failed { failure, sent, early: !read }
    })
}
