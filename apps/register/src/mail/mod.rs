//! The mails: what they say, and how Amazon SES takes them.

mod content;
mod ses;

use std::fmt;

use uuid::Uuid;

pub use self::content::{activation, already_registered};
pub use self::ses::{Credentials, SEND_WITHIN, Ses, SesSettings, Unsent};

/// A mail to one address, as it is sent.
///
/// Its bodies may hold a link with a token in it, so [`Debug`](fmt::Debug) shows none of them.
#[derive(Clone)]
pub struct Mail {
    /// The same on each attempt: it goes along as a tag and as a header, by which two copies are
    /// known for one.
    pub id: Uuid,
    /// The address, as it was typed.
    pub to: String,
    /// The subject line.
    pub subject: String,
    /// The body for who reads plain text.
    pub text: String,
    /// The body for who reads HTML.
    pub html: String,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("id", &self.id).field("subject", &self.subject).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
