//! One login for all workers: who logs in leaves its cookies here.

use super::{Store, answered};

/// What the last login has left.
pub(in crate::frontier) struct LoginTurn {
    /// How many logins there have been.
    pub(in crate::frontier) turn: i64,
    /// As in the file that curl reads.
    pub(in crate::frontier) cookies: Vec<u8>,
}

/// By itself, Postgres would hold the turn of a machine that has vanished from the network for two
/// hours.
const NOTICE: &str = "
    SELECT set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),
           set_config('tcp_keepalives_count', '4', false)";

const LEAVE: &str = "
    INSERT INTO trunkline.logins (login, turn, cookies) VALUES ($1, $2, $3)
    ON CONFLICT (login) DO UPDATE
    SET turn = excluded.turn, cookies = excluded.cookies, logged_in_at = clock_timestamp()";

impl Store {
    /// Waits until nobody else logs in so. Nobody else does until this connection is closed, or
    /// this machine has not been heard of for half a minute.
    ///
    /// # Errors
    ///
    /// If the database fails, or another's login takes longer than it may.
    pub(in crate::frontier) async fn take_turn(&mut self, name: &str) -> anyhow::Result<()> {
        answered(sqlx::query(NOTICE).execute(&mut self.connection)).await?;
        let lock = sqlx::query("SELECT pg_advisory_lock(hashtext('trunkline login'), hashtext($1))").bind(name);
        answered(lock.execute(&mut self.connection)).await?;
        Ok(())
    }

    /// # Errors
    ///
    /// If the database fails.
    pub(in crate::frontier) async fn last_login(&mut self, name: &str) -> anyhow::Result<Option<LoginTurn>> {
        let asking = sqlx::query_as("SELECT turn, cookies FROM trunkline.logins WHERE login = $1").bind(name);
        let found = answered(asking.fetch_optional(&mut self.connection)).await?;
        Ok(found.map(|(turn, cookies)| LoginTurn { turn, cookies }))
    }

    /// # Errors
    ///
    /// If the database fails.
    pub(in crate::frontier) async fn leave_login(&mut self, name: &str, login: &LoginTurn) -> anyhow::Result<()> {
        let leaving = sqlx::query(LEAVE).bind(name).bind(login.turn).bind(&login.cookies);
        answered(leaving.execute(&mut self.connection)).await?;
        Ok(())
    }
}
