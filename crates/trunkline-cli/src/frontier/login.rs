//! One login for all workers: who logs in leaves the cookies on the frontier, and the others take
//! them from there.

use std::sync::atomic::{AtomicI64, Ordering};

use trunkline::CookieJar;
use trunkline_scrape::{LoginContext, Error, Renew, RenewFuture, Result};

use super::address::Address;
use super::store::{LoginTurn, Store, is_passing};

/// A worker's part in it.
pub(super) struct SharedLogin {
    address: Address,
    /// What workers know it by.
    name: String,
    /// Of all logins of all workers, the one whose cookies this worker has.
    turn: AtomicI64,
}

impl SharedLogin {
    pub(super) fn new(address: Address, name: String) -> Self {
        Self { address, name, turn: AtomicI64::new(0) }
    }

    /// Takes over what another worker has left since, or logs in.
    async fn renew_in(&self, store: &mut Store, entrance: LoginContext<'_>) -> Result<()> {
        store.take_turn(&self.name).await.map_err(|error| of_database(&error))?;
        let last = store.last_login(&self.name).await.map_err(|error| of_database(&error))?;
        let turn = self.turn.load(Ordering::Relaxed);
        if let Some(last) = last.as_ref().filter(|last| last.turn > turn) {
            entrance.session().cookies().extend(&CookieJar::from_netscape(&last.cookies)?);
            self.turn.store(last.turn, Ordering::Relaxed);
            return Ok(());
        }
        let cookies = entrance.session().cookies().clone();
        entrance.log_in().await?;
        let login =
            LoginTurn { turn: last.map_or(turn, |last| last.turn.max(turn)) + 1, cookies: cookies.to_netscape() };
        self.turn.store(login.turn, Ordering::Relaxed);
        // Without it others log in for themselves, and this worker has its own.
        let _ = store.leave_login(&self.name, &login).await;
        Ok(())
    }
}

impl Renew for SharedLogin {
    fn renew<'a>(&'a self, entrance: LoginContext<'a>) -> RenewFuture<'a> {
        Box::pin(async move {
            let mut store = Store::connect(&self.address).await.map_err(|error| of_database(&error))?;
            let renewed = self.renew_in(&mut store, entrance).await;
            store.close().await;
            renewed
        })
    }
}

fn of_database(error: &anyhow::Error) -> Error {
    Error::renewal(format!("{error:#}")).passing(is_passing(error))
}
