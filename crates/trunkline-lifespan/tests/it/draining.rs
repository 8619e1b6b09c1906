//! End of a server: not ready, a pause, no new connections, no request cut off, and a deadline.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get;
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};
use trunkline_lifespan::{App, Result, StepKind, Stop};

use crate::support::{Client, Journal, serve, settings};

/// A handler that reports its beginning and responds when it is allowed to.
#[derive(Clone)]
struct Gate {
    begun: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Self {
        Self { begun: Arc::new(Semaphore::new(0)), open: Arc::new(Semaphore::new(0)) }
    }

    fn router(&self) -> Router {
        let gate = self.clone();
        let held = async move || {
            gate.begun.add_permits(1);
            gate.open.acquire().await.unwrap().forget();
            "at last"
        };
        Router::new().route("/held", get(held)).route("/", get(async || "hello"))
    }

    async fn begun(&self, requests: u32) {
        self.begun.acquire_many(requests).await.unwrap().forget();
    }
}

#[tokio::test]
async fn requests_in_flight_finish_with_connection_close() {
    let (gate, journal) = (Gate::new(), Journal::default());
    let router = gate.router();
    let served = serve(settings(), {
        let journal = journal.clone();
        move |app: &App| {
            app.background("outbox", async move |stop| {
                stop.requested().await;
                journal.write("work is stopped");
            });
            router
        }
    })
    .await;
    let mut idle = Client::connect(served.address).await;
    idle.get("/").await;
    idle.answer().await;
    let mut client = Client::connect(served.address).await;
    client.get("/held").await;
    gate.begun(1).await;
    served.shutdown.begin();

    // The idle connection is closed at once; the other one is waited for.
    assert_eq!(idle.rest().await, b"");
    let refused = TcpStream::connect(served.address).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    assert!(!served.report.is_finished());
    assert!(journal.lines().is_empty(), "what works for requests works until the last has ended");

    gate.open.add_permits(1);
    let (head, body) = client.answer().await;
    assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
    assert_eq!(body, "at last");
    assert_eq!(client.rest().await, b"");
    let report = served.report.await.unwrap();
    assert!(report.is_success() && report.aborted() == 0, "{report}");
    assert_eq!(journal.lines(), ["work is stopped"]);
    let kinds: Vec<_> = report.steps().iter().map(|step| step.kind).collect();
    assert_eq!(kinds, [StepKind::Drained, StepKind::Stopped]);
}

fn metrics_throughout(app: &App) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let metrics = Router::new().route("/metrics", get(async || "42"));
    app.serve_throughout(tokio::net::TcpListener::from_std(listener).unwrap(), metrics).unwrap()
}

#[tokio::test]
async fn serve_throughout_responds_until_the_others_are_drained() {
    let gate = Gate::new();
    let router = gate.router();
    let (sender, metrics) = tokio::sync::oneshot::channel();
    let served = serve(settings(), move |app: &App| {
        sender.send(metrics_throughout(app)).unwrap();
        router
    })
    .await;
    let metrics = metrics.await.unwrap();
    let mut idle = Client::connect(metrics).await;
    idle.get("/metrics").await;
    idle.answer().await;
    let mut client = Client::connect(served.address).await;
    client.get("/held").await;
    gate.begun(1).await;
    served.shutdown.begin();

    // The first server refuses new connections, the other does not.
    while TcpStream::connect(served.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let mut late = Client::connect(metrics).await;
    late.get("/metrics").await;
    assert_eq!(late.answer().await.1, "42");
    gate.open.add_permits(1);
    assert_eq!(client.answer().await.1, "at last");
    assert_eq!(idle.rest().await, b"");
    let report = served.report.await.unwrap();
    assert!(report.is_success(), "{report}");
    let drained: Vec<_> = report.steps().iter().map(|step| step.name.clone()).collect();
    assert_eq!(drained, [format!("http://{}", served.address), format!("http://{metrics}")]);
}

#[tokio::test]
async fn idle_connections_of_the_last_stage_are_not_aborted_requests() {
    let gate = Gate::new();
    let router = gate.router();
    let (sender, metrics) = tokio::sync::oneshot::channel();
    let served = serve(settings().drain_within(Duration::from_millis(50)), move |app: &App| {
        sender.send(metrics_throughout(app)).unwrap();
        router
    })
    .await;
    let mut idle = Client::connect(metrics.await.unwrap()).await;
    idle.get("/metrics").await;
    idle.answer().await;
    let mut held = Client::connect(served.address).await;
    held.get("/held").await;
    gate.begun(1).await;
    served.shutdown.begin();
    let report = served.report.await.unwrap();
    assert_eq!((report.aborted(), report.code()), (1, 3), "{report}");
    assert_eq!(idle.rest().await, b"");
}

#[tokio::test]
async fn requests_that_outlast_the_drain_are_aborted_and_counted() {
    let gate = Gate::new();
    let router = gate.router();
    let served = serve(settings().drain_within(Duration::from_millis(50)), |_| router).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = Client::connect(served.address).await;
        client.get("/held").await;
        clients.push(client);
    }
    gate.begun(3).await;
    // Four more over one connection.
    let stream = TokioIo::new(TcpStream::connect(served.address).await.unwrap());
    let (sender, connection) =
        hyper::client::conn::http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let streams: Vec<_> = (0..4)
        .map(|_| {
            let request = hyper::Request::get(format!("http://{}/held", served.address)).body(Empty::new()).unwrap();
            tokio::spawn(sender.clone().send_request(request))
        })
        .collect();
    gate.begun(4).await;

    served.shutdown.begin();
    let report = served.report.await.unwrap();
    assert_eq!((report.aborted(), report.code(), report.errors().len()), (7, 3, 0), "{report}");
    assert!(report.to_string().contains("; 7 requests aborted\n"), "{report}");
    assert!(report.steps()[0].failed);
    for mut client in clients {
        assert_eq!(client.rest().await, b"");
    }
    for stream in streams {
        assert!(stream.await.unwrap().is_err());
    }
    let _ = connection.await.unwrap();
    // No handler waits any more.
    assert_eq!(Arc::strong_count(&gate.open), 1);
}

#[tokio::test]
async fn an_answer_that_is_being_read_slowly_is_sent_to_its_end() {
    const SIZE: usize = 20_000_000;
    for chunks in [1, 100] {
        let served = serve(settings(), move |_| {
            let body = async move || {
                let chunk = Bytes::from(vec![b'x'; SIZE / chunks]);
                Body::new(Chunks { chunk, left: chunks })
            };
            Router::new().route("/", get(body))
        })
        .await;
        let mut client = Client::connect(served.address).await;
        client.get("/").await;
        // The head and a little of the body: the rest does not fit into the sockets' buffers.
        client.head().await;
        served.shutdown.begin();
        while TcpStream::connect(served.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        // The drain has lasted longer than an idle connection is kept.
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(client.rest().await.iter().filter(|&&byte| byte == b'x').count(), SIZE, "in {chunks} chunks");
        let report = served.report.await.unwrap();
        assert!(report.is_success(), "{report}");
    }
}

struct Chunks {
    chunk: Bytes,
    left: usize,
}

impl hyper::body::Body for Chunks {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        let more = self.left.checked_sub(1);
        self.left = more.unwrap_or(0);
        std::task::Poll::Ready(more.map(|_| Ok(hyper::body::Frame::data(self.chunk.clone()))))
    }
}

#[tokio::test]
async fn what_has_connected_and_asked_before_the_end_is_answered() {
    // At the stop they are not accepted yet: they wait in the kernel's queue.
    let report = crate::support::run(async |app| {
        let listener = app.bind("127.0.0.1:0").await?;
        let address = listener.local_addr().unwrap();
        let mut clients = Vec::new();
        for _ in 0..20 {
            let mut client = Client::connect(address).await;
            client.get("/").await;
            clients.push(client);
        }
        app.shutdown().begin();
        app.serve(listener, Router::new().route("/", get(async || "hello"))).await?;
        for mut client in clients {
            let (head, body) = client.answer().await;
            assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
            assert_eq!(body, "hello");
            assert_eq!(client.rest().await, b"");
        }
        Ok(())
    })
    .await;
    assert!(report.is_success(), "{report}");
}

#[tokio::test]
async fn what_connects_at_the_last_moment_is_answered() {
    let served = serve(settings(), |_| Router::new().route("/", get(async || "hello"))).await;
    let mut kept = Client::connect(served.address).await;
    kept.get("/").await;
    kept.answer().await;
    // Without an await, so that the runtime has not seen them at the stop.
    let late: Vec<_> = (0..20)
        .map(|_| {
            let mut late = std::net::TcpStream::connect(served.address).unwrap();
            late.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
            late.set_nonblocking(true).unwrap();
            late
        })
        .collect();
    kept.send_now("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
    served.shutdown.begin();
    let late = late.into_iter().map(|late| Client::from(TcpStream::from_std(late).unwrap()));
    for mut client in late.chain([kept]) {
        assert_eq!(client.answer().await.1, "hello");
        assert_eq!(client.rest().await, b"");
    }
    assert!(served.report.await.unwrap().is_success());
}

#[tokio::test]
async fn half_a_request_does_not_hold_up_the_end() {
    let served = serve(settings(), |_| Router::new().route("/", get(async || "hello"))).await;
    let mut silent = Client::connect(served.address).await;
    let mut halves = Vec::new();
    for half in ["GET / HTTP/1.1\r\nhost: loc", "G", "PRI * HTTP/2.0\r\n\r\n"] {
        let mut client = Client::connect(served.address).await;
        client.send(half).await;
        halves.push(client);
    }
    // One response, then half of the next request.
    let mut client = Client::connect(served.address).await;
    client.get("/").await;
    client.answer().await;
    client.send("GET / HT").await;
    halves.push(client);

    served.shutdown.begin();
    assert_eq!(silent.rest().await, b"");
    let report = served.report.await.unwrap();
    assert!(report.is_success() && report.elapsed() < Duration::from_secs(5), "{report}");
    for mut client in halves {
        let rest = client.rest().await;
        assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
    }
}

#[tokio::test]
async fn during_the_pause_it_serves_but_is_not_ready() {
    let served = serve(settings().pause(Duration::from_secs(600)), |app| {
        let readiness = app.readiness();
        Router::new().route("/readyz", get(async || readiness)).route("/", get(async || "hello"))
    })
    .await;
    let mut kept = Client::connect(served.address).await;
    kept.get("/readyz").await;
    let (head, body) = kept.answer().await;
    assert!(!head.contains("connection: close") && body == "ready\n", "{head}");

    served.shutdown.begin();
    kept.get("/readyz").await;
    let (head, body) = kept.answer().await;
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("\r\nconnection: close\r\n"), "{head}");
    assert_eq!(body, "not ready\n");
    assert_eq!(kept.rest().await, b"");

    let mut late = Client::connect(served.address).await;
    late.get("/").await;
    assert_eq!(late.answer().await.1, "hello");
    served.report.abort();

    let pause = Duration::from_millis(50);
    let served = serve(settings().pause(pause), |_| Router::new()).await;
    let mut client = Client::connect(served.address).await;
    client.get("/").await;
    client.answer().await;
    served.shutdown.begin();
    let report = served.report.await.unwrap();
    assert!(report.is_success() && report.elapsed() >= pause, "{report}");
}

#[tokio::test]
async fn a_drain_that_is_given_up_is_taken_up_again() {
    let gate = Gate::new();
    let router = gate.router();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let opener = gate.clone();
    let report = tokio::spawn(settings().run(async move |app| -> Result<()> {
        let listener = app.bind("127.0.0.1:0").await?;
        let address = listener.local_addr().unwrap();
        let _ = sender.send((address, app.shutdown()));
        tokio::select! {
            served = app.serve(listener, router) => served,
            // The listener is closed: the drain has begun.
            () = refused(address, app.stopping()) => {
                opener.open.add_permits(1);
                Ok(())
            }
        }
    }));
    let (address, shutdown) = receiver.await.unwrap();
    let mut client = Client::connect(address).await;
    client.get("/held").await;
    gate.begun(1).await;
    shutdown.begin();
    assert_eq!(client.answer().await.1, "at last");
    let report = report.await.unwrap();
    assert!(report.is_success() && report.steps().len() == 1, "{report}");
}

#[tokio::test(start_paused = true)]
async fn who_takes_a_drain_up_again_has_the_time_that_is_left() {
    // Dropped during the pause, and after it.
    for given_up in [4, 13] {
        let gate = Gate::new();
        let router = gate.router();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let limits = settings().pause(Duration::from_secs(5)).drain_within(Duration::from_secs(10));
        let report = tokio::spawn(limits.run(async move |app| -> Result<()> {
            let listener = app.bind("127.0.0.1:0").await?;
            let stopping = app.stopping();
            let _ = sender.send((listener.local_addr().unwrap(), app.shutdown()));
            let given_up = async {
                stopping.requested().await;
                tokio::time::sleep(Duration::from_secs(given_up)).await;
            };
            tokio::select! {
                served = app.serve(listener, router) => served,
                () = given_up => Ok(()),
            }
        }));
        let (address, shutdown) = receiver.await.unwrap();
        let mut client = Client::connect(address).await;
        client.get("/held").await;
        gate.begun(1).await;
        shutdown.begin();
        let report = report.await.unwrap();
        assert_eq!((report.aborted(), report.steps().len()), (1, 1), "{report}");
        let all = Duration::from_millis(15_000)..Duration::from_millis(15_100);
        assert!(all.contains(&report.elapsed()), "given up after {given_up} s: {report}");
    }
}

#[tokio::test]
async fn what_is_served_after_the_end_is_drained_as_well() {
    let journal = Journal::default();
    let report = crate::support::run(async |app| {
        app.open("session", journal.part("session")).await?;
        let router = || Router::new().route("/", get(async || "hello"));
        app.shutdown().begin();
        app.serve(app.bind("127.0.0.1:0").await?, router()).await?;
        let listener = app.bind("127.0.0.1:0").await?;
        let address = listener.local_addr().unwrap();
        let mut client = Client::connect(address).await;
        client.get("/").await;
        app.serve(listener, router()).await?;
        assert_eq!(client.answer().await.1, "hello");
        assert_eq!(client.rest().await, b"");
        assert_eq!(TcpStream::connect(address).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        Ok(())
    })
    .await;
    let kinds: Vec<_> = report.steps().iter().map(|step| step.kind).collect();
    assert_eq!(kinds, [StepKind::Drained, StepKind::Drained, StepKind::Released], "{report}");
}

async fn refused(address: SocketAddr, stop: Stop) {
    stop.requested().await;
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_stream_without_an_end_can_end_with_the_application() {
    let begun = Arc::new(Notify::new());
    let served = serve(settings(), {
        let begun = begun.clone();
        move |app: &App| {
            let stop = app.stopping();
            let wait = async move || {
                begun.notify_one();
                stop.requested().await;
                "goodbye"
            };
            Router::new().route("/events", get(wait))
        }
    })
    .await;
    let mut client = Client::connect(served.address).await;
    client.get("/events").await;
    begun.notified().await;
    served.shutdown.begin();
    assert_eq!(client.answer().await.1, "goodbye");
    assert!(served.report.await.unwrap().is_success());
}

/// Clients that send requests during the end: every response that a handler began arrives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_every_request_that_was_taken_is_answered() {
    let rounds = if std::env::var_os("TRUNKLINE_SOAK").is_some() { 100 } else { 5 };
    for _ in 0..rounds {
        let begun = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = begun.clone();
        let served = serve(settings(), move |_| {
            let handler = async move || {
                count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                tokio::task::yield_now().await;
                "hello"
            };
            Router::new().route("/", get(handler))
        })
        .await;
        let clients: Vec<_> = (0..16)
            .map(|_| {
                let address = served.address;
                tokio::spawn(async move {
                    let mut answers = 0;
                    while let Ok(stream) = TcpStream::connect(address).await {
                        let mut client = Client::from(stream);
                        while client.try_get("/").await && client.try_answer().await {
                            answers += 1;
                        }
                    }
                    answers
                })
            })
            .collect();
        while begun.load(std::sync::atomic::Ordering::SeqCst) < 500 {
            tokio::task::yield_now().await;
        }
        served.shutdown.begin();
        let report = served.report.await.unwrap();
        assert!(report.is_success(), "{report}");
        let mut answers = 0;
        for client in clients {
            answers += client.await.unwrap();
        }
        assert_eq!(answers, begun.load(std::sync::atomic::Ordering::SeqCst));
    }
}
