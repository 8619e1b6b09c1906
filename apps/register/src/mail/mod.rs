//! Mails of the service: their content, and the client of Amazon SES that sends them.

mod content;
mod ses;

use std::fmt;

use uuid::Uuid;

pub use self::content::{activation, already_registered};
pub use self::ses::{Credentials, SEND_WITHIN, Ses, SesSettings, Unsent};

/// Mail to one address.
///
/// The bodies may contain a link with a token, so [`Debug`](fmt::Debug) omits them.
#[derive(Clone)]
pub struct Mail {
    /// Id, the same on each attempt. A tag and a header carry it, so that two copies of one mail
    /// can be recognised.
    pub id: Uuid,
    /// Recipient, as typed.
    pub to: String,
    /// Subject line.
    pub subject: String,
    /// Body in plain text.
    pub text: String,
    /// Body in HTML.
    pub html: String,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("id", &self.id).field("subject", &self.subject).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
