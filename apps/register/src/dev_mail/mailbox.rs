//! Mailbox of the development server: the newest mails, in memory.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::watch;

/// Mail received by the development mailbox.
///
/// The bodies may contain a link with a token, so [`Debug`](fmt::Debug) omits them.
#[derive(Clone)]
#[non_exhaustive]
pub struct Received {
    /// `MessageId` of the response to the sender.
    pub id: String,
    /// Time of arrival.
    pub received_at: SystemTime,
    /// Sender, as sent.
    pub from: String,
    /// Recipients.
    pub to: Vec<String>,
    /// Subject line.
    pub subject: String,
    /// Body in plain text.
    pub text: Option<String>,
    /// Body in HTML.
    pub html: Option<String>,
    /// `EmailTags`, name and value.
    pub tags: Vec<(String, String)>,
    /// Custom headers, name and value.
    pub headers: Vec<(String, String)>,
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received").field("id", &self.id).field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Newest received mails. A clone is the same mailbox; it outlives the server.
#[derive(Clone, Debug)]
pub struct Mailbox(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    keep: usize,
    /// Oldest first.
    kept: Mutex<VecDeque<Arc<Received>>>,
    /// Number of mails received since the start.
    count: watch::Sender<u64>,
}

impl Mailbox {
    pub(super) fn new(keep: usize) -> Self {
        Self(Arc::new(Inner { keep, kept: Mutex::default(), count: watch::Sender::new(0) }))
    }

    /// Returns the mails, newest first.
    pub fn newest_first(&self) -> Vec<Arc<Received>> {
        self.kept().iter().rev().cloned().collect()
    }

    /// Returns the mail with this id, if it is still kept.
    pub fn get(&self, id: &str) -> Option<Arc<Received>> {
        self.kept().iter().rev().find(|mail| mail.id == id).cloned()
    }

    /// Number of mails received since the start, dropped ones included.
    pub fn count(&self) -> u64 {
        *self.0.count.borrow()
    }

    /// Waits until more than `seen` mails have been received, and returns their number. Begin with
    /// [`count`](Self::count), then pass the number returned last.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no mail is lost.
    pub async fn more_than(&self, seen: u64) -> u64 {
        let mut count = self.0.count.subscribe();
        // The mailbox holds the sender, so the wait ends in no other way.
        match count.wait_for(|count| *count > seen).await {
            Ok(count) => *count,
            Err(_) => seen,
        }
    }

    pub(super) fn put(&self, mail: Received) {
        let mut kept = self.kept();
        kept.push_back(Arc::new(mail));
        while kept.len() > self.0.keep {
            kept.pop_front();
        }
        drop(kept);
        self.0.count.send_modify(|count| *count += 1);
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Arc<Received>>> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
