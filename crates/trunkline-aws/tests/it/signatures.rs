//! The server looks at signatures: what goes over the wire is what was signed.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use trunkline::Pool;
use trunkline_aws::HttpClient;

use crate::clients::{bucket, config, s3};
use crate::servers::{AccessKey, Moto};
use crate::{SOON, within};

#[tokio::test]
async fn a_wrong_secret_is_refused_and_a_good_one_is_not() {
    let moto = Moto::shared().await;
    let pool = Pool::new();
    let good = s3(&pool).await;
    let bucket = bucket(&good).await;
    let stranger = AccessKey { id: "AKIAIOSFODNN7EXAMPLE".into(), ..moto.key().clone() };
    let liar = AccessKey { secret: "wrong".into(), ..moto.key().clone() };
    for (key, code) in [(liar, "SignatureDoesNotMatch"), (stranger, "InvalidAccessKeyId")] {
        let bad = Client::from_conf(config(HttpClient::new(&pool), &moto.url(), &key).build());
        let put = bad.put_object().bucket(&bucket).key("key").body(ByteStream::from_static(b"text"));
        let error = within(SOON, put.send()).await.unwrap_err();
        assert_eq!(error.raw_response().unwrap().status().as_u16(), 403);
        assert_eq!(error.code(), Some(code));
    }
    let put = good.put_object().bucket(&bucket).key("key").body(ByteStream::from_static(b"text"));
    within(SOON, put.send()).await.unwrap();
}

#[tokio::test]
async fn a_key_is_not_shown() {
    let moto = Moto::shared().await;
    let pool = Pool::new();
    let http = HttpClient::new(&pool);
    let client = Client::from_conf(config(http.clone(), &moto.url(), moto.key()).build());
    within(SOON, client.list_buckets().send()).await.unwrap();
    let shown = format!("{http:?} {pool:?} {:?}", pool.stats());
    assert!(shown.contains("HttpClient") && !shown.contains(&moto.key().id) && !shown.contains(&moto.key().secret));
}
