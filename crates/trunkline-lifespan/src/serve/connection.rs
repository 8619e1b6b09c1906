//! One connection, from accept to close, over HTTP/1 or HTTP/2.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service as _;

use super::connection_limit::Permit;
use super::in_flight::{ConnectionRequests, CountedBody, InFlight, RequestGuard};
use super::tasks::Tasks;
use crate::stop::Stop;

/// Time at a drain to read bytes that arrived in the kernel.
const ARRIVED: Duration = Duration::from_millis(10);

/// Time at a drain for the first request of a connection to arrive whole.
const FIRST_REQUEST: Duration = Duration::from_secs(1);

/// Time for the first request of a connection to arrive. hyper has the same limit for each head, but
/// only from the first byte on; a connection without a byte would never end.
const FIRST_HEAD: Duration = Duration::from_secs(30);

/// Interval of PINGs over HTTP/2. A client that vanished from the network is noticed by them only.
const PING: Duration = Duration::from_secs(30);

/// Parts that the connections of a server share.
#[derive(Clone, Debug)]
pub(super) struct ConnectionContext {
    pub(super) router: Router,
    pub(super) tasks: Tasks,
    pub(super) in_flight: InFlight,
    /// Requested when the application stops: responses then say that their connection closes.
    pub(super) stopping: Stop,
    /// Requested when no new requests are accepted.
    pub(super) draining: Stop,
}

impl ConnectionContext {
    /// Serves the connection in a task of its own, which holds the permit.
    pub(super) fn spawn(&self, stream: TcpStream, peer: SocketAddr, permit: Permit) {
        // Without it a response is delayed at worst.
        let _ = stream.set_nodelay(true);
        let served = self.clone().serve(stream, peer);
        self.tasks.spawn(async move {
            let _permit = permit;
            served.await;
        });
    }

    async fn serve(self, stream: TcpStream, peer: SocketAddr) {
        let requests = ConnectionRequests::new(self.in_flight.clone());
        let service = {
            let (requests, router, stopping) = (requests.clone(), self.router, self.stopping);
            service_fn(move |request| respond(router.clone(), request, peer, requests.begin(), stopping.clone()))
        };
        let mut server = auto::Builder::new(self.tasks);
        // With a timer, a head that does not arrive within 30 s ends its connection.
        server.http1().timer(TokioTimer::new());
        // WebSockets over HTTP/2 (RFC 8441).
        server.http2().timer(TokioTimer::new()).keep_alive_interval(PING).enable_connect_protocol();
        let mut connection = pin!(server.serve_connection_with_upgrades(TokioIo::new(stream), service));

        let draining = self.draining;
        let over = async {
            // A connection without a request by then is closed like an idle one at the end.
            if timeout(FIRST_HEAD, draining.requested()).await.is_err() && requests.had_request() {
                draining.requested().await;
            }
        };
        // The client notices a connection that fails.
        tokio::select! {
            biased;
            () = over => {}
            _ = &mut connection => return,
        }
        if timeout(ARRIVED, &mut connection).await.is_ok() {
            return;
        }
        // HTTP/2 sends GOAWAY; HTTP/1 closes an idle connection, another after its response.
        connection.as_mut().graceful_shutdown();
        if timeout(FIRST_REQUEST, &mut connection).await.is_err() && requests.had_request() {
            let _ = connection.await;
        }
    }
}

async fn respond(
    mut router: Router,
    request: Request<Incoming>,
    peer: SocketAddr,
    guard: RequestGuard,
    stopping: Stop,
) -> Result<Response<CountedBody<Body>>, Infallible> {
    let version = request.version();
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    let mut response = router.call(request).await?;
    // A response that upgrades the connection has its own `connection` header.
    let closes = version < Version::HTTP_2 && response.status() != StatusCode::SWITCHING_PROTOCOLS;
    if closes && stopping.is_requested() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| CountedBody { body, _request: guard }))
}
