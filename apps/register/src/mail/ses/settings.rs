//! Settings of the SES client: endpoint, region and credentials, from flags and environment.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_sesv2::config::{Builder, Region};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::timeout;
use trunkline::Pool;
use trunkline_aws::HttpClient;
use url::Url;

use crate::settings;

/// Default limit of one send, enough for SES under high load.
pub const SEND_WITHIN: Duration = Duration::from_secs(20);

/// Time limit for finding credentials and a region. Outside EC2 the SDK waits some seconds for an
/// answer of the instance metadata.
const FIND_WITHIN: Duration = Duration::from_secs(15);

/// Settings of [`Ses`](super::Ses).
#[derive(Clone, Debug)]
pub struct SesSettings {
    /// Sender: `mail@example.com`, or `Example <mail@example.com>`. SES must have verified it or
    /// its domain.
    pub from: String,
    /// Region, such as `eu-central-1`. None: from the environment.
    pub region: Option<String>,
    /// Endpoint in place of the region's, such as one in a VPC or the development mailbox.
    pub endpoint: Option<Url>,
    /// Credentials of the requests.
    pub credentials: Credentials,
    /// Time limit of one [`Ses::send`](super::Ses::send), from the wait for a connection to the
    /// last byte of the response. A lease on a mail has to be longer. [`SEND_WITHIN`] is the
    /// default.
    pub send_within: Duration,
}

/// Credentials of SES.
#[derive(Clone)]
pub enum Credentials {
    /// Credentials that the AWS SDK finds: environment, profile, web identity, ECS, EC2. They are
    /// renewed before they expire.
    Ambient,
    /// Fixed credentials.
    Fixed {
        /// Access key id, which is not secret.
        key_id: String,
        /// Secret access key.
        secret: SecretString,
    },
}

impl SesSettings {
    /// Settings for the development mailbox, which accepts any credentials.
    pub fn development(from: String, endpoint: Url) -> Self {
        Self {
            from,
            region: Some("us-east-1".to_owned()),
            endpoint: Some(endpoint),
            credentials: Credentials::Fixed { key_id: "development".to_owned(), secret: "development".into() },
            send_within: SEND_WITHIN,
        }
    }

    /// The sender, checked for a form that SES accepts.
    pub(super) fn checked_from(&self) -> Result<Arc<str>> {
        let from = settings::sender(&self.from).map_err(|wrong| anyhow!("{:?} is no sender: {wrong}", self.from))?;
        Ok(from.into())
    }

    /// Configuration of the SDK, with a region and credentials that were just found.
    pub(super) async fn resolve(&self, pool: &Pool) -> Result<Builder> {
        let found = match &self.credentials {
            // Boxed: the SDK's future is large.
            Credentials::Ambient => Box::pin(self.ambient(pool)).await?,
            Credentials::Fixed { key_id, secret } => {
                let secret = secret.expose_secret();
                let fixed = aws_credential_types::Credentials::new(key_id, secret, None, None, "fixed");
                SdkConfig::builder()
                    .behavior_version(BehaviorVersion::latest())
                    .http_client(HttpClient::new(pool))
                    .region(self.region.clone().map(Region::new))
                    .credentials_provider(SharedCredentialsProvider::new(fixed))
                    .build()
            }
        };
        let region = found.region().context("no AWS region is set: give one as '--aws-region', or in AWS_REGION")?;
        settings::region(region.as_ref()).map_err(|wrong| anyhow!("the region {:?}: {wrong}", region.as_ref()))?;
        let mut config = Builder::from(&found);
        if let Some(endpoint) = &self.endpoint {
            config = config.endpoint_url(endpoint.as_str().trim_end_matches('/'));
        }
        Ok(config)
    }

    async fn ambient(&self, pool: &Pool) -> Result<SdkConfig> {
        let found = async {
            let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(HttpClient::new(pool));
            if let Some(region) = &self.region {
                loader = loader.region(Region::new(region.clone()));
            }
            let found = loader.load().await;
            let provider = found.credentials_provider().context("nothing provides any")?;
            provider.provide_credentials().await.map_err(in_one_line)?;
            anyhow::Ok(found)
        };
        match timeout(FIND_WITHIN, found).await {
            Ok(found) => found,
            Err(_) => Err(anyhow!("none was found within {FIND_WITHIN:?}")),
        }
        .context(
            "no AWS credentials (looked in the environment, as AWS_ACCESS_KEY_ID, the profile, as ~/.aws, web identity, ECS and EC2; \
             '--mail dev' needs none)",
        )
    }
}

/// All levels of the SDK's error in one line, because one level says little.
fn in_one_line(error: aws_credential_types::provider::error::CredentialsError) -> anyhow::Error {
    anyhow!("{:#}", anyhow::Error::new(error))
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ambient => f.write_str("Ambient"),
            Self::Fixed { key_id, .. } => f.debug_struct("Fixed").field("key_id", key_id).finish_non_exhaustive(),
        }
    }
}
