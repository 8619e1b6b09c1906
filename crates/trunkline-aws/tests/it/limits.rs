//! The pool's limits hold for an SDK, as many calls as it makes at once.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use trunkline::{Phase, Pool, Timeouts};
use trunkline_aws::HttpClient;

use crate::clients::{at, bucket, cause, is_timeout, s3};
use crate::servers::{Moto, Rogue, Step, watch};
use crate::{SOON, within};

#[tokio::test]
async fn two_hundred_calls_at_once_never_have_more_than_four_connections() {
    let pool = Pool::builder().limit(4).build().unwrap();
    let s3 = s3(&pool).await;
    let bucket = bucket(&s3).await;
    let text = "x".repeat(10_000);
    within(SOON, s3.put_object().bucket(&bucket).key("key").body(text.clone().into_bytes().into()).send())
        .await
        .unwrap();
    let watcher = watch(Moto::shared().await.port(), Duration::from_millis(1));
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
async fn a_call_may_be_told_how_long_to_wait_for_a_connection() {
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
    // Asked three times, as the SDK does for a timeout, and sent never.
    assert_eq!(rogue.requests().len(), 1);
    drop(held);
}

/// The SDK gives an upload five seconds in which nobody reads its body.
#[tokio::test]
async fn an_upload_from_memory_may_wait_for_long_and_does_not_count_as_stalled() {
    let gate = crate::servers::Gate::new();
    let held = gate.clone();
    let rogue = Rogue::start(move |connection| match connection {
        0 => [vec![Step::ReadHead, Step::WaitFor(held.clone()), Step::ok("")], Step::serve("")].concat(),
        _ => Step::serve(""),
    })
    .await;
    let pool = Pool::builder().limit(1).build().unwrap();
    let s3 = Client::from_conf(at(&rogue, HttpClient::new(&pool)).build());
    let first = tokio::spawn(s3.get_object().bucket("bucket").key("first").send());
    gate.reached(1).await;
    let put = s3.put_object().bucket("bucket").key("waits").body(ByteStream::from_static(b"text"));
    let put = tokio::spawn(put.send());
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(pool.stats().waiting, 1);
    gate.open();
    within(SOON, first).await.unwrap().unwrap();
    within(SOON, put).await.unwrap().unwrap();
    let sent = rogue.requests();
    assert_eq!(sent.iter().map(|request| request.method.as_str()).collect::<Vec<_>>(), ["GET", "PUT"]);
    assert_eq!(sent[1].body, b"text");
}
