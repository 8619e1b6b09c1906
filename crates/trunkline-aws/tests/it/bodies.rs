//! Bodies go as they come, with the length they have; one that fails is its sender's fault and not
//! the server's.

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

/// Begins to put an object of ten bytes, which come when the test sends them.
fn put_ten(rogue: &Rogue, pool: &Pool) -> (mpsc::UnboundedSender<io::Result<Bytes>>, Put) {
    let (sender, mut receiver) = mpsc::unbounded_channel::<io::Result<Bytes>>();
    let frames = stream::poll_fn(move |cx| receiver.poll_recv(cx).map_ok(http_body::Frame::data));
    let body = ByteStream::new(SdkBody::from_body_1_x(StreamBody::new(frames)));
    // Checksums come in chunks of the SDK's, which it fills before it sends one.
    let plain = at(rogue, HttpClient::new(pool)).request_checksum_calculation(RequestChecksumCalculation::WhenRequired);
    let put = Client::from_conf(plain.build()).put_object().bucket("bucket").key("key").content_length(10).body(body);
    (sender, tokio::spawn(async move { put.send().await.map(drop) }))
}

/// The server has so much of the body.
async fn has(rogue: &Rogue, length: u64) {
    within(SOON, rogue.wait_until(|log| log.requests.first().is_some_and(|request| request.length >= length))).await;
}

#[tokio::test]
async fn a_file_goes_up_with_its_length_and_comes_down_whole() {
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

    // What went over the wire: one message of known length, the SDK's own chunks within.
    let rogue = Rogue::start(Step::serve("")).await;
    let s3 = Client::from_conf(at(&rogue, HttpClient::from(Pool::new())).build());
    let body = ByteStream::from_path(&path).await.unwrap();
    within(SOON, s3.put_object().bucket("bucket").key("file").body(body).send()).await.unwrap();
    let sent = rogue.requests().pop().unwrap();
    assert_eq!(sent.header("content-length"), Some(sent.length.to_string().as_str()));
    assert_eq!(sent.header("transfer-encoding"), None);
    assert_eq!(sent.header("x-amz-decoded-content-length"), Some(content.len().to_string().as_str()));
}

/// Over TLS the SDK does not sign each piece.
#[tokio::test]
async fn a_file_goes_up_over_tls() {
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
async fn a_body_goes_piece_by_piece_as_it_comes() {
    let rogue = Rogue::start(Step::serve("")).await;
    let (sender, put) = put_ten(&rogue, &Pool::new());
    sender.send(Ok("12345".into())).unwrap();
    // Before there is a second half.
    has(&rogue, 5).await;
    sender.send(Ok("67890".into())).unwrap();
    drop(sender);
    within(SOON, put).await.unwrap().unwrap();
    let sent = rogue.requests().pop().unwrap();
    assert_eq!((sent.header("content-length"), sent.body.as_slice()), (Some("10"), b"1234567890".as_slice()));
}

/// The failure is the caller's, to the SDK, and it does not try again.
fn is_users(error: &SdkError<PutObjectError>) -> bool {
    matches!(error, SdkError::DispatchFailure(failure) if failure.is_user())
}

#[tokio::test]
async fn a_body_that_fails_is_an_error_of_the_callers_and_is_not_tried_again() {
    let rogue = Rogue::start(Step::serve("")).await;
    let pool = Pool::new();
    let (sender, put) = put_ten(&rogue, &pool);
    sender.send(Ok("12345".into())).unwrap();
    has(&rogue, 5).await;
    sender.send(Err(io::Error::other("the disk is on fire"))).unwrap();
    let error = within(SOON, put).await.unwrap().unwrap_err();
    assert!(is_users(&error) && cause(&error).is_body(), "{error:?}");
    assert!(format!("{error:?}").contains("the disk is on fire"), "{error:?}");
    assert_eq!((rogue.accepted(), pool.stats().open), (1, 0));
}

#[tokio::test]
async fn a_body_that_is_not_as_long_as_announced_is_an_error_of_the_callers() {
    for (piece, told) in [("12345", "5"), ("1234567890+", "10")] {
        let rogue = Rogue::start(Step::serve("")).await;
        let (sender, put) = put_ten(&rogue, &Pool::new());
        sender.send(Ok(piece.into())).unwrap();
        drop(sender);
        let error = within(SOON, put).await.unwrap().unwrap_err();
        assert!(is_users(&error), "{error:?}");
        assert!(cause(&error).to_string().contains(told), "{error:?}");
    }
}

#[tokio::test]
async fn an_upload_that_is_refused_early_is_the_services_answer() {
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
