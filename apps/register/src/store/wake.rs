//! Tells senders that there is a mail: those of this copy by a bell, those of the others by
//! Postgres.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Acquire as _;
use sqlx::postgres::PgListener;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::open::answers;
use super::{Database, Store, answered};

/// What Postgres calls the bell.
const CHANNEL: &str = "register_outbox";

/// How often to find out whether Postgres would still be heard. Routers forget a connection on
/// which nothing is said, and tell nobody.
const CHECK_EVERY: Duration = Duration::from_secs(60);

/// Hears when a mail is put into the outbox. What is missed, while the database is out of reach,
/// has to be looked for.
#[derive(Debug)]
pub struct WakeUps {
    bell: Arc<Notify>,
    listener: Option<PgListener>,
    checked: Instant,
}

impl Store {
    /// Begins to listen. Without a connection for it, it hears what this copy does, and nothing of
    /// the others.
    pub async fn wake_ups(&self) -> WakeUps {
        let listener = match &self.database {
            Database::Sqlite(_) => None,
            Database::Postgres(pool) => {
                // Connecting makes a large future, and everybody's who waits for this would be.
                let listening = answered(Box::pin(async {
                    let mut listener = PgListener::connect_with(pool).await?;
                    listener.listen(CHANNEL).await?;
                    Ok(listener)
                }));
                let warn =
                    |error: &_| tracing::warn!(error = format!("{error:#}"), "cannot hear of the other copies' mails");
                listening.await.inspect_err(warn).ok()
            }
        };
        WakeUps { bell: self.bell.clone(), listener, checked: Instant::now() }
    }

    /// Sees to it that the other copies are heard: now and then asks whether Postgres is still
    /// there, and listens anew if not.
    pub async fn keep_listening(&self, wake_ups: &mut WakeUps) {
        if wake_ups.checked.elapsed() >= CHECK_EVERY {
            wake_ups.check().await;
        }
        if wake_ups.listener.is_none() && matches!(self.database, Database::Postgres(_)) {
            *wake_ups = self.wake_ups().await;
        }
    }

    /// For this copy, when a transaction with a mail is committed. Postgres tells the others.
    pub(super) fn ring(&self) {
        self.bell.notify_one();
    }
}

impl WakeUps {
    /// Waits for the next.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it loses nothing.
    pub async fn next(&mut self) {
        let Some(listener) = &mut self.listener else { return self.bell.notified().await };
        let lost = tokio::select! {
            () = self.bell.notified() => return,
            // None: the connection was lost and made again. What came between is not known, so it is worth a look.
            heard = listener.try_recv() => heard.err(),
        };
        if let Some(error) = lost {
            tracing::warn!(%error, "cannot hear of the other copies' mails any more");
            self.listener = None;
        }
    }

    async fn check(&mut self) {
        self.checked = Instant::now();
        let Some(listener) = &mut self.listener else { return };
        let is_heard = match listener.acquire().await {
            Ok(connection) => answers(connection).await,
            Err(_) => false,
        };
        if !is_heard {
            self.listener = None;
        }
    }
}
