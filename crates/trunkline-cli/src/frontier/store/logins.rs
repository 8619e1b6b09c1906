//! Queries of the login that all workers share.

use super::{FrontierStore, answered};

/// Result of the last login.
pub(in crate::frontier) struct StoredLogin {
    /// Number of logins so far.
    pub(in crate::frontier) turn: i64,
    /// Cookies in Netscape format.
    pub(in crate::frontier) cookies: Vec<u8>,
}

/// Keep-alive settings of the connection: by default, Postgres holds the lock of a machine that
/// vanished from the network for two hours.
const KEEP_ALIVE: &str = "
    SELECT set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),
           set_config('tcp_keepalives_count', '4', false)";

const STORE_LOGIN: &str = "
    INSERT INTO trunkline.logins (login, turn, cookies) VALUES ($1, $2, $3)
    ON CONFLICT (login) DO UPDATE
    SET turn = excluded.turn, cookies = excluded.cookies, logged_in_at = clock_timestamp()";

impl FrontierStore {
    /// Waits for the exclusive right to log in. It ends when this connection is closed, or after
    /// half a minute without a sign of this machine.
    ///
    /// # Errors
    ///
    /// The database failed, or the login of another worker takes too long.
    pub(in crate::frontier) async fn take_turn(&mut self, name: &str) -> anyhow::Result<()> {
        answered(sqlx::query(KEEP_ALIVE).execute(&mut self.connection)).await?;
        let lock = sqlx::query("SELECT pg_advisory_lock(hashtext('trunkline login'), hashtext($1))").bind(name);
        answered(lock.execute(&mut self.connection)).await?;
        Ok(())
    }

    /// Returns the last login.
    ///
    /// # Errors
    ///
    /// The database failed.
    pub(in crate::frontier) async fn last_login(&mut self, name: &str) -> anyhow::Result<Option<StoredLogin>> {
        let asking = sqlx::query_as("SELECT turn, cookies FROM trunkline.logins WHERE login = $1").bind(name);
        let found = answered(asking.fetch_optional(&mut self.connection)).await?;
        Ok(found.map(|(turn, cookies)| StoredLogin { turn, cookies }))
    }

    /// Stores a login for the other workers.
    ///
    /// # Errors
    ///
    /// The database failed.
    pub(in crate::frontier) async fn store_login(&mut self, name: &str, login: &StoredLogin) -> anyhow::Result<()> {
        let leaving = sqlx::query(STORE_LOGIN).bind(name).bind(login.turn).bind(&login.cookies);
        answered(leaving.execute(&mut self.connection)).await?;
        Ok(())
    }
}
