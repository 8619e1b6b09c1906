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

/// Sends mail by Amazon SES. A clone is the same client.
#[derive(Clone)]
pub struct Ses {
    client: Client,
    from: Arc<str>,
}

impl Ses {
    /// A client over this pool, with credentials and a region that were found: nothing of this is
    /// left to go wrong at the first mail.
    ///
    /// # Errors
    ///
    /// The sender is not an address, or there is no region or no credentials. The error says where
    /// they were looked for.
    pub async fn open(settings: SesSettings, pool: &Pool) -> Result<Self> {
        let from = settings.checked_from()?;
        let within = settings.send_within;
        let timeouts = TimeoutConfig::builder().operation_timeout(within).operation_attempt_timeout(within).build();
        let config =
            settings.resolve(pool).await?.retry_config(RetryConfig::disabled()).timeout_config(timeouts).build();
        Ok(Self { client: Client::from_conf(config), from })
    }

    /// Hands the mail over, and gives the id that SES has for it. SES takes what it is handed twice
    /// for two mails, so after an attempt whose end is unknown there may be two, told apart
    /// from two different ones by [`Mail::id`].
    ///
    /// # Errors
    ///
    /// [`Unsent`] tells a failure of this mail from one of all mails.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it is not known whether the mail was sent.
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
