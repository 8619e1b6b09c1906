//! Tests of objects under unusual keys, and of connection reuse.

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use trunkline::Pool;

use crate::clients::{bucket, s3};
use crate::{SOON, within};

/// Keys that a client may normalize, escape or escape twice.
const KEYS: [&str; 12] = [
    "plain",
    "a/../b",
    "../up",
    "./here",
    "a//b",
    "with space",
    "100%25 pure%",
    "%2e%2e/%2F",
    "plus+and&equals=?question#hash",
    "naïve/日本/🚃",
    "semi;colon,comma:colon@at!$'()*~",
    "trailing/",
];

#[tokio::test]
async fn objects_work_under_any_key() {
    let pool = Pool::new();
    let s3 = s3(&pool).await;
    let bucket = bucket(&s3).await;
    for key in KEYS {
        let put = s3.put_object().bucket(&bucket).key(key).body(ByteStream::from(key.as_bytes().to_vec()));
        within(SOON, put.send()).await.unwrap_or_else(|error| panic!("{key}: {error:?}"));
        let got = within(SOON, s3.get_object().bucket(&bucket).key(key).send()).await.unwrap();
        assert_eq!(got.content_length(), Some(key.len() as i64));
        assert_eq!(within(SOON, got.body.collect()).await.unwrap().into_bytes(), key.as_bytes());
    }
    let listed = within(SOON, s3.list_objects_v2().bucket(&bucket).send()).await.unwrap();
    let mut expected = KEYS;
    expected.sort_unstable();
    let listed: Vec<_> = listed.contents().iter().map(|object| object.key().unwrap()).collect();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn sequential_calls_share_one_connection() {
    let pool = Pool::new();
    let s3 = s3(&pool).await;
    let bucket = bucket(&s3).await;
    for number in 0..20 {
        let put = s3.put_object().bucket(&bucket).key(number.to_string()).body(Bytes::from_static(b"text").into());
        within(SOON, put.send()).await.unwrap();
        let got = within(SOON, s3.get_object().bucket(&bucket).key(number.to_string()).send()).await.unwrap();
        within(SOON, got.body.collect()).await.unwrap();
        within(SOON, s3.head_object().bucket(&bucket).key(number.to_string()).send()).await.unwrap();
    }
    let stats = pool.stats();
    assert_eq!((stats.created, stats.reused), (1, 60), "{stats:?}");
}

#[tokio::test]
async fn a_missing_object_is_the_services_own_error() {
    let pool = Pool::new();
    let s3 = s3(&pool).await;
    let bucket = bucket(&s3).await;
    let error = within(SOON, s3.get_object().bucket(&bucket).key("nothing").send()).await.unwrap_err();
    assert!(error.into_service_error().is_no_such_key());
    assert_eq!(pool.stats().created, 1);
}
