//! Tests of the pool's limits under concurrent SDK calls.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::StalledStreamProtectionConfig;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::primitives::ByteStream;
use trunkline::{Phase, Pool, Timeouts};
use trunkline_aws::HttpClient;

use crate::clients::{at, bucket, cause, is_timeout, s3_of};
use crate::servers::{Gate, Moto, Rogue, Step, TempDir, watch};
use crate::{SOON, within};

#[tokio::test]
async fn two_hundred_concurrent_calls_stay_within_four_connections() {
    let pool = Pool::builder().limit(4).build().unwrap();
    // A server of its own: the test counts all sockets to the server's port.
    let moto = Moto::alone().await;
    let s3 = s3_of(&moto, &pool);
    let bucket = bucket(&s3).await;
    let text = "x".repeat(10_000);
    within(SOON, s3.put_object().bucket(&bucket).key("key").body(text.clone().into_bytes().into()).send())
        .await
        .unwrap();
    let watcher = watch(moto.port(), Duration::from_millis(1));
    let calls = (0..200).map(|_| {
        let get = s3.get_object().bucket(&bucket).key("key");
        tokio::spawn(async move { get.send().await.unwrap().body.collect().await.unwrap().into_bytes() })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(within(4 * SOON, call).await.unwrap(), text.as_bytes());
    }
    let stats = pool.stats();
    assert!(watcher.samples() > 0 && (1..=4).contains(&watcher.max_owned()), "{}", watcher.max_owned());
    assert!(stats.created <= 4 && stats.reused >= 198 && stats.open <= 4, "{stats:?}");
}

#[tokio::test]
async fn the_acquire_timeout_bounds_the_wait_for_a_connection() {
    let rogue =
        Rogue::start(vec![Step::ReadHead, Step::send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"), Step::Hold])
            .await;
    let pool = Pool::builder().limit(1).build().unwrap();
    let http = HttpClient::new(&pool).timeouts(Timeouts::new().acquire(Duration::from_millis(50)));
    let s3 = Client::from_conf(at(&rogue, http).build());
    let held = within(SOON, s3.get_object().bucket("bucket").key("held").send()).await.unwrap();
    let error = within(SOON, s3.get_object().bucket("bucket").key("waits").send()).await.unwrap_err();
    assert!(is_timeout(&error), "{error:?}");
    let cause = cause(&error);
    assert_eq!(cause.phase(), Some(Phase::Acquire));
    assert!(cause.to_string().contains("limit"), "{cause}");
    // The SDK has made three attempts, and none of them was sent.
    assert_eq!(rogue.requests().len(), 1);
    drop(held);
}

/// S3 client that treats an upload as stalled after one second, and does not retry.
fn impatient(rogue: &Rogue, pool: &Pool) -> Client {
    let protection = StalledStreamProtectionConfig::enabled().grace_period(Duration::from_millis(1)).build();
    let config = at(rogue, HttpClient::new(pool)).stalled_stream_protection(protection);
    Client::from_conf(config.retry_config(RetryConfig::disabled()).build())
}

#[tokio::test]
async fn a_waiting_upload_from_memory_does_not_count_as_stalled() {
    let gate = Gate::new();
    let held = gate.clone();
    let first = move || vec![Step::ReadHead, Step::WaitFor(held.clone()), Step::ok("")];
    let rogue = Rogue::start(move |_| [first(), Step::serve("")].concat()).await;
    let pool = Pool::builder().limit(1).build().unwrap();
    let s3 = impatient(&rogue, &pool);
    let first = tokio::spawn(s3.get_object().bucket("bucket").key("first").send());
    gate.reached(1).await;
    let put = s3.put_object().bucket("bucket").key("waits").body(ByteStream::from_static(b"text"));
    let put = tokio::spawn(put.send());
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(pool.stats().waiting, 1);
    gate.open();
    let got = within(SOON, first).await.unwrap().unwrap();
    within(SOON, got.body.collect()).await.unwrap();
    within(SOON, put).await.unwrap().unwrap();
    let sent: Vec<_> = rogue.requests().into_iter().map(|request| (request.method, request.body)).collect();
    assert_eq!(sent, [("GET".to_owned(), b"".to_vec()), ("PUT".to_owned(), b"text".to_vec())]);
}

/// A stream is not read before the request has a connection. The crate documentation describes this
/// limitation.
#[tokio::test]
async fn a_streamed_upload_that_waits_too_long_counts_as_stalled() {
    let gate = Gate::new();
    let held = gate.clone();
    let rogue = Rogue::start(move |_| vec![Step::ReadHead, Step::WaitFor(held.clone())]).await;
    let pool = Pool::builder().limit(1).build().unwrap();
    let s3 = impatient(&rogue, &pool);
    let first = tokio::spawn(s3.get_object().bucket("bucket").key("first").send());
    gate.reached(1).await;
    let dir = TempDir::new("limits");
    let body = ByteStream::from_path(dir.write("object", "text")).await.unwrap();
    let put = s3.put_object().bucket("bucket").key("waits").body(body);
    let error = within(SOON, put.send()).await.unwrap_err();
    assert!(is_timeout(&error) && format!("{error:?}").contains("ThroughputBelowMinimum"), "{error:?}");
    assert_eq!(pool.stats().waiting, 0, "the waiter has left the queue");
    first.abort();
}
