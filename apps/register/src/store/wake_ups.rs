//! Wake-ups of mail senders: in this copy by a local notification, in other copies by Postgres.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Acquire as _;
use sqlx::postgres::PgListener;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::open::answers;
use super::{Database, Store, answered};

/// Postgres channel (`LISTEN`/`NOTIFY`) of the wake-ups.
const CHANNEL: &str = "register_outbox";

/// Interval of the checks of the listening connection. Routers drop idle connections silently.
const CHECK_EVERY: Duration = Duration::from_secs(60);

/// Wake-ups for each mail put into the outbox. Wake-ups are lost while the database is unreachable,
/// so a sender polls as well.
#[derive(Debug)]
pub struct WakeUps {
    local_wakeups: Arc<Notify>,
    listener: Option<PgListener>,
    checked: Instant,
}

impl Store {
    /// Starts to listen. Without a listening connection, only wake-ups of this copy arrive.
    pub async fn wake_ups(&self) -> WakeUps {
        let listener = match &self.database {
            Database::Sqlite(_) => None,
            Database::Postgres(pool) => {
                // Boxed, because the connect future is large.
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
        WakeUps { local_wakeups: self.local_wakeups.clone(), listener, checked: Instant::now() }
    }

    /// Checks the listening connection at an interval, and replaces a dead one.
    pub async fn keep_listening(&self, wake_ups: &mut WakeUps) {
        if wake_ups.checked.elapsed() >= CHECK_EVERY {
            wake_ups.check().await;
        }
        if wake_ups.listener.is_none() && matches!(self.database, Database::Postgres(_)) {
            *wake_ups = self.wake_ups().await;
        }
    }

    /// Wakes the senders of this copy after a commit. Postgres notifies the other copies.
    pub(super) fn wake_local(&self) {
        self.local_wakeups.notify_one();
    }
}

impl WakeUps {
    /// Waits for the next wake-up.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no wake-up is lost.
    pub async fn next(&mut self) {
        let Some(listener) = &mut self.listener else { return self.local_wakeups.notified().await };
        let lost = tokio::select! {
            () = self.local_wakeups.notified() => return,
            // None: the connection was lost and re-established. Wake-ups may have been lost
            // meanwhile, so this counts as one.
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
