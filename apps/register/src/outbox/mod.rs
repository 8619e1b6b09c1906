//! The sender: takes the mails that are due out of the database and hands them to Amazon SES.

use crate::store::Store;

/// What sends the mails. A clone is a handle to the same.
#[derive(Clone, Debug)]
pub struct Outbox {
    store: Store,
}

/// What this copy of the service has sent since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxFigures {
    /// Mails that SES took.
    pub sent: u64,
    /// Attempts that failed.
    pub failed_attempts: u64,
    /// Mails that SES refused, and that are not tried again.
    pub dead: u64,
    /// SES takes no mail of this account, so everything waits.
    pub paused: bool,
    /// Mails being sent.
    pub sending: usize,
}

impl Outbox {
    /// The figures, now.
    pub fn figures(&self) -> OutboxFigures {
        OutboxFigures::default()
    }

    /// How many mails wait to be sent, of all copies.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn pending(&self) -> anyhow::Result<i64> {
        let _ = &self.store;
        Ok(0)
    }
}
