//! Bodies go as they come, with the length they have; one that fails is its sender's fault and not the server's.

use std::io;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use trunkline::Pool;
use trunkline_aws::HttpClient;

use crate::clients::{at, bucket, cause, s3};
use crate::servers::{Rogue, Step, TempDir};
use crate::{SOON, within};

/// A body that comes when the test sends it.
fn fed() -> (Sender<Bytes, io::Error>, ByteStream) {
    let (sender, body) = Channel::new(1);
    (sender, ByteStream::new(SdkBody::from_body_1_x(body)))
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

#[tokio::test]
async fn a_body_goes_piece_by_piece_as_it_comes() {
    let rogue = Rogue::start(vec![Step::ReadHead, Step::Swallow(5), Step::ReadBody, Step::ok("")]).await;
    let s3 = Client::from_conf(at(&rogue, HttpClient::from(Pool::new())).build());
    let (mut sender, body) = fed();
    let put = tokio::spawn(s3.put_object().bucket("bucket").key("key").content_length(10).body(body).send());
    within(SOON, sender.send_data(Bytes::from_static(b"12345"))).await.unwrap();
    // The server has the first half before there is a second.
    within(SOON, rogue.wait_until(|log| !log.requests.is_empty())).await;
    within(SOON, sender.send_data(Bytes::from_static(b"67890"))).await.unwrap();
    drop(sender);
    within(SOON, put).await.unwrap().unwrap();
}

/// The failure that the SDK reports is the caller's, and is not tried again.
fn is_users(error: &SdkError<PutObjectError>) -> bool {
    matches!(error, SdkError::DispatchFailure(failure) if failure.is_user())
}

#[tokio::test]
async fn a_body_that_fails_is_an_error_of_the_callers_and_is_not_tried_again() {
    let rogue = Rogue::start(vec![Step::ReadHead, Step::Drain]).await;
    let pool = Pool::new();
    let s3 = Client::from_conf(at(&rogue, HttpClient::new(&pool)).build());
    let (mut sender, body) = fed();
    let put = tokio::spawn(s3.put_object().bucket("bucket").key("key").content_length(10).body(body).send());
    within(SOON, sender.send_data(Bytes::from_static(b"12345"))).await.unwrap();
    sender.abort(io::Error::other("the disk is on fire"));
    let error = within(SOON, put).await.unwrap().unwrap_err();
    assert!(is_users(&error), "{error:?}");
    assert!(cause(&error).is_body());
    assert!(format!("{error:?}").contains("the disk is on fire"), "{error:?}");
    assert_eq!((rogue.accepted(), pool.stats().open), (1, 0));
}

#[tokio::test]
async fn a_body_that_is_shorter_than_announced_is_an_error_of_the_callers() {
    let rogue = Rogue::start(vec![Step::ReadHead, Step::Drain]).await;
    let s3 = Client::from_conf(at(&rogue, HttpClient::from(Pool::new())).build());
    let (mut sender, body) = fed();
    let put = tokio::spawn(s3.put_object().bucket("bucket").key("key").content_length(10).body(body).send());
    within(SOON, sender.send_data(Bytes::from_static(b"12345"))).await.unwrap();
    drop(sender);
    let error = within(SOON, put).await.unwrap().unwrap_err();
    assert!(is_users(&error), "{error:?}");
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
