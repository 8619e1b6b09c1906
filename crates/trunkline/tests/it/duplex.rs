//! A response that is read while the body of its request is still being sent.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use trunkline::{Body, Pool, Session};

use crate::exchange::fed;
use crate::support::{Rogue, Step, TestCa};
use crate::{SOON, within};

const PIECE: usize = 64 * 1024;

/// Pieces that differ, so that none can take another's place.
fn pieces(count: usize) -> impl Iterator<Item = Bytes> {
    (0..count).map(|n| Bytes::from([&n.to_le_bytes()[..], &vec![n as u8; PIECE - 8]].concat()))
}

fn body(count: usize) -> Body {
    Body::stream(stream::iter(pieces(count)).map(Ok::<_, io::Error>))
}

/// What comes back, compared with what was sent as it comes, a little after it could.
async fn comes_back(mut response: trunkline::Response, count: usize, pause: Duration) {
    let mut expected = pieces(count).flatten();
    let mut length = 0;
    while let Some(chunk) = within(SOON, response.chunk()).await.unwrap() {
        assert!(chunk.iter().copied().eq(expected.by_ref().take(chunk.len())), "after {length} bytes");
        length += chunk.len();
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
    assert_eq!(length, count * PIECE);
}

#[tokio::test]
async fn both_directions_flow_at_once_through_an_echo() {
    // Far more than both sockets' buffers hold: either direction alone would stand still.
    const COUNT: usize = 512;
    let ca = TestCa::new();
    let echo = || vec![Step::Loop(vec![Step::ReadHead, Step::Echo])];
    for rogue in [Rogue::start(echo()).await, Rogue::tls(&ca, echo()).await] {
        let pool = Pool::builder().add_root_certificate(ca.pem()).build().unwrap();
        let session = Session::builder().pool(pool).build().unwrap();
        for body in [body(COUNT), body(COUNT).with_length((COUNT * PIECE) as u64)] {
            let response = within(SOON, session.post(rogue.url("/")).body(body).send()).await.unwrap();
            comes_back(response, COUNT, Duration::ZERO).await;
        }
        assert_eq!((session.stats().created, session.stats().idle), (1, 1));
    }
}

#[tokio::test]
async fn a_slow_reader_slows_the_upload_down_and_loses_nothing() {
    let rogue = Rogue::start(vec![Step::ReadHead, Step::Echo, Step::Drain]).await;
    let session = Session::new();
    let response = within(SOON, session.post(rogue.url("/")).body(body(128)).send()).await.unwrap();
    // Nobody drives the connection meanwhile.
    tokio::time::sleep(Duration::from_millis(100)).await;
    comes_back(response, 128, Duration::from_micros(200)).await;
    assert_eq!(session.stats().idle, 1);
}

#[tokio::test]
async fn a_conversation_goes_back_and_forth_within_one_exchange() {
    let rogue = Rogue::start(vec![Step::ReadHead, Step::Echo, Step::Drain]).await;
    let (upload, body) = fed();
    let mut response = within(SOON, Session::new().post(rogue.url("/")).body(body).send()).await.unwrap();
    for turn in 0..50 {
        let said = Bytes::from(format!("turn {turn}"));
        upload.send(Ok(said.clone())).unwrap();
        assert_eq!(within(SOON, response.chunk()).await.unwrap().unwrap(), said);
    }
    drop(upload);
    assert_eq!(within(SOON, response.chunk()).await.unwrap(), None);
}

#[tokio::test]
async fn one_response_can_be_the_body_of_another_request() {
    let source = Rogue::start(vec![Step::ReadHead, Step::ok(vec![b'x'; 3 << 20]), Step::Drain]).await;
    let target = Rogue::start(vec![Step::ReadHead, Step::CountBody, Step::ok("taken"), Step::Drain]).await;
    let session = Session::new();
    let from = within(SOON, session.get(source.url("/")).send()).await.unwrap();
    let to = session.put(target.url("/")).body(Body::wrap(from.into_body()));
    assert_eq!(within(SOON, async { to.await?.text().await }).await.unwrap(), "taken");
    let seen = target.requests().pop().unwrap();
    assert_eq!((seen.header("content-length"), seen.length), (Some("3145728"), 3 << 20));
    assert_eq!(session.stats().idle, 2);
}
