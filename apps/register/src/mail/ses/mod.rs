//! Client of Amazon SES v2 over the application's pool. One attempt per call: the outbox retries.

mod message;
mod settings;
mod unsent;

use std::fmt;
use std::sync::Arc;

use anyhow::Result;
use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::config::retry::RetryConfig;
use aws_sdk_sesv2::config::timeout::TimeoutConfig;
use trunkline::Pool;

pub use self::settings::{Credentials, SEND_WITHIN, SesSettings};
pub use self::unsent::Unsent;
use super::Mail;

/// Client that sends mail by Amazon SES. A clone is the same client.
#[derive(Clone)]
pub struct Ses {
    client: Client,
    from: Arc<str>,
}

impl Ses {
    /// Opens a client over this pool. Region and credentials are resolved here, so that a missing
    /// one is an error at the start and not at the first mail.
    ///
    /// # Errors
    ///
    /// The sender is not an address, or no region or credentials were found. The error names the
    /// places that were searched.
    pub async fn open(settings: SesSettings, pool: &Pool) -> Result<Self> {
        let from = settings.checked_from()?;
        let within = settings.send_within;
        let timeouts = TimeoutConfig::builder().operation_timeout(within).operation_attempt_timeout(within).build();
        let config =
            settings.resolve(pool).await?.retry_config(RetryConfig::disabled()).timeout_config(timeouts).build();
        Ok(Self { client: Client::from_conf(config), from })
    }

    /// Sends the mail once, and returns the message id of SES. SES does not deduplicate: after an
    /// attempt with an unknown outcome, a retry may deliver a second copy, which has the same
    /// [`Mail::id`].
    ///
    /// # Errors
    ///
    /// [`Unsent`] distinguishes a failure of this mail from a failure of all mails.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the mail may or may not have been sent.
    pub async fn send(&self, mail: &Mail) -> Result<String, Unsent> {
        let request = message::request(&self.client, &self.from, mail)?;
        match request.send().await {
            Ok(answer) => unsent::accepted(answer.message_id),
            Err(error) => Err(unsent::classed(&error, &self.from)),
        }
    }
}

impl fmt::Debug for Ses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ses").field("from", &self.from).finish_non_exhaustive()
    }
}
