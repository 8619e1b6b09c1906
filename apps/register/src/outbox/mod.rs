//! Outbox sender: claims due mails in the database and sends them with Amazon SES.
//!
//! A failed mail is retried after 1 s, 2 s, 4 s and so on up to 1 h, without an end; a refused mail
//! becomes a dead letter (constants in `pace.rs`).
//!
//! A mail is claimed under a lease, gets its token at that moment, is sent, and is marked as sent.
//! No transaction is open meanwhile. The lease of a killed sender runs out, and another sender
//! sends the mail, perhaps for a second time, with the same id
//! ([`Mail::id`](crate::mail::Mail::id)). Any number of copies do this in parallel. Each copy
//! tracks SES's throttling by itself (`pace.rs`).

mod attempt;
mod pace;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use trunkline_lifespan::Stop;
use url::Url;
use uuid::Uuid;

use self::pace::{Pace, Room};
use crate::mail::Ses;
use crate::store::{Backlog, Claimed, DeadLetter, Store, answered};

/// Polling interval. A wake-up may be missed while the database is unreachable.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Minimum polling interval: a due mail that could not be claimed is being claimed by another copy.
const SHORTEST_LOOK: Duration = Duration::from_millis(10);

/// Sender of the outbox. A clone is a handle to the same sender.
#[derive(Clone, Debug)]
pub struct Outbox {
    store: Store,
    ses: Ses,
    settings: Arc<OutboxSettings>,
    state: Arc<Mutex<SenderState>>,
}

/// Settings of the sender.
#[derive(Clone, Debug)]
pub struct OutboxSettings {
    /// Sends at the same time.
    pub senders: usize,
    /// Lease of a claimed mail. A send is cancelled after three quarters of it.
    pub lease: Duration,
    /// Lifetime of the link in a mail.
    pub token_lifetime: Duration,
    /// Base URL of the link.
    pub public_url: Url,
    /// Time limit of unfinished sends when the service stops.
    pub finish_within: Duration,
}

/// Counters of this copy since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxFigures {
    /// Mails that SES took.
    pub sent: u64,
    /// Attempts that failed.
    pub failed_attempts: u64,
    /// Times that a mail was given up, because SES refused it.
    pub dead: u64,
    /// Times that one of those was sent again, because an operator asked for it.
    pub revived: u64,
    /// SES takes no mail of this account, so everything waits.
    pub paused: bool,
    /// Mails being sent.
    pub sending: usize,
}

#[derive(Debug, Default)]
struct SenderState {
    pace: Pace,
    counts: SentCounts,
    /// Claims of mails being sent, to be handed back if they cannot be finished.
    claims: HashMap<Uuid, Claimed>,
}

#[derive(Debug, Default)]
struct SentCounts {
    sent: u64,
    failed_attempts: u64,
    dead: u64,
    revived: u64,
}

impl Outbox {
    /// A sender of the mails in this store.
    pub fn new(store: Store, ses: Ses, settings: OutboxSettings) -> Self {
        Self { store, ses, settings: Arc::new(settings), state: Arc::default() }
    }

    /// The figures, now.
    pub fn figures(&self) -> OutboxFigures {
        let state = self.state();
        let &SentCounts { sent, failed_attempts, dead, revived } = &state.counts;
        let (paused, sending) = (state.pace.is_paused(), state.claims.len());
        OutboxFigures { sent, failed_attempts, dead, revived, paused, sending }
    }

    /// Counts the mails of all copies that are not sent.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn backlog(&self) -> anyhow::Result<Backlog> {
        self.store.backlog().await
    }

    /// Returns up to `count` dead letters, the latest first.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn dead_letters(&self, count: usize) -> anyhow::Result<Vec<DeadLetter>> {
        answered(self.store.dead_letters(count)).await
    }

    /// Sends a dead letter again, if it was refused at that time. Repeated requests send it once.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn send_again(&self, id: Uuid, given_up_at: i64) -> anyhow::Result<()> {
        if answered(self.store.send_again(id, given_up_at)).await? {
            self.update(|_, counts| counts.revived += 1);
            tracing::info!(%id, "a mail that was given up is sent again, as an operator asked for");
        }
        Ok(())
    }

    /// Sends all dead letters again that were refused by that time.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn send_all_again(&self, given_up_by: i64) -> anyhow::Result<()> {
        let count = answered(self.store.send_all_again(given_up_by)).await?;
        if count > 0 {
            self.update(|_, counts| counts.revived += count);
            tracing::info!(count, "mails that were given up are sent again, as an operator asked for");
        }
        Ok(())
    }

    /// Sends mails until the stop is requested. Then starts no more, finishes those under way, and
    /// hands back those that do not finish in time.
    pub async fn run(self, stop: Stop) {
        let mut sends = JoinSet::new();
        let mut wake_ups = self.store.wake_ups().await;
        while !stop.is_requested() {
            let look_again = self.begin(&mut sends).await;
            stop.or(self.store.keep_listening(&mut wake_ups)).await;
            tokio::select! {
                biased;
                () = stop.requested() => break,
                Some(_) = sends.join_next() => {}
                // A wake-up is useless while all senders are busy.
                () = wake_ups.next(), if sends.len() < self.settings.senders => {}
                () = sleep_until(look_again) => {}
            }
        }
        self.finish(sends).await;
    }

    /// Starts a send for each due mail, up to the free senders. Returns the time of the next poll.
    async fn begin(&self, sends: &mut JoinSet<()>) -> Instant {
        let now = Instant::now();
        // Reaps finished sends, which frees their senders.
        while sends.try_join_next().is_some() {}
        let room = self.state().pace.room(now, self.settings.senders, sends.len());
        let count = match room {
            Room::For(count) => count,
            Room::From(then) => return then,
            Room::None => return now + LOOK_EVERY,
        };
        match answered(self.store.claim(count, self.settings.lease)).await {
            Ok(claimed) => {
                let is_full = claimed.len() == count;
                for mail in claimed {
                    self.spawn(mail, sends);
                }
                if is_full { now + LOOK_EVERY } else { self.next_look(now).await }
            }
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "cannot look for mails to send");
                now + LOOK_EVERY
            }
        }
    }

    async fn next_look(&self, now: Instant) -> Instant {
        match answered(self.store.next_due()).await {
            Ok(Some(wait)) => now + wait.clamp(SHORTEST_LOOK, LOOK_EVERY),
            // A failed query is repeated at the next poll.
            Ok(None) | Err(_) => now + LOOK_EVERY,
        }
    }

    fn spawn(&self, mail: Claimed, sends: &mut JoinSet<()>) {
        let (outbox, claims) = (self.clone(), ClaimGuard::new(self.state.clone(), mail));
        sends.spawn(async move {
            outbox.attempt(mail).await;
            drop(claims);
        });
    }

    async fn finish(&self, mut sends: JoinSet<()>) {
        let all = async { while sends.join_next().await.is_some() {} };
        if timeout(self.settings.finish_within, all).await.is_ok() {
            return;
        }
        // Read before the abort, which drops the guards. Handing back a finished mail changes
        // nothing.
        let claims: Vec<_> = self.state().claims.values().copied().collect();
        sends.shutdown().await;
        tracing::warn!(count = claims.len(), "handing back mails that could not be sent in time");
        for mail in claims {
            if let Err(error) = self.store.hand_back(mail).await {
                tracing::warn!(id = %mail.id, error = format!("{error:#}"), "it will be sent when its lease is over");
            }
        }
    }

    fn update<T>(&self, change: impl FnOnce(&mut Pace, &mut SentCounts) -> T) -> T {
        let SenderState { pace, counts, .. } = &mut *self.state();
        change(pace, counts)
    }

    fn state(&self) -> MutexGuard<'_, SenderState> {
        lock(&self.state)
    }
}

/// Registration of a mail being sent; dropped when its attempt ends, panics or is aborted.
struct ClaimGuard {
    state: Arc<Mutex<SenderState>>,
    id: Uuid,
}

impl ClaimGuard {
    fn new(state: Arc<Mutex<SenderState>>, mail: Claimed) -> Self {
        lock(&state).claims.insert(mail.id, mail);
        Self { state, id: mail.id }
    }
}

impl Drop for ClaimGuard {
    fn drop(&mut self) {
        lock(&self.state).claims.remove(&self.id);
    }
}

fn lock(state: &Mutex<SenderState>) -> MutexGuard<'_, SenderState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panicked_or_aborted_attempt_releases_its_claim() {
        let state = Arc::<Mutex<SenderState>>::default();
        let hold = || {
            let mail = Claimed { id: Uuid::now_v7(), claim: Uuid::now_v7(), attempt: 1 };
            ClaimGuard::new(state.clone(), mail)
        };
        let (panics, hangs) = (hold(), hold());
        assert_eq!(lock(&state).claims.len(), 2);
        let mut sends = JoinSet::new();
        sends.spawn(async move {
            let _held = panics;
            panic!("a test's")
        });
        sends.spawn(async move {
            let _held = hangs;
            std::future::pending::<()>().await;
        });
        let panicked = sends.join_next().await.unwrap().unwrap_err();
        assert!(panicked.is_panic());
        assert_eq!(lock(&state).claims.len(), 1);
        sends.shutdown().await;
        assert_eq!(lock(&state).claims.len(), 0);
    }
}
