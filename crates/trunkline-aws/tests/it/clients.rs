//! SDK clients of the tests, over a pool.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_credential_types::Credentials;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Builder, Region};
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::{Client, Config};
use aws_smithy_runtime_api::client::http::{
    HttpClient as SmithyHttpClient, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use trunkline::Pool;
use trunkline_aws::HttpClient;

use crate::servers::{AccessKey, Moto, Rogue};

/// S3 configuration for this address, otherwise with the SDK's defaults.
pub(crate) fn config(http: impl SmithyHttpClient + 'static, url: &str, key: &AccessKey) -> Builder {
    Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(url)
        .force_path_style(true)
        .credentials_provider(Credentials::from_keys(&key.id, &key.secret, None))
        .http_client(http)
}

/// S3 client for moto without retries, so that each failure shows.
pub(crate) async fn s3(pool: &Pool) -> Client {
    s3_of(Moto::shared().await, pool)
}

pub(crate) fn s3_of(moto: &Moto, pool: &Pool) -> Client {
    let config = config(HttpClient::new(pool), &moto.url(), moto.key()).retry_config(RetryConfig::disabled());
    Client::from_conf(config.build())
}

/// S3 configuration for a server that checks no signatures.
pub(crate) fn at(rogue: &Rogue, http: impl SmithyHttpClient + 'static) -> Builder {
    let key = AccessKey { id: "AKIDEXAMPLE".into(), secret: "secret-of-the-key".into() };
    config(http, &rogue.url(""), &key)
}

/// HTTP client that counts the SDK's attempts.
#[derive(Clone, Debug)]
pub(crate) struct CountingClient {
    http: HttpClient,
    attempts: Arc<AtomicUsize>,
}

impl CountingClient {
    pub(crate) fn new(http: HttpClient) -> Self {
        Self { http, attempts: Arc::default() }
    }

    pub(crate) fn attempts(&self) -> usize {
        self.attempts.load(Ordering::Relaxed)
    }
}

impl SmithyHttpClient for CountingClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, parts: &RuntimeComponents) -> SharedHttpConnector {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        self.http.http_connector(settings, parts)
    }
}

/// Creates a bucket and returns its name.
pub(crate) async fn bucket(s3: &Client) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("bucket-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    s3.create_bucket().bucket(&name).send().await.unwrap();
    name
}

/// Finds the pool's error among the sources.
pub(crate) fn cause<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a trunkline::Error {
    let mut error = Some(error);
    while let Some(this) = error {
        if let Some(found) = this.downcast_ref() {
            return found;
        }
        error = this.source();
    }
    panic!("the sources contain no error of the pool")
}

/// True if the SDK classes the failure as a timeout of the connector.
pub(crate) fn is_timeout<E, R>(error: &SdkError<E, R>) -> bool {
    matches!(error, SdkError::DispatchFailure(failure) if failure.is_timeout())
}
