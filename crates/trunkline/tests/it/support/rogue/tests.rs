//! Tests of the rogue server's steps.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

const GET: &[u8] = b"GET /a?b HTTP/1.1\r\nHost: rogue\r\nX-One: 1\r\n\r\n";

async fn connect(rogue: &Rogue) -> TcpStream {
    TcpStream::connect(rogue.address()).await.unwrap()
}

/// All bytes until the other end closes, and the kind of end.
async fn read_all(stream: &mut (impl AsyncRead + Unpin)) -> (String, Option<ErrorKind>) {
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes).await.err().map(|error| error.kind());
    (String::from_utf8(bytes).unwrap(), end)
}

/// One answer of a script's `ok`, whose body is `hello` or `secret`.
async fn read_answer(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    while !(bytes.ends_with(b"hello") || bytes.ends_with(b"secret")) {
        bytes.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn requests_are_recorded_with_their_connection() {
    let rogue = Rogue::start(Step::serve("hello")).await;
    let mut first = connect(&rogue).await;
    for _ in 0..2 {
        first.write_all(GET).await.unwrap();
        assert_eq!(read_answer(&mut first).await, "HTTP/1.1 200 Rogue\r\nContent-Length: 5\r\n\r\nhello");
    }

    let mut second = connect(&rogue).await;
    let post = b"POST /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    second.write_all(post).await.unwrap();
    second.write_all(b"PUT /q HTTP/1.1\r\ncontent-length: 4\r\n\r\nbody").await.unwrap();
    let log = rogue.wait_until(|log| log.requests.last().is_some_and(|request| request.body == b"body")).await;
    let seen: Vec<_> = log.requests.iter().map(|request| (request.connection, request.line())).collect();
    let line = |connection, line: &str| (connection, line.to_owned());
    assert_eq!(seen, [line(0, "GET /a?b"), line(0, "GET /a?b"), line(1, "POST /p"), line(1, "PUT /q")]);
    assert_eq!(log.requests[0].header("x-one"), Some("1"));
    assert_eq!(log.requests[2].body, b"abcde");
    assert_eq!((log.accepted, log.open, log.max_open), (2, 2, 2));
    drop((first, second));
    rogue.wait_until(|log| log.open == 0).await;
}

#[tokio::test]
async fn each_connection_follows_its_own_script() {
    let rogue = Rogue::start(|connection| match connection {
        0 => vec![Step::send("one"), Step::Fin, Step::Drain],
        1 => vec![Step::send("two"), Step::pause_ms(20), Step::Reset],
        2 => vec![Step::ReadHead, Step::send_slowly("three", Duration::from_millis(2)), Step::Close],
        _ => vec![Step::Hold],
    })
    .await;
    let mut first = connect(&rogue).await;
    assert_eq!(read_all(&mut first).await, ("one".into(), None));
    first.write_all(b"still listening").await.unwrap();
    assert_eq!(rogue.open(), 1);
    drop(first);

    assert_eq!(read_all(&mut connect(&rogue).await).await, ("two".into(), Some(ErrorKind::ConnectionReset)));

    let mut third = connect(&rogue).await;
    let started = Instant::now();
    third.write_all(GET).await.unwrap();
    assert_eq!(read_all(&mut third).await, ("three".into(), None));
    assert!(started.elapsed() >= Duration::from_millis(10));

    rogue.wait_until(|log| log.open == 0).await;
    let mut fourth = connect(&rogue).await;
    rogue.wait_until(|log| log.open == 1).await;
    drop(rogue);
    assert_eq!(read_all(&mut fourth).await.0, "");
}

#[tokio::test]
async fn a_gate_holds_until_it_is_opened() {
    let gate = Gate::new();
    let rogue = Rogue::start(vec![Step::WaitFor(gate.clone()), Step::respond(204, ""), Step::Close]).await;
    let mut streams = [connect(&rogue).await, connect(&rogue).await];
    gate.reached(2).await;
    assert_eq!(streams[0].try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    gate.open();
    for stream in &mut streams {
        assert_eq!(read_all(stream).await.0, "HTTP/1.1 204 Rogue\r\n\r\n");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stopped_clock_of_the_test_s_does_not_hurry_it() {
    let rogue = Rogue::start(vec![Step::ReadHead, Step::pause_ms(50), Step::ok("late"), Step::Close]).await;
    let mut stream = connect(&rogue).await;
    stream.write_all(GET).await.unwrap();
    rogue.wait_until(|log| log.requests.len() == 1).await;
    assert!(read_all(&mut stream).await.0.ends_with("late"));
}

#[tokio::test]
async fn it_speaks_tls() {
    let ca = TestCa::new();
    let rogue = Rogue::tls(&ca, Step::serve("secret")).await;
    assert!(rogue.url_at("localhost", "/").starts_with("https://localhost:"));
    let connector = tokio_rustls::TlsConnector::from(ca.client_config(None));
    let mut stream = connector.connect("localhost".try_into().unwrap(), connect(&rogue).await).await.unwrap();
    stream.write_all(GET).await.unwrap();
    assert!(read_answer(&mut stream).await.ends_with("\r\n\r\nsecret"));
}

/// One request per connection, so that each mood is seen from its start.
async fn moods(seed: u64) -> Vec<Mood> {
    let rogue = Rogue::chaos(seed).await;
    for _ in 0..60 {
        let mut stream = connect(&rogue).await;
        stream.write_all(GET).await.unwrap();
        stream.shutdown().await.unwrap();
        let _ = read_all(&mut stream).await;
    }
    let log = rogue.wait_until(|log| log.requests.len() == 60 && log.open == 0).await;
    log.requests.iter().map(|request| request.mood.unwrap()).collect()
}

#[tokio::test]
async fn chaos_is_the_same_for_the_same_seed() {
    let (first, again, other) = tokio::join!(moods(7), moods(7), moods(8));
    assert_eq!(first, again);
    assert_ne!(first, other);
    let all: HashSet<_> = first.into_iter().chain(other).collect();
    assert!(all.len() >= Mood::ALL.len() - 2, "{all:?}");
}
