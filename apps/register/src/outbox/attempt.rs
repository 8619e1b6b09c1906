//! One attempt to send one mail: recipient, token, composition, send, and the record of the
//! outcome.

use std::time::Duration;

use anyhow::anyhow;
use tokio::time::{Instant, sleep, timeout_at};

use super::Outbox;
use super::pace::retry_after;
use crate::accounts::Token;
use crate::mail::{self, Mail, Unsent};
use crate::store::{Claimed, Recipient, answered};

/// The pause between two tries to record that a mail was sent.
const RECORD_PAUSE: Duration = Duration::from_millis(250);

impl Outbox {
    /// Sends a mail that was claimed just now, and records the outcome.
    pub(super) async fn attempt(&self, mail: Claimed) {
        let lease_ends = Instant::now() + self.settings.lease;
        // The last quarter of the lease is for recording the outcome.
        let send_deadline = lease_ends - self.settings.lease / 4;
        let sent = timeout_at(send_deadline, self.send(mail)).await;
        let late = || Err(Unsent::Failed(anyhow!("it took as long as its lease allows")));
        let noted = match sent.unwrap_or_else(|_| late().map(Some)) {
            Ok(Some(message_id)) => self.note_sent(mail, &message_id, lease_ends).await,
            // Another sender has it by now.
            Ok(None) => Ok(()),
            Err(unsent) => answered(self.note_unsent(mail, &unsent)).await,
        };
        if let Err(error) = noted {
            tracing::error!(id = %mail.id, error = format!("{error:#}"), "could not record the outcome of a mail");
        }
    }

    /// Sends the mail and returns SES's message id, or None if the lease has ended.
    async fn send(&self, mail: Claimed) -> Result<Option<String>, Unsent> {
        // The token exists in this function and in the mail only; its digest is stored.
        let token = Token::draw();
        let recipient = self.store.address(mail, &token.digest(), self.settings.token_lifetime).await;
        let Some(recipient) = recipient.map_err(Unsent::Failed)? else { return Ok(None) };
        let mail = self.compose(mail, &recipient, &token).map_err(Unsent::Refused)?;
        self.ses.send(&mail).await.map(Some)
    }

    fn compose(&self, mail: Claimed, recipient: &Recipient, token: &Token) -> anyhow::Result<Mail> {
        let site = &self.settings.public_url;
        match recipient {
            Recipient::Inactive { address } => {
                let mut link = site.clone();
                if let Ok(mut path) = link.path_segments_mut() {
                    path.pop_if_empty().push("activate");
                }
                link.query_pairs_mut().append_pair("token", &token.reveal());
                mail::activation(mail.id, address, link.as_str(), self.settings.token_lifetime)
            }
            Recipient::Active { address } => mail::already_registered(mail.id, address, site.as_str()),
        }
    }

    /// As long as the lease is ours: if it is not written down, the mail is sent again.
    async fn note_sent(&self, mail: Claimed, message_id: &str, lease_ends: Instant) -> anyhow::Result<()> {
        self.update(|pace, counts| {
            pace.sent(Instant::now());
            counts.sent += 1;
        });
        tracing::debug!(id = %mail.id, attempt = mail.attempt, message_id, "a mail was sent");
        loop {
            match answered(self.store.sent(mail, message_id)).await {
                Err(_) if Instant::now() + RECORD_PAUSE < lease_ends => sleep(RECORD_PAUSE).await,
                noted => return noted,
            }
        }
    }

    async fn note_unsent(&self, mail: Claimed, unsent: &Unsent) -> anyhow::Result<()> {
        let (now, chance) = (Instant::now(), chance());
        let after = retry_after(mail.attempt, chance);
        let newly_paused = self.update(|pace, counts| {
            counts.failed_attempts += 1;
            counts.dead += u64::from(matches!(unsent, Unsent::Refused(_)));
            match unsent {
                Unsent::Throttled(_) => pace.throttled(now, chance),
                Unsent::Paused(_) => return pace.paused(now, chance),
                Unsent::Refused(_) | Unsent::Failed(_) => {}
            }
            false
        });
        let Claimed { id, attempt, .. } = mail;
        match unsent {
            Unsent::Throttled(_) => {
                tracing::info!(%id, attempt, ?after, "{}", unsent.chain());
                self.store.later(mail, after, "throttled").await
            }
            Unsent::Failed(_) => {
                let error = unsent.chain();
                tracing::warn!(%id, attempt, ?after, "a mail was not sent, and will be tried again: {error}");
                self.store.later(mail, after, "failed").await
            }
            Unsent::Refused(_) => {
                let error = unsent.chain();
                tracing::error!(%id, attempt, "a mail was given up, until an operator sends it again: {error}");
                self.store.give_up(mail, &format!("{:#}", unsent.reason())).await
            }
            Unsent::Paused(_) => {
                if newly_paused {
                    tracing::error!("no mail is sent until this is mended: {}", unsent.chain());
                }
                // It is not this mail's fault, so it does not count.
                self.store.hand_back(mail).await
            }
        }
    }
}

/// Anything between 0 and 1.
fn chance() -> f64 {
    getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX))
}
