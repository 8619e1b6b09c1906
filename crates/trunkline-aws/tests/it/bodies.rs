//! Tests of request bodies: streaming, announced lengths and failures.

use std::io;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::StreamBody;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use trunkline::Pool;
use trunkline_aws::HttpClient;

use crate::clients::{at, bucket, cause, s3};
use crate::servers::{Rogue, Step, TempDir, TestCa};
use crate::{SOON, within};

type Put = JoinHandle<Result<(), SdkError<PutObjectError>>>;

/// Starts the upload of a ten-byte object whose bytes the test sends through the channel.
fn put_ten(rogue: &Rogue, pool: &Pool) -> (mpsc::UnboundedSender<io::Result<Bytes>>, Put) {
    let (sender, mut receiver) = mpsc::unbounded_channel::<io::Result<Bytes>>();
    let frames = stream::poll_fn(move |cx| receiver.poll_recv(cx).map_ok(http_body::Frame::data));
    let body = ByteStream::new(SdkBody::from_body_1_x(StreamBody::new(frames)));
    // With checksums the SDK sends chunks of its own, and fills each before it sends it.
    let plain = at(rogue, HttpClient::new(pool)).request_checksum_calculation(RequestChecksumCalculation::WhenRequired);
    let put = Client::from_conf(plain.build()).put_object().bucket("bucket").key("key").content_length(10).body(body);
    (sender, tokio::spawn(async move { put.send().await.map(drop) }))
}

/// Waits until the server has received `length` bytes of the body.
async fn received(rogue: &Rogue, length: u64) {
    within(SOON, rogue.wait_until(|log| log.requests.first().is_some_and(|request| request.length >= length))).await;
}

#[tokio::test]
async fn a_file_is_uploaded_with_its_length_and_downloads_intact() {
    let dir = TempDir::new("bodies");
    let content: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let path = dir.write("object", &content);
    let s3 = s3(&Pool::new()).await;
    let bucket = bucket(&s3).await;
    let body = ByteStream::from_path(&path).await.unwrap();
    within(SOON, s3.put_object().bucket(&bucket).key("file").body(body).send()).await.unwrap();
    let got = within(SOON, s3.get_object().bucket(&bucket).key("file").send()).await.unwrap();
    assert_eq!(got.content_length(), Some(content.len() as i64));
    assert!(within(SOON, got.body.collect()).await.unwrap().into_bytes() == content);

    // On the wire: one message of known length, which contains the SDK's own chunks.
    let rogue = Rogue::start(Step::serve("")).await;
    let s3 = Client::from_conf(at(&rogue, HttpClient::from(Pool::new())).build());
    let body = ByteStream::from_path(&path).await.unwrap();
    within(SOON, s3.put_object().bucket("bucket").key("file").body(body).send()).await.unwrap();
    let sent = rogue.requests().pop().unwrap();
    assert_eq!(sent.header("content-length"), Some(sent.length.to_string().as_str()));
    assert_eq!(sent.header("transfer-encoding"), None);
    assert_eq!(sent.header("x-amz-decoded-content-length"), Some(content.len().to_string().as_str()));
}

/// Over TLS the SDK does not sign each chunk.
#[tokio::test]
async fn a_file_is_uploaded_over_tls() {
    let dir = TempDir::new("bodies");
    let path = dir.write("object", vec![b'7'; 100_000]);
    let ca = TestCa::new();
    let rogue = Rogue::tls(&ca, Step::serve("")).await;
    let pool = Pool::builder().add_root_certificate(ca.pem()).build().unwrap();
    let s3 = Client::from_conf(at(&rogue, HttpClient::new(&pool)).build());
    for _ in 0..2 {
        let body = ByteStream::from_path(&path).await.unwrap();
        within(SOON, s3.put_object().bucket("bucket").key("file").body(body).send()).await.unwrap();
    }
    let sent = rogue.requests().pop().unwrap();
    assert_eq!(sent.header("x-amz-content-sha256"), Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER"));
    assert!(sent.body.iter().filter(|&&byte| byte == b'7').count() >= 100_000);
    assert_eq!((pool.stats().created, pool.stats().reused), (1, 1));
}

#[tokio::test]
async fn a_streamed_body_is_sent_chunk_by_chunk() {
    let rogue = Rogue::start(Step::serve("")).await;
    let (sender, put) = put_ten(&rogue, &Pool::new());
    sender.send(Ok("12345".into())).unwrap();
    // The second half does not exist yet.
    received(&rogue, 5).await;
    sender.send(Ok("67890".into())).unwrap();
    drop(sender);
    within(SOON, put).await.unwrap().unwrap();
    let sent = rogue.requests().pop().unwrap();
    assert_eq!((sent.header("content-length"), sent.body.as_slice()), (Some("10"), b"1234567890".as_slice()));
}

/// True if the SDK classes the failure as the caller's, which it does not retry.
fn is_user_error(error: &SdkError<PutObjectError>) -> bool {
    matches!(error, SdkError::DispatchFailure(failure) if failure.is_user())
}

#[tokio::test]
async fn a_failing_body_is_a_user_error_and_is_not_retried() {
    let rogue = Rogue::start(Step::serve("")).await;
    let pool = Pool::new();
    let (sender, put) = put_ten(&rogue, &pool);
    sender.send(Ok("12345".into())).unwrap();
    received(&rogue, 5).await;
    sender.send(Err(io::Error::other("the disk is on fire"))).unwrap();
    let error = within(SOON, put).await.unwrap().unwrap_err();
    assert!(is_user_error(&error) && cause(&error).is_body(), "{error:?}");
    assert!(format!("{error:?}").contains("the disk is on fire"), "{error:?}");
    assert_eq!((rogue.accepted(), pool.stats().open), (1, 0));
}

#[tokio::test]
async fn a_body_of_another_length_than_announced_is_a_user_error() {
    for (piece, length) in [("12345", "5"), ("1234567890+", "10")] {
        let rogue = Rogue::start(Step::serve("")).await;
        let (sender, put) = put_ten(&rogue, &Pool::new());
        sender.send(Ok(piece.into())).unwrap();
        drop(sender);
        let error = within(SOON, put).await.unwrap().unwrap_err();
        assert!(is_user_error(&error), "{error:?}");
        assert!(format!("{:?}", cause(&error)).contains(length), "{error:?}");
    }
}

#[tokio::test]
async fn an_upload_that_is_rejected_early_returns_the_response() {
    let refused = "<Error><Code>EntityTooLarge</Code></Error>";
    let rogue = Rogue::start(vec![
        Step::ReadHead,
        Step::respond(400, refused),
        Step::Pause(Duration::from_millis(50)),
        Step::Close,
    ])
    .await;
    let s3 = Client::from_conf(at(&rogue, HttpClient::from(Pool::new())).build());
    let put = s3.put_object().bucket("bucket").key("key").body(ByteStream::from(vec![7; 4_000_000]));
    let error = within(SOON, put.send()).await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 400, "{error:?}");
    assert_eq!(rogue.requests().len(), 1);
}
