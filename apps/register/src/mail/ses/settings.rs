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

/// A limit for a send that leaves SES time on a bad day.
pub const SEND_WITHIN: Duration = Duration::from_secs(20);

/// For credentials and a region to be found. Where there is no EC2 to ask for them, asking takes
/// some seconds.
const FIND_WITHIN: Duration = Duration::from_secs(15);

/// The settings of [`Ses`](super::Ses).
#[derive(Clone, Debug)]
pub struct SesSettings {
    /// The sender: `mail@example.com`, or `Example <mail@example.com>`. SES has to know it, or its
    /// domain, as verified.
    pub from: String,
    /// `eu-central-1`; if none, what the environment says.
    pub region: Option<String>,
    /// Another address of SES than the region's: a VPC's, a test's, the development mailbox's.
    pub endpoint: Option<Url>,
    /// Credentials of the requests.
    pub credentials: Credentials,
    /// By when a call of [`Ses::send`](super::Ses::send) has ended, from waiting for a connection
    /// to the answer's last byte. A lease on a mail has to be longer. [`SEND_WITHIN`] is enough
    /// for SES on any day.
    pub send_within: Duration,
}

/// Credentials for SES.
#[derive(Clone)]
pub enum Credentials {
    /// Those that the AWS SDK finds: environment, profile, web identity, ECS, EC2. They are renewed
    /// before they expire.
    Ambient,
    /// These.
    Fixed {
        /// The access key's id, which is not secret.
        key_id: String,
        /// The secret access key.
        secret: SecretString,
    },
}

impl SesSettings {
    /// For the development mailbox, which takes any credentials.
    pub fn development(from: String, endpoint: Url) -> Self {
        Self {
            from,
            region: Some("us-east-1".to_owned()),
            endpoint: Some(endpoint),
            credentials: Credentials::Fixed { key_id: "development".to_owned(), secret: "development".into() },
            send_within: SEND_WITHIN,
        }
    }

    /// The sender, if SES can take it for one.
    pub(super) fn checked_from(&self) -> Result<Arc<str>> {
        let from = settings::sender(&self.from).map_err(|wrong| anyhow!("{:?} is no sender: {wrong}", self.from))?;
        Ok(from.into())
    }

    /// The SDK's configuration, with a region and credentials that were there a moment ago.
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
            provider.provide_credentials().await.map_err(told)?;
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

/// The whole of what went wrong in one line: the SDK's errors say at each level little.
fn told(error: aws_credential_types::provider::error::CredentialsError) -> anyhow::Error {
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
