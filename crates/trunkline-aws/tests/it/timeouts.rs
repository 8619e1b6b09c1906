//! Tests of the SDK's timeouts and of the retries after them.

use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body::Frame;
use http_body_util::StreamBody;
use trunkline::{Phase, Pool, RequestSent};
use trunkline_aws::HttpClient;

use crate::clients::{at, cause, config, is_timeout};
use crate::servers::{AccessKey, Deaf, Rogue, Step, sockets_to};
use crate::{SOON, eventually, within};

const BUCKETS: &str = "<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>";
const SHORT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_connect_timeout_ends_the_dial_and_is_retried() {
    let deaf = Deaf::start().await;
    let pool = Pool::new();
    let key = AccessKey { id: "AKIDEXAMPLE".into(), secret: "secret".into() };
    let timeouts = TimeoutConfig::builder().connect_timeout(SHORT).build();
    let config = config(HttpClient::new(&pool), &deaf.url(""), &key).timeout_config(timeouts);
    let call = Client::from_conf(config.build());
    let error = within(SOON, call.list_buckets().send()).await.unwrap_err();
    assert!(is_timeout(&error), "{error:?}");
    let cause = cause(&error);
    assert!(cause.is_connect() && cause.is_timeout() && cause.phase() == Some(Phase::Connect), "{cause}");
    assert_eq!(pool.stats().dials_failed, 3, "three attempts are the SDK's default");
    eventually("no socket is left", || sockets_to(deaf.port()).len() == deaf.queued()).await;
}

#[tokio::test]
async fn a_read_timeout_ends_a_call_to_a_silent_server() {
    let rogue = Rogue::start(vec![Step::ReadHead, Step::Hold]).await;
    let pool = Pool::new();
    let timeouts = TimeoutConfig::builder().read_timeout(SHORT).build();
    let s3 = Client::from_conf(at(&rogue, HttpClient::new(&pool)).timeout_config(timeouts).build());
    let error = within(SOON, s3.list_buckets().send()).await.unwrap_err();
    assert!(is_timeout(&error), "{error:?}");
    let cause = cause(&error);
    assert!(cause.is_timeout() && cause.phase() == Some(Phase::Response), "{cause}");
    assert_eq!(cause.request_sent(), RequestSent::Maybe);
    within(SOON, rogue.wait_until(|log| log.requests.len() == 3)).await;
    assert_eq!((rogue.accepted(), pool.stats().open), (3, 0));
}

#[tokio::test]
async fn a_slow_upload_does_not_exceed_the_read_timeout() {
    let rogue = Rogue::start(Step::serve("")).await;
    let limit = Duration::from_secs(2);
    let timeouts = TimeoutConfig::builder().read_timeout(limit).build();
    let s3 = Client::from_conf(at(&rogue, HttpClient::from(Pool::new())).timeout_config(timeouts).build());
    let slowly = stream::unfold(0, |piece| async move {
        tokio::time::sleep(SHORT).await;
        (piece < 30).then(|| (Ok::<_, std::io::Error>(Frame::data(Bytes::from(vec![7; 100_000]))), piece + 1))
    });
    let body = ByteStream::new(SdkBody::from_body_1_x(StreamBody::new(Box::pin(slowly.fuse()))));
    let begun = Instant::now();
    let put = s3.put_object().bucket("bucket").key("key").content_length(3_000_000).body(body);
    within(SOON, put.send()).await.unwrap();
    assert!(begun.elapsed() > limit);
}

#[tokio::test]
async fn a_response_that_stalls_exceeds_the_read_timeout() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbeginning";
    let rogue = Rogue::start(vec![Step::ReadHead, Step::send(head), Step::Hold]).await;
    let timeouts = TimeoutConfig::builder().read_timeout(SHORT).build();
    let s3 = Client::from_conf(at(&rogue, HttpClient::from(Pool::new())).timeout_config(timeouts).build());
    let got = within(SOON, s3.get_object().bucket("bucket").key("key").send()).await.unwrap();
    let error = within(SOON, got.body.collect()).await.unwrap_err();
    let cause = cause(&error);
    assert!(cause.is_timeout() && cause.phase() == Some(Phase::Body), "{cause}");
}

/// trunkline's defaults would end the call: 300 s in total, 60 s for `read`.
#[tokio::test]
async fn without_an_sdk_timeout_a_call_may_take_any_time() {
    let gate = crate::servers::Gate::new();
    let held = gate.clone();
    let rogue = Rogue::start(move |_| vec![Step::ReadHead, Step::WaitFor(held.clone()), Step::ok(BUCKETS)]).await;
    let s3 = Client::from_conf(at(&rogue, HttpClient::from(Pool::new())).build());
    let call = tokio::spawn(s3.list_buckets().send());
    gate.reached(1).await;
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(1000)).await;
    tokio::time::resume();
    assert!(!call.is_finished());
    gate.open();
    within(SOON, call).await.unwrap().unwrap();
    assert_eq!(rogue.requests().len(), 1);
}

#[tokio::test]
async fn an_operation_timeout_closes_the_connection() {
    let rogue = Rogue::start(vec![Step::ReadHead, Step::Drain]).await;
    let pool = Pool::new();
    let timeouts = TimeoutConfig::builder().operation_timeout(SHORT).build();
    let s3 = Client::from_conf(at(&rogue, HttpClient::new(&pool)).timeout_config(timeouts).build());
    let error = within(SOON, s3.list_buckets().send()).await.unwrap_err();
    assert!(matches!(error, SdkError::TimeoutError(_)), "{error:?}");
    eventually("nothing is open", || pool.stats().open == 0 && sockets_to(rogue.port()).is_empty()).await;
}
