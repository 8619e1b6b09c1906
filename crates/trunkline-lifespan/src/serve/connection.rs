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

use super::count::{Counted, Line, Total};
use super::places::Place;
use super::tasks::Tasks;
use crate::stop::Stop;

/// For what has arrived in the kernel to be read, when it is time to drain.
const ARRIVED: Duration = Duration::from_millis(10);

/// For the first request of a connection to arrive whole, when it is time to drain.
const FIRST_REQUEST: Duration = Duration::from_secs(1);

/// For the first request of a connection to arrive, from its beginning. hyper gives each head as
/// long, but only once it knows which version is spoken; a connection without a byte would stay for
/// ever.
const FIRST_HEAD: Duration = Duration::from_secs(30);

/// How often HTTP/2 asks whether the client is still there. One that has vanished from the network
/// would never be missed otherwise.
const PING: Duration = Duration::from_secs(30);

/// What the connections of a server have in common.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) router: Router,
    pub(super) tasks: Tasks,
    pub(super) total: Total,
    /// The application is on its way down: each answer says that its connection closes.
    pub(super) stopping: Stop,
    /// No new requests.
    pub(super) draining: Stop,
}

impl Shared {
    /// Serves the connection in a task of its own. It gives its place up when it ends.
    pub(super) fn take_in(&self, stream: TcpStream, peer: SocketAddr, place: Place) {
        // Worth a delay at worst.
        let _ = stream.set_nodelay(true);
        let served = self.clone().serve(stream, peer);
        self.tasks.spawn(async move {
            let _until_done = place;
            served.await;
        });
    }

    async fn serve(self, stream: TcpStream, peer: SocketAddr) {
        let line = Line::new(self.total.clone());
        let service = {
            let (line, router, stopping) = (line.clone(), self.router, self.stopping);
            service_fn(move |request| answer(router.clone(), request, peer, line.request(), stopping.clone()))
        };
        let mut server = auto::Builder::new(self.tasks);
        // With a timer, a head that does not arrive within 30 s ends its connection.
        server.http1().timer(TokioTimer::new());
        // WebSockets over HTTP/2 (RFC 8441).
        server.http2().timer(TokioTimer::new()).keep_alive_interval(PING).enable_connect_protocol();
        let mut connection = pin!(server.serve_connection_with_upgrades(TokioIo::new(stream), service));

        let draining = self.draining;
        let over = async {
            // Who has asked for nothing by then is told goodbye like who is idle at the end.
            if timeout(FIRST_HEAD, draining.requested()).await.is_err() && line.was_asked() {
                draining.requested().await;
            }
        };
        // A connection that fails is its client's to notice.
        tokio::select! {
            biased;
            () = over => {}
            _ = &mut connection => return,
        }
        if timeout(ARRIVED, &mut connection).await.is_ok() {
            return;
        }
        // From here on HTTP/2 says GOAWAY, and HTTP/1 closes what is idle, the rest after its answer.
        connection.as_mut().graceful_shutdown();
        if timeout(FIRST_REQUEST, &mut connection).await.is_err() && line.was_asked() {
            let _ = connection.await;
        }
    }
}

async fn answer(
    mut router: Router,
    request: Request<Incoming>,
    peer: SocketAddr,
    under_way: super::count::Request,
    stopping: Stop,
) -> Result<Response<Counted<Body>>, Infallible> {
    let version = request.version();
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    let mut response = router.call(request).await?;
    // An answer that turns the connection into something else has its own `connection`.
    let closes = version < Version::HTTP_2 && response.status() != StatusCode::SWITCHING_PROTOCOLS;
    if closes && stopping.is_requested() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| Counted { body, _request: under_way }))
}
