//! Tells senders that there is a mail: those of this copy by a bell, those of the others by Postgres.

use std::sync::Arc;

use sqlx::postgres::PgListener;
use tokio::sync::Notify;

use super::{Database, Store, answered};

/// What Postgres calls the bell.
const CHANNEL: &str = "register_outbox";

/// Hears when a mail is put into the outbox. What is missed, while the database is out of reach, has to be looked for.
#[derive(Debug)]
pub struct WakeUps {
    bell: Arc<Notify>,
    listener: Option<PgListener>,
}

impl Store {
    /// Begins to listen. Without a connection for it, it hears what this copy does, and nothing of the others.
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
        WakeUps { bell: self.bell.clone(), listener }
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

    /// Whether it hears the other copies.
    pub fn is_whole(&self, store: &Store) -> bool {
        self.listener.is_some() || matches!(store.database, Database::Sqlite(_))
    }
}
