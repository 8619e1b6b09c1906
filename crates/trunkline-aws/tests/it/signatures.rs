//! Tests of signatures: the server receives exactly the request that the SDK signed.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use trunkline::Pool;
use trunkline_aws::HttpClient;

use crate::clients::{bucket, config, s3};
use crate::servers::{AccessKey, Moto};
use crate::{SOON, within};

#[tokio::test]
async fn a_wrong_secret_is_rejected_and_a_valid_one_accepted() {
    let moto = Moto::shared().await;
    let pool = Pool::new();
    let valid = s3(&pool).await;
    let bucket = bucket(&valid).await;
    let unknown_id = AccessKey { id: "AKIAIOSFODNN7EXAMPLE".into(), ..moto.key().clone() };
    let wrong_secret = AccessKey { secret: "wrong".into(), ..moto.key().clone() };
    for (key, code) in [(wrong_secret, "SignatureDoesNotMatch"), (unknown_id, "InvalidAccessKeyId")] {
        let invalid = Client::from_conf(config(HttpClient::new(&pool), &moto.url(), &key).build());
        let put = invalid.put_object().bucket(&bucket).key("key").body(ByteStream::from_static(b"text"));
        let error = within(SOON, put.send()).await.unwrap_err();
        assert_eq!(error.raw_response().unwrap().status().as_u16(), 403);
        assert_eq!(error.code(), Some(code));
    }
    let put = valid.put_object().bucket(&bucket).key("key").body(ByteStream::from_static(b"text"));
    within(SOON, put.send()).await.unwrap();
}

#[tokio::test]
async fn debug_output_contains_no_key() {
    let moto = Moto::shared().await;
    let pool = Pool::new();
    let http = HttpClient::new(&pool);
    let client = Client::from_conf(config(http.clone(), &moto.url(), moto.key()).build());
    within(SOON, client.list_buckets().send()).await.unwrap();
    let shown = format!("{http:?} {pool:?} {:?}", pool.stats());
    assert!(shown.contains("HttpClient") && !shown.contains(&moto.key().id) && !shown.contains(&moto.key().secret));
}
