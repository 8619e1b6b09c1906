//! Tests of retries: the SDK's rules apply over the pool.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::{ReconnectMode, RetryConfig};
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::primitives::ByteStream;
use trunkline::{CloseReason, Pool, RequestSent};
use trunkline_aws::HttpClient;

use crate::clients::{CountingClient, at, cause, config};
use crate::servers::{AccessKey, Recorded, Rogue, Step, TempDir};
use crate::{SOON, within};

const BUCKETS: &str = "<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>";
const SLOW_DOWN: &str = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
const INTERNAL: &str = "<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>";

/// Script of a server that first responds with this status and text, then successfully.
fn fail_once(status: u16, text: &'static str) -> impl Fn(usize) -> Vec<Step> + Send + Sync + 'static {
    let succeed = || vec![Step::Loop(vec![Step::ReadHead, Step::ReadBody, Step::ok(BUCKETS)])];
    move |connection| match connection {
        0 => [vec![Step::ReadHead, Step::ReadBody, Step::respond(status, text)], succeed()].concat(),
        _ => succeed(),
    }
}

#[tokio::test]
async fn a_throttled_call_is_retried_on_the_same_connection() {
    for status in [503, 429] {
        let rogue = Rogue::start(fail_once(status, SLOW_DOWN)).await;
        let pool = Pool::new();
        let s3 = Client::from_conf(at(&rogue, HttpClient::new(&pool)).build());
        within(SOON, s3.list_buckets().send()).await.unwrap();
        let stats = pool.stats();
        assert_eq!((rogue.requests().len(), stats.created, stats.reused), (2, 1, 1), "{status}: {stats:?}");
    }
}

#[tokio::test]
async fn a_transient_error_retires_the_connection() {
    for text in [INTERNAL, ""] {
        let rogue = Rogue::start(fail_once(500, text)).await;
        let pool = Pool::new();
        let s3 = Client::from_conf(at(&rogue, HttpClient::new(&pool)).build());
        within(SOON, s3.list_buckets().send()).await.unwrap();
        let stats = pool.stats();
        assert_eq!((rogue.requests().len(), stats.created, stats.open), (2, 2, 1), "{text}: {stats:?}");
        assert_eq!(stats.closed.by(CloseReason::NotPersistent), 1, "{stats:?}");
    }
}

#[tokio::test]
async fn reconnect_mode_can_keep_the_connection() {
    let rogue = Rogue::start(fail_once(500, INTERNAL)).await;
    let pool = Pool::new();
    let retries = RetryConfig::standard().with_reconnect_mode(ReconnectMode::ReuseAllConnections);
    let s3 = Client::from_conf(at(&rogue, HttpClient::new(&pool)).retry_config(retries).build());
    within(SOON, s3.list_buckets().send()).await.unwrap();
    assert_eq!((rogue.requests().len(), pool.stats().created), (2, 1));
}

#[tokio::test]
async fn a_refused_port_is_a_dispatch_failure_and_is_retried() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let pool = Pool::new();
    let key = AccessKey { id: "AKIDEXAMPLE".into(), secret: "secret".into() };
    let s3 = Client::from_conf(config(HttpClient::new(&pool), &url, &key).build());
    let error = within(SOON, s3.list_buckets().send()).await.unwrap_err();
    assert!(matches!(&error, SdkError::DispatchFailure(failure) if failure.is_io()), "{error:?}");
    let cause = cause(&error);
    assert!(cause.is_connect() && cause.request_sent() == RequestSent::No, "{cause}");
    assert_eq!(pool.stats().dials_failed, 3);
}

#[tokio::test]
async fn an_invalid_request_is_a_user_error_and_is_not_retried() {
    let rogue = Rogue::start(Step::serve(BUCKETS)).await;
    let pool = Pool::new();
    let http = CountingClient::new(HttpClient::new(&pool));
    let s3 = Client::from_conf(at(&rogue, http.clone()).build());
    let call = s3.list_buckets().customize().mutate_request(|request| {
        request.headers_mut().insert("content-length", "99");
    });
    let error = within(SOON, call.send()).await.unwrap_err();
    assert!(matches!(&error, SdkError::DispatchFailure(failure) if failure.is_user()), "{error:?}");
    assert!(cause(&error).is_input() && cause(&error).to_string().contains("99"), "{error:?}");
    assert_eq!((http.attempts(), pool.stats().created), (1, 0));
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_response_is_retried() {
    for end in [Step::Close, Step::Reset] {
        let end = end.clone();
        let rogue = Rogue::start(move |connection| match connection {
            0 | 1 => vec![Step::ReadHead, Step::ReadBody, end.clone()],
            _ => vec![Step::ReadHead, Step::ReadBody, Step::ok("")],
        })
        .await;
        let s3 = Client::from_conf(at(&rogue, HttpClient::from(Pool::new())).build());
        let put = s3.put_object().bucket("bucket").key("key").body(ByteStream::from_static(b"text"));
        within(SOON, put.send()).await.unwrap();
        let bodies: Vec<_> = rogue.requests().into_iter().map(|request| request.body).collect();
        assert_eq!(bodies, [b"text", b"text", b"text"]);
    }
}

#[tokio::test]
async fn a_truncated_response_is_retried_if_the_sdk_reads_it() {
    let rogue = Rogue::start(|connection| match connection {
        0 => vec![Step::ReadHead, Step::send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n<List"), Step::Close],
        _ => vec![Step::ReadHead, Step::ok(BUCKETS)],
    })
    .await;
    let s3 = Client::from_conf(at(&rogue, HttpClient::from(Pool::new())).build());
    within(SOON, s3.list_buckets().send()).await.unwrap();
    assert_eq!(rogue.requests().len(), 2);
}

#[tokio::test]
async fn a_truncated_stream_gives_its_reader_the_cause() {
    let half = format!("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{}", "x".repeat(50));
    let rogue = Rogue::start(vec![Step::ReadHead, Step::send(half), Step::Close]).await;
    let s3 = Client::from_conf(at(&rogue, HttpClient::from(Pool::new())).build());
    let mut got = within(SOON, s3.get_object().bucket("bucket").key("key").send()).await.unwrap();
    let mut read = 0;
    let error = loop {
        match within(SOON, got.body.try_next()).await {
            Ok(piece) => read += piece.expect("the body is incomplete").len(),
            Err(error) => break error,
        }
    };
    let cause = cause(&error);
    assert!(read == 50 && cause.is_body() && cause.request_sent() == RequestSent::Yes, "{read}: {cause}");
    assert_eq!(rogue.requests().len(), 1);
}

/// Server that closes the reused connection during the second request.
async fn closes_on_second() -> Rogue {
    Rogue::start(|connection| match connection {
        0 => vec![Step::ReadHead, Step::ok(BUCKETS), Step::ReadHead, Step::ReadBody, Step::Close],
        _ => vec![Step::ReadHead, Step::ReadBody, Step::ok("")],
    })
    .await
}

/// The connection and the SDK's attempt of each request.
fn attempts(rogue: &Rogue) -> Vec<(usize, String)> {
    let attempt = |request: &Recorded| request.header("amz-sdk-request").unwrap().to_owned();
    rogue.requests().iter().map(|request| (request.connection, attempt(request))).collect()
}

/// Rule P10 of the pool applies below the SDK's rules.
#[tokio::test]
async fn a_dead_reused_connection_is_replaced_below_the_sdk() {
    let rogue = closes_on_second().await;
    let config = at(&rogue, HttpClient::from(Pool::new())).retry_config(RetryConfig::disabled());
    let s3 = Client::from_conf(config.build());
    within(SOON, s3.list_buckets().send()).await.unwrap();
    let put = s3.put_object().bucket("bucket").key("key").body(ByteStream::from_static(b"text"));
    within(SOON, put.send()).await.unwrap();
    let first = || "attempt=1; max=1".to_owned();
    assert_eq!(attempts(&rogue), [(0, first()), (0, first()), (1, first())]);
    let bodies: Vec<_> = rogue.requests().into_iter().map(|request| request.body).collect();
    assert_eq!(bodies, [b"".as_slice(), b"text", b"text"]);
}

/// The SDK signs each chunk with the signature before it: a stream replayed within one attempt
/// would not match the signature of the head.
#[tokio::test]
async fn a_partly_sent_stream_is_left_to_the_sdk_to_sign_anew() {
    let dir = TempDir::new("retries");
    let file = dir.write("object", "text of a file");
    let rogue = closes_on_second().await;
    let s3 = Client::from_conf(at(&rogue, HttpClient::from(Pool::new())).build());
    within(SOON, s3.list_buckets().send()).await.unwrap();
    let body = ByteStream::from_path(file).await.unwrap();
    within(SOON, s3.put_object().bucket("bucket").key("key").body(body).send()).await.unwrap();
    let attempts = attempts(&rogue);
    assert!(attempts[1].1.starts_with("attempt=1") && attempts[2].1.starts_with("attempt=2"), "{attempts:?}");
    let body = String::from_utf8(rogue.requests().pop().unwrap().body).unwrap();
    assert!(body.contains("chunk-signature=") && body.contains("\r\ntext of a file\r\n"), "{body}");
}
