//! Serving: bound before it is announced, ready when it serves, several listeners at once, both
//! versions of HTTP.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use trunkline_lifespan::{Phase, Result};

use crate::support::{Client, Journal, chain, run, serve, settings};

#[tokio::test]
async fn a_listener_is_bound_before_it_serves() {
    let report = run(async |app| {
        let listener = app.bind("127.0.0.1:0").await?;
        let address = listener.local_addr().unwrap();
        // A client connects and waits for its response.
        let mut client = Client::connect(address).await;
        client.get("/").await;
        assert!(!app.readiness().is_ready());

        let error = app.bind(address).await.unwrap_err();
        assert_eq!((error.phase(), error.name()), (Phase::Bind, &*address.to_string()));
        assert!(chain(&error).starts_with(&format!("cannot listen on {address}: ")), "{error}");
        assert_eq!(error.get_ref().unwrap().downcast_ref::<io::Error>().unwrap().kind(), io::ErrorKind::AddrInUse);

        let (readiness, shutdown) = (app.readiness(), app.shutdown());
        let router = Router::new().route("/", get(async || readiness));
        let (served, (head, body)) = tokio::join!(app.serve(listener, router), async {
            let answer = client.answer().await;
            shutdown.begin();
            answer
        });
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert_eq!(body, "ready\n");
        served
    })
    .await;
    assert!(report.is_success(), "{report}");
}

#[tokio::test]
async fn a_failed_bind_releases_what_was_opened() {
    let (journal, taken) = (Journal::default(), std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let address = taken.local_addr().unwrap();
    let report = run(async |app| {
        app.open("session", journal.part("session")).await?;
        app.serve(app.bind(address).await?, Router::new()).await
    })
    .await;
    assert_eq!(journal.lines().last().unwrap(), "released session");
    assert_eq!((report.errors()[0].phase(), report.code()), (Phase::Bind, 1));
}

#[tokio::test]
async fn several_listeners_are_served_and_drained_together() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let report = tokio::spawn(settings().run(async move |app| -> Result<()> {
        let readiness = app.readiness();
        let console = Router::new().route("/readyz", get(async || readiness));
        let console = app.serve_beside(app.bind("127.0.0.1:0").await?, console)?;

        // The console responds while the rest starts.
        let mut client = Client::connect(console).await;
        client.get("/readyz").await;
        let (head, body) = client.answer().await;
        assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
        assert_eq!(body, "not ready\n");

        let listener = app.bind("127.0.0.1:0").await?;
        let address = listener.local_addr().unwrap();
        assert!(sender.send((console, address, app.shutdown())).is_ok());
        app.serve(listener, Router::new().route("/", get(async || "hello"))).await
    }));
    let (console, address, shutdown) = receiver.await.unwrap();
    for (address, path, expected) in [(console, "/readyz", "ready\n"), (address, "/", "hello")] {
        let mut client = Client::connect(address).await;
        client.get(path).await;
        assert_eq!(client.answer().await.1, expected);
    }
    shutdown.begin();
    let report = report.await.unwrap();
    assert!(report.is_success(), "{report}");
    let names: Vec<_> = report.steps().iter().map(|step| &*step.name).collect();
    assert_eq!(names, [format!("http://{console}"), format!("http://{address}")]);
    for address in [console, address] {
        assert_eq!(TcpStream::connect(address).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
}

#[tokio::test]
async fn handlers_know_who_asks() {
    let served = serve(settings(), |_| {
        Router::new().route("/", get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string()))
    })
    .await;
    let mut client = Client::connect(served.address).await;
    client.get("/").await;
    assert_eq!(client.answer().await.1, client.local().to_string());
    served.shutdown.begin();
    assert!(served.report.await.unwrap().is_success());
}

#[tokio::test]
async fn http_2_is_spoken_and_told_goodbye() {
    let served = serve(settings(), |_| Router::new().route("/", get(async || "hello"))).await;
    let stream = TokioIo::new(TcpStream::connect(served.address).await.unwrap());
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = hyper::Request::get(format!("http://{}/", served.address)).body(Empty::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.version(), hyper::Version::HTTP_2);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");

    served.shutdown.begin();
    let report = served.report.await.unwrap();
    assert!(report.is_success(), "{report}");
    // GOAWAY, and no reset: the client's side ends without an error.
    connection.await.unwrap().unwrap();
    assert!(sender.ready().await.is_err());
}

#[tokio::test]
async fn beyond_the_limit_who_comes_waits_until_a_connection_ends() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let served = serve(settings().connections(2), |app| {
        let _ = sender.send(app.listeners());
        Router::new().route("/", get(async || "hello"))
    })
    .await;
    let listeners = receiver.await.unwrap();
    let mut inside = Vec::new();
    for _ in 0..2 {
        let mut client = Client::connect(served.address).await;
        client.get("/").await;
        assert_eq!(client.answer().await.1, "hello");
        inside.push(client);
    }
    let mut waiting = Client::connect(served.address).await;
    waiting.get("/").await;
    // Open connections are served meanwhile.
    for _ in 0..20 {
        inside[0].get("/").await;
        inside[0].answer().await;
    }
    assert!(!waiting.has_heard());
    let figures = listeners.stats()[0];
    assert_eq!((figures.address, figures.open, figures.limit), (served.address, 2, 2));
    assert_eq!(figures.times_full, 1);
    drop(inside.pop());
    assert_eq!(waiting.answer().await.1, "hello");

    // At the end the waiting clients are accepted too.
    let mut last = Client::connect(served.address).await;
    last.get("/").await;
    served.shutdown.begin();
    assert_eq!(last.answer().await.1, "hello");
    assert!(served.report.await.unwrap().is_success());
    assert_eq!(listeners.stats()[0].open, 0);
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_nothing_is_not_kept_for_ever() {
    let served = serve(settings(), |_| Router::new().route("/", get(async || "hello"))).await;
    let mut silent = Vec::new();
    for begins in ["", "P", "PRI * HTTP/2.0\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\nhost: loc"] {
        let mut client = Client::connect(served.address).await;
        client.send(begins).await;
        silent.push((begins, client));
    }
    for (begins, mut client) in silent {
        let closed = tokio::time::timeout(Duration::from_secs(60), client.rest()).await;
        assert!(closed.is_ok(), "{begins:?} holds a socket");
    }
    // A connection that has had a request may take longer for the next one.
    let mut client = Client::connect(served.address).await;
    for _ in 0..3 {
        client.get("/").await;
        assert_eq!(client.answer().await.1, "hello");
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    served.shutdown.begin();
    assert!(served.report.await.unwrap().is_success());
}

#[tokio::test(start_paused = true)]
async fn a_vanished_client_is_noticed_and_does_not_delay_the_end() {
    // HTTP/2 by hand: preface, empty SETTINGS, and GET / for localhost (RFC 9113 section 3.4, RFC 7541
    // appendix A).
    let asked =
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x0e\x01\x05\0\0\0\x01\x82\x84\x86\x41\x09localhost";
    let served = serve(settings(), |_| Router::new().route("/", get(async || "hello"))).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(asked).await.unwrap();
    let mut answer = Vec::new();
    while !answer.windows(5).any(|bytes| bytes == b"hello") {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "{answer:?}");
    }
    // From here on the client reads nothing and answers no PING. Its socket stays open.
    tokio::time::sleep(Duration::from_secs(120)).await;
    served.shutdown.begin();
    let report = served.report.await.unwrap();
    assert!(report.is_success() && report.elapsed() < Duration::from_secs(1), "{report}");
    drop(stream);
}

#[tokio::test]
async fn a_handler_that_panics_takes_down_its_own_connection_only() {
    let served = serve(settings(), |_| {
        Router::new().route("/", get(async || "hello")).route("/panic", get(async || -> &str { panic!("by mistake") }))
    })
    .await;
    let (mut client, mut other) = (Client::connect(served.address).await, Client::connect(served.address).await);
    client.get("/panic").await;
    assert_eq!(client.rest().await, b"");
    other.get("/").await;
    assert_eq!(other.answer().await.1, "hello");
    served.shutdown.begin();
    assert!(served.report.await.unwrap().is_success());
}
