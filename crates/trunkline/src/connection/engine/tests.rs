//! Tests of idle connections against a scripted server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;
use std::time::Duration;

use http::HeaderValue;
use http::header::{HOST, HeaderName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::http1::Connection;
use super::super::socket::{Socket, SocketIo, Stream};
use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

async fn connected() -> (Connection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let socket: Arc<Socket> = Socket::new(client, false).unwrap();
    let connection = Connection::open(Stream::Plain(SocketIo::new(socket.clone())), socket, Http1::default()).unwrap();
    (connection, listener.accept().await.unwrap().0)
}

fn request(padding: usize) -> Request<Body> {
    let padding = HeaderValue::from_maybe_shared(vec![b'x'; padding]).unwrap();
    let builder = Request::get("/").header(HOST, "a.test").header(HeaderName::from_static("x-padding"), padding);
    builder.body(Body::empty()).unwrap()
}

/// Waits for the response and returns the connection to its idle state.
async fn answered(connection: &mut Connection) {
    let answer = std::future::poll_fn(|cx| connection.poll_answer(cx));
    let response = tokio::time::timeout(Duration::from_secs(20), answer).await.unwrap().unwrap();
    assert!(response.body().is_end_stream());
    connection.completed();
    connection.retire().unwrap();
}

/// Runs one exchange and returns the head that the server received.
async fn exchange(connection: &mut Connection, server: &mut TcpStream, answer: &str) -> String {
    connection.send(request(0));
    let serving = async {
        let mut head = [0; 1024];
        let read = server.read(&mut head).await.unwrap();
        server.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&head[..read]).into_owned()
    };
    tokio::join!(answered(connection), serving).1
}

/// Makes the connection rest, as the pool does after a while.
fn rest(connection: &mut Connection) {
    let watched = connection.poll_resting(&mut Context::from_waker(Waker::noop()));
    assert!(watched.is_pending());
}

async fn found_dead(connection: &mut Connection) {
    let watching = std::future::poll_fn(|cx| connection.poll_resting(cx));
    tokio::time::timeout(Duration::from_secs(20), watching).await.expect("the close went unnoticed");
}

#[tokio::test]
async fn a_resting_connection_starts_a_new_engine_for_a_request() {
    let (mut connection, mut server) = connected().await;
    for _ in 0..3 {
        let head = exchange(&mut connection, &mut server, OK).await;
        assert!(head.starts_with("GET / HTTP/1.1\r\n"), "{head}");
        rest(&mut connection);
        assert!(matches!(connection.engine(), Engine::Resting(_)));
    }
}

#[tokio::test]
async fn a_resting_connection_notices_data_and_a_close() {
    let (mut connection, mut server) = connected().await;
    exchange(&mut connection, &mut server, OK).await;
    rest(&mut connection);
    server.write_all(b"HTTP/1.1 408 Request Timeout\r\n\r\n").await.unwrap();
    found_dead(&mut connection).await;

    let (mut connection, mut server) = connected().await;
    exchange(&mut connection, &mut server, OK).await;
    rest(&mut connection);
    drop(server);
    found_dead(&mut connection).await;
    // A request all the same fails and returns its body.
    connection.send(request(0));
    let answer = std::future::poll_fn(|cx| connection.poll_answer(cx)).await;
    assert!(answer.is_err_and(|failure| failure.unsent.is_some()));
}

#[tokio::test]
async fn a_resting_connection_closes_with_a_fin() {
    let (mut connection, mut server) = connected().await;
    exchange(&mut connection, &mut server, OK).await;
    rest(&mut connection);
    connection.end();
    assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn the_rest_of_an_early_answered_request_is_still_sent() {
    /// More than the socket buffers hold.
    const LARGE: usize = 32 << 20;
    let (mut connection, mut server) = connected().await;
    connection.send(request(LARGE));
    server.write_all(OK.as_bytes()).await.unwrap();
    answered(&mut connection).await;
    rest(&mut connection);
    let mut got = vec![0; LARGE];
    let reading = server.read_exact(&mut got);
    let watching = std::future::poll_fn(|cx| connection.poll_resting(cx));
    tokio::select! {
        () = watching => panic!("the connection ended"),
        read = tokio::time::timeout(Duration::from_secs(20), reading) => assert_eq!(read.unwrap().unwrap(), LARGE),
    }
}

#[tokio::test]
async fn an_http_1_0_server_keeps_getting_http_1_0_requests() {
    let (mut connection, mut server) = connected().await;
    let http10 = "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n";
    exchange(&mut connection, &mut server, http10).await;
    rest(&mut connection);
    let head = exchange(&mut connection, &mut server, http10).await;
    assert!(head.starts_with("GET / HTTP/1.0\r\n") && head.contains("connection: keep-alive\r\n"), "{head}");
}

#[derive(Default)]
struct WakeCount(AtomicUsize);

impl Wake for WakeCount {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn only_the_server_wakes_the_driver_of_an_exchange() {
    let (mut connection, mut server) = connected().await;
    let wakes = Arc::new(WakeCount::default());
    let waker = Waker::from(wakes.clone());
    let cx = &mut Context::from_waker(&waker);
    for (number, body) in (1..).zip(["yes", "", "yes", ""]) {
        connection.send(request(0));
        assert!(connection.poll_answer(cx).is_pending());
        assert!(server.read(&mut [0; 1024]).await.unwrap() > 0);
        assert_eq!(wakes.0.load(Ordering::SeqCst), number - 1, "sending woke the sender");
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        server.write_all(answer.as_bytes()).await.unwrap();
        while wakes.0.load(Ordering::SeqCst) < number {
            tokio::task::yield_now().await;
        }
        let Poll::Ready(Ok(response)) = connection.poll_answer(cx) else { panic!("a spurious wake-up") };
        let mut received = response.into_body();
        assert!(received.is_end_stream() || received.poll_arrived().is_ready());
        connection.completed();
        connection.retire().unwrap();
        assert_eq!(wakes.0.load(Ordering::SeqCst), number, "reading woke the reader");
    }
}
