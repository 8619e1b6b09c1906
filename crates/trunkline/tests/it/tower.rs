//! The session under layers of tower and tower-http.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tower::retry::{Policy, RetryLayer};
use tower::{Service, ServiceBuilder, ServiceExt as _};
use tower_http::set_header::SetRequestHeaderLayer;
use tower_http::trace::TraceLayer;
use trunkline::{Body, ConnectionInfo, DecodedBody, Error, Pool, RedirectAction, ResponseHistory, Session, Timeouts};

use crate::support::{Gate, Nginx, Rogue, Step};
use crate::{SOON, eventually, within};

fn get(url: &str) -> Request<Body> {
    Request::get(url).body(Body::empty()).unwrap()
}

/// Retries a 503 with the same body, up to the given number of times.
#[derive(Clone)]
struct RetryUnavailable(usize);

impl<B> Policy<Request<Body>, http::Response<B>, Error> for RetryUnavailable {
    type Future = std::future::Ready<()>;

    fn retry(&mut self, _: &mut Request<Body>, answer: &mut Result<http::Response<B>, Error>) -> Option<Self::Future> {
        let refused = answer.as_ref().is_ok_and(|response| response.status() == StatusCode::SERVICE_UNAVAILABLE);
        self.0 = self.0.checked_sub(usize::from(refused))?;
        refused.then(|| std::future::ready(()))
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        let mut clone = Request::new(request.body().try_clone()?);
        *clone.method_mut() = request.method().clone();
        *clone.uri_mut() = request.uri().clone();
        *clone.headers_mut() = request.headers().clone();
        *clone.extensions_mut() = request.extensions().clone();
        Some(clone)
    }
}

fn blue() -> SetRequestHeaderLayer<HeaderValue> {
    SetRequestHeaderLayer::overriding(HeaderName::from_static("x-tenant"), HeaderValue::from_static("blue"))
}

#[tokio::test]
async fn layers_see_each_exchange_and_a_retry_resends_the_body() {
    let busy = [Step::ReadHead, Step::ReadBody, Step::respond(503, "busy")];
    let rogue = Rogue::start([vec![], busy.to_vec(), busy.to_vec(), Step::serve("done")].concat()).await;
    let statuses = Arc::new(Mutex::new(Vec::new()));
    let seen = statuses.clone();
    let trace = TraceLayer::new_for_http().on_response(
        move |response: &http::Response<DecodedBody>, _: Duration, _: &tracing::Span| {
            seen.lock().unwrap().push(response.status().as_u16());
        },
    );
    let session = Session::new();
    let client = ServiceBuilder::new()
        .layer(RetryLayer::new(RetryUnavailable(5)))
        .layer(trace)
        .layer(blue())
        .service(session.clone());

    let request = Request::put(rogue.url("/things?a=b")).body(Body::from("data")).unwrap();
    let response = within(SOON, client.oneshot(request)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(within(SOON, response.into_body().collect()).await.unwrap().to_bytes(), "done");
    assert_eq!(*statuses.lock().unwrap(), [503, 503, 200]);
    for seen in rogue.requests() {
        assert_eq!((seen.line().as_str(), seen.body.as_slice()), ("PUT /things?a=b", b"data".as_slice()));
        assert_eq!((seen.header("x-tenant"), seen.header("accept")), (Some("blue"), Some("*/*")));
    }
    let stats = session.stats();
    assert_eq!((rogue.requests().len(), stats.created, stats.reused, stats.idle), (3, 1, 2, 1));
}

#[tokio::test]
async fn a_concurrency_limit_and_the_pool_serve_a_crowd_from_nginx() {
    let nginx = Nginx::start().await;
    let session = Session::builder().pool(Pool::builder().limit(2).build().unwrap()).build().unwrap();
    let client = ServiceBuilder::new()
        .concurrency_limit(4)
        .layer(TraceLayer::new_for_http())
        .layer(blue())
        .service(session.clone());
    let mut running = tokio::task::JoinSet::new();
    for page in 0..50 {
        let response = client.clone().oneshot(get(&nginx.url(&format!("/page/{page}"))));
        running.spawn(async move {
            let body = response.await.unwrap().into_body();
            (page, body.collect().await.unwrap().to_bytes())
        });
    }
    while let Some(done) = within(SOON, running.join_next()).await {
        let (page, body) = done.unwrap();
        assert!(body.starts_with(format!("page {page}").as_bytes()), "{body:?}");
    }
    let stats = session.stats();
    assert!(stats.created <= 2, "{stats:?}");
    assert_eq!(stats.wait.count(), 50);
    assert_eq!(session.close().await.closed, stats.open as u64);
}

#[tokio::test]
async fn the_response_tells_where_it_came_from() {
    let moved = "HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n";
    let rogue = Rogue::start([vec![Step::ReadHead, Step::send(moved)], Step::serve("there")].concat()).await;
    let session = Session::new();
    let response = within(SOON, (&session).oneshot(get(&rogue.url("/here")))).await.unwrap();
    let trail = response.extensions().get::<ResponseHistory>().unwrap();
    assert_eq!(trail.url().as_str(), rogue.url("/there"));
    let history: Vec<_> = trail.history().iter().map(|hop| (hop.status.as_u16(), hop.url.path())).collect();
    assert_eq!(history, [(302, "/here")]);
    let connection = response.extensions().get::<ConnectionInfo>().unwrap();
    assert_eq!((connection.reused, connection.peer), (true, rogue.address()));
}

#[tokio::test]
async fn any_body_can_be_sent_with_the_requests_own_settings() {
    let rogue = Rogue::start(
        [
            vec![Step::ReadHead, Step::ReadBody, Step::ok("taken")],
            vec![Step::ReadHead, Step::send("HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n")],
            vec![Step::ReadHead, Step::send("HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n")],
            vec![Step::ReadHead, Step::Hold],
        ]
        .concat(),
    )
    .await;
    let session = Session::new();
    let wrap = |request: Request<Full<Bytes>>| request.map(Body::wrap);
    let mut client = ServiceBuilder::new().map_request(wrap).service(session.clone());
    let request = Request::post(rogue.url("/")).body(Full::new(Bytes::from("full"))).unwrap();
    let response = within(SOON, client.ready().await.unwrap().call(request)).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "taken");
    assert_eq!(
        (rogue.requests()[0].body.as_slice(), rogue.requests()[0].header("content-length")),
        (b"full".as_slice(), Some("4"))
    );

    let request = session.get(rogue.url("/1")).max_redirects(0).build().unwrap();
    let response = within(SOON, session.clone().ready().await.unwrap().call(request)).await.unwrap();
    assert_eq!(response.status(), StatusCode::FOUND);

    let request = session.get(rogue.url("/2")).redirect_policy(|_| RedirectAction::Stop).build().unwrap();
    let response = within(SOON, session.execute(request)).await.unwrap();
    assert_eq!(response.status(), StatusCode::FOUND);

    let limits = Timeouts::new().read(Duration::from_millis(50));
    let request = session.request(Method::GET, rogue.url("/3")).timeouts(limits).build().unwrap();
    let error = within(SOON, (&session).oneshot(request)).await.unwrap_err();
    assert!(error.is_timeout() && error.to_string().contains("`read`"), "{error}");
}

#[tokio::test]
async fn a_dropped_future_leaves_the_queue_and_a_closed_session_fails() {
    let gate = Gate::new();
    let answer = [Step::ReadHead, Step::WaitFor(gate.clone()), Step::ok("late")];
    let rogue = Rogue::start(vec![Step::Loop(answer.to_vec())]).await;
    let session = Session::builder().pool(Pool::builder().limit(1).build().unwrap()).build().unwrap();
    let first = tokio::spawn(session.clone().oneshot(get(&rogue.url("/1"))));
    gate.reached(1).await;
    let second = tokio::spawn(session.clone().oneshot(get(&rogue.url("/2"))));
    eventually("the second waits", || session.stats().waiting == 1).await;
    second.abort();
    eventually("its place is given up", || session.stats().waiting == 0).await;
    gate.open();
    assert_eq!(within(SOON, first).await.unwrap().unwrap().status(), StatusCode::OK);
    session.close().await;
    let error = within(SOON, session.oneshot(get(&rogue.url("/3")))).await.unwrap_err();
    assert!(error.is_closed() && error.url().unwrap().path() == "/3", "{error}");
    assert_eq!(rogue.requests().len(), 1);
}

/// As tower's layers and executors ask for it.
#[test]
fn the_future_can_be_sent_and_outlives_the_session_s_handle() {
    fn is_fit<T: Send + 'static>(_: &T) {}
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let future = (&Session::new()).call(get("http://127.0.0.1:1/"));
    is_fit(&future);
    assert!(runtime.block_on(future).unwrap_err().is_connect());
}
