//! The sender: takes the mails that are due out of the database and hands them to Amazon SES.
//!
//! A mail is claimed under a lease, gets its token at that moment, is sent, and marked as sent. No
//! transaction is open meanwhile. A sender that is killed in between leaves a lease that runs out,
//! and the mail is sent by another, perhaps for a second time, with the same id
//! ([`Mail::id`](crate::mail::Mail::id)). Any number of copies of the service do this beside each
//! other. What each knows of SES's mood it knows for itself (`pace.rs`).

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
use crate::store::{Backlog, Claimed, GivenUp, Store, answered};

/// How often to look although nobody has called: a call may be missed while the database is out of
/// reach.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What is due and was not there to be claimed is being claimed by another copy.
const SHORTEST_LOOK: Duration = Duration::from_millis(10);

/// What sends the mails. A clone is a handle to the same.
#[derive(Clone, Debug)]
pub struct Outbox {
    store: Store,
    ses: Ses,
    settings: Arc<OutboxSettings>,
    state: Arc<Mutex<State>>,
}

/// How mails are sent.
#[derive(Clone, Debug)]
pub struct OutboxSettings {
    /// Sends at the same time.
    pub senders: usize,
    /// How long a mail belongs to the sender that claimed it. A send is given up after three
    /// quarters of that.
    pub lease: Duration,
    /// How long the link in a mail works.
    pub token_lifetime: Duration,
    /// What the link begins with.
    pub public_url: Url,
    /// How long sends under way may take to finish when the service stops.
    pub finish_within: Duration,
}

/// What this copy of the service has sent since it started.
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
struct State {
    pace: Pace,
    counts: Counts,
    /// Those being sent: what has to be handed back if it cannot be finished.
    held: HashMap<Uuid, Claimed>,
}

#[derive(Debug, Default)]
struct Counts {
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
        let &Counts { sent, failed_attempts, dead, revived } = &state.counts;
        let (paused, sending) = (state.pace.is_paused(), state.held.len());
        OutboxFigures { sent, failed_attempts, dead, revived, paused, sending }
    }

    /// How many mails are not sent, of all copies.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn backlog(&self) -> anyhow::Result<Backlog> {
        self.store.backlog().await
    }

    /// The mails that were given up, up to so many, the last first.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn given_up(&self, count: usize) -> anyhow::Result<Vec<GivenUp>> {
        answered(self.store.given_up(count)).await
    }

    /// Sends a mail after all that was given up at that time. Asked for twice, by whomever, it is
    /// sent once.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn send_again(&self, id: Uuid, given_up_at: i64) -> anyhow::Result<()> {
        if answered(self.store.send_again(id, given_up_at)).await? {
            self.tally(|_, counts| counts.revived += 1);
            tracing::info!(%id, "a mail that was given up is sent again, as an operator asked for");
        }
        Ok(())
    }

    /// The same, of all that were given up by that time.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn send_all_again(&self, given_up_by: i64) -> anyhow::Result<()> {
        let count = answered(self.store.send_all_again(given_up_by)).await?;
        if count > 0 {
            self.tally(|_, counts| counts.revived += count);
            tracing::info!(count, "mails that were given up are sent again, as an operator asked for");
        }
        Ok(())
    }

    /// Sends until it is time to stop. Then it begins no more, finishes what is under way, and
    /// hands back what it cannot finish in time.
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
                // With no room for another, it is no use to be called.
                () = wake_ups.next(), if sends.len() < self.settings.senders => {}
                () = sleep_until(look_again) => {}
            }
        }
        self.finish(sends).await;
    }

    /// Begins as many sends as there is room for and there are mails due. When to look again, if
    /// nobody calls before.
    async fn begin(&self, sends: &mut JoinSet<()>) -> Instant {
        let now = Instant::now();
        // Out of the set, so that they make room.
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
            // What could not be asked will be asked again.
            Ok(None) | Err(_) => now + LOOK_EVERY,
        }
    }

    fn spawn(&self, mail: Claimed, sends: &mut JoinSet<()>) {
        let (outbox, held) = (self.clone(), Held::new(self.state.clone(), mail));
        sends.spawn(async move {
            outbox.attempt(mail).await;
            drop(held);
        });
    }

    async fn finish(&self, mut sends: JoinSet<()>) {
        let all = async { while sends.join_next().await.is_some() {} };
        if timeout(self.settings.finish_within, all).await.is_ok() {
            return;
        }
        // Before they are cut off, which ends their hold. To hand back one that has ended meanwhile changes
        // nothing.
        let held: Vec<_> = self.state().held.values().copied().collect();
        sends.shutdown().await;
        tracing::warn!(count = held.len(), "handing back mails that could not be sent in time");
        for mail in held {
            if let Err(error) = self.store.hand_back(mail).await {
                tracing::warn!(id = %mail.id, error = format!("{error:#}"), "it will be sent when its lease is over");
            }
        }
    }

    fn tally<T>(&self, change: impl FnOnce(&mut Pace, &mut Counts) -> T) -> T {
        let State { pace, counts, .. } = &mut *self.state();
        change(pace, counts)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// A mail that is being sent, until its attempt has ended, however it does.
struct Held {
    state: Arc<Mutex<State>>,
    id: Uuid,
}

impl Held {
    fn new(state: Arc<Mutex<State>>, mail: Claimed) -> Self {
        lock(&state).held.insert(mail.id, mail);
        Self { state, id: mail.id }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        lock(&self.state).held.remove(&self.id);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_attempt_that_panics_or_is_cut_off_holds_nothing() {
        let state = Arc::<Mutex<State>>::default();
        let hold = || {
            let mail = Claimed { id: Uuid::now_v7(), claim: Uuid::now_v7(), attempt: 1 };
            Held::new(state.clone(), mail)
        };
        let (panics, hangs) = (hold(), hold());
        assert_eq!(lock(&state).held.len(), 2);
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
        assert_eq!(lock(&state).held.len(), 1);
        sends.shutdown().await;
        assert_eq!(lock(&state).held.len(), 0);
    }
}
