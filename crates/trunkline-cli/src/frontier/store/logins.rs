//! One login for all workers: who logs in leaves its cookies here.

use super::{Store, answered};

/// What the last login has left.
pub(in crate::frontier) struct LoginTurn {
    /// How many logins there have been.
    pub(in crate::frontier) turn: i64,
    /// As in the file that curl reads.
    pub(in crate::frontier) cookies: Vec<u8>,
}

const LEAVE: &str = "
    INSERT INTO trunkline.logins (url, turn, cookies) VALUES ($1, $2, $3)
    ON CONFLICT (url) DO UPDATE
    SET turn = excluded.turn, cookies = excluded.cookies, logged_in_at = clock_timestamp()";

impl Store {
    /// Waits until nobody else logs in there. Nobody else does until this connection is closed.
    ///
    /// # Errors
    ///
    /// If the database fails, or another's login takes longer than it may.
    pub(in crate::frontier) async fn take_turn(&mut self, url: &str) -> anyhow::Result<()> {
        let lock = sqlx::query("SELECT pg_advisory_lock(hashtext('trunkline login'), hashtext($1))").bind(url);
        answered(lock.execute(&mut self.connection)).await?;
        Ok(())
    }

    /// # Errors
    ///
    /// If the database fails.
    pub(in crate::frontier) async fn last_login(&mut self, url: &str) -> anyhow::Result<Option<LoginTurn>> {
        let asking = sqlx::query_as("SELECT turn, cookies FROM trunkline.logins WHERE url = $1").bind(url);
        let found = answered(asking.fetch_optional(&mut self.connection)).await?;
        Ok(found.map(|(turn, cookies)| LoginTurn { turn, cookies }))
    }

    /// # Errors
    ///
    /// If the database fails.
    pub(in crate::frontier) async fn leave_login(&mut self, url: &str, login: &LoginTurn) -> anyhow::Result<()> {
        let leaving = sqlx::query(LEAVE).bind(url).bind(login.turn).bind(&login.cookies);
        answered(leaving.execute(&mut self.connection)).await?;
        Ok(())
    }
}
