//! Tests of closing the pool under running SDK calls.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::SdkError;
use trunkline::{Pool, Session};
use trunkline_aws::HttpClient;

use crate::clients::{CountingClient, at, cause};
use crate::servers::{Gate, Rogue, Step, sockets_to};
use crate::{SOON, eventually, within};

#[tokio::test]
async fn running_calls_finish_and_new_ones_fail_without_a_retry() {
    let gate = Gate::new();
    let held = gate.clone();
    let object =
        vec![Step::ReadHead, Step::send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nte"), Step::WaitFor(held.clone())];
    let rogue = Rogue::start(move |_| [object.clone(), vec![Step::send("xt"), Step::Drain]].concat()).await;
    let session = Session::new();
    let http = CountingClient::new(HttpClient::from(&session));
    let s3 = Client::from_conf(at(&rogue, http.clone()).build());
    let got = within(SOON, s3.get_object().bucket("bucket").key("key").send()).await.unwrap();
    let reading = tokio::spawn(got.body.collect());
    gate.reached(1).await;

    let mut closing = Box::pin(session.close());
    tokio::time::timeout(Duration::from_millis(1), &mut closing).await.unwrap_err();
    let error = within(SOON, s3.list_buckets().send()).await.unwrap_err();
    assert_eq!(http.attempts(), 2, "one per call");
    assert!(matches!(&error, SdkError::DispatchFailure(failure) if failure.is_other()), "{error:?}");
    assert!(cause(&error).is_closed(), "{error:?}");

    gate.open();
    assert_eq!(within(SOON, reading).await.unwrap().unwrap().into_bytes(), "text".as_bytes());
    let report = within(SOON, closing).await;
    assert_eq!((report.drained, report.aborted), (1, 0), "{report:?}");
    assert!(sockets_to(rogue.port()).is_empty());
}

#[tokio::test]
async fn a_call_that_waits_for_a_connection_fails_with_the_close() {
    let rogue = Rogue::start(vec![Step::ReadHead, Step::Hold]).await;
    let pool = Pool::builder().limit(1).build().unwrap();
    let s3 = Client::from_conf(at(&rogue, HttpClient::new(&pool)).build());
    let calls = [s3.list_buckets().send(), s3.list_buckets().send()].map(tokio::spawn);
    eventually("one call waits for the other", || pool.stats().waiting == 1 && pool.stats().in_use == 1).await;
    within(SOON, rogue.wait_until(|log| log.requests.len() == 1)).await;
    within(SOON, pool.close_within(Duration::from_millis(50))).await;
    for call in calls {
        let error = within(SOON, call).await.unwrap().unwrap_err();
        assert!(cause(&error).is_closed(), "{error:?}");
    }
    assert_eq!(rogue.requests().len(), 1);
}
