//! Login shared by all workers: one worker logs in and stores the cookies on the frontier, the
//! others copy them.

use std::sync::atomic::{AtomicI64, Ordering};

use trunkline::CookieJar;
use trunkline_scrape::{Error, LoginContext, Renew, RenewFuture, Result};

use super::database::Database;
use super::store::{FrontierStore, StoredLogin, is_passing};

/// Shared login of one worker.
pub(super) struct SharedLogin {
    database: Database,
    /// Name that identifies the login among workers.
    name: String,
    /// Number of the login whose cookies this worker has, among the logins of all workers.
    turn: AtomicI64,
}

impl SharedLogin {
    pub(super) fn new(database: Database, name: String) -> Self {
        Self { database, name, turn: AtomicI64::new(0) }
    }

    /// Copies the cookies of a newer login of another worker, or logs in.
    async fn renew_in(&self, store: &mut FrontierStore, entrance: LoginContext<'_>) -> Result<()> {
        store.take_turn(&self.name).await.map_err(|error| database_error(&error))?;
        let last = store.last_login(&self.name).await.map_err(|error| database_error(&error))?;
        let turn = self.turn.load(Ordering::Relaxed);
        if let Some(last) = last.as_ref().filter(|last| last.turn > turn) {
            entrance.session().cookies().extend(&CookieJar::from_netscape(&last.cookies)?);
            self.turn.store(last.turn, Ordering::Relaxed);
            return Ok(());
        }
        let cookies = entrance.session().cookies().clone();
        entrance.log_in().await?;
        let login =
            StoredLogin { turn: last.map_or(turn, |last| last.turn.max(turn)) + 1, cookies: cookies.to_netscape() };
        self.turn.store(login.turn, Ordering::Relaxed);
        // If storing fails, other workers log in themselves.
        let _ = store.store_login(&self.name, &login).await;
        Ok(())
    }
}

impl Renew for SharedLogin {
    fn renew<'a>(&'a self, entrance: LoginContext<'a>) -> RenewFuture<'a> {
        Box::pin(async move {
            let mut store = FrontierStore::connect(&self.database).await.map_err(|error| database_error(&error))?;
            let renewed = self.renew_in(&mut store, entrance).await;
            store.close().await;
            renewed
        })
    }
}

fn database_error(error: &anyhow::Error) -> Error {
    Error::renewal(format!("{error:#}")).passing(is_passing(error))
}
