//! Removes what is over: so that the tables do not grow for ever, and nobody's address is kept who never wanted an account.

use std::time::Duration;

use super::dialect::{Sql, sql, with};
use super::{Store, millis};

/// The allowance is whole: as if there had been nothing.
const LIMITS: Sql = sql!("DELETE FROM limits WHERE full_at <=" NOW);

/// In this order, because each stands on those after it. A row that is needed again meanwhile is held by its foreign keys, or has changed.
const STEPS: [Sql; 4] = [
    sql!("DELETE FROM outbox WHERE sent_at + $1 <=" NOW "OR dead_at + $1 <=" NOW),
    sql!("DELETE FROM tokens WHERE expires_at + $1 <=" NOW),
    sql!(
        "DELETE FROM requests WHERE created_at + $1 <=" NOW
        "AND NOT EXISTS (SELECT 1 FROM tokens WHERE request_id = requests.id)
         AND NOT EXISTS (SELECT 1 FROM outbox WHERE request_id = requests.id)"
    ),
    sql!(
        "DELETE FROM users WHERE activated_at IS NULL AND created_at + $1 <=" NOW "AND next_mail_at + $1 <=" NOW
        "AND NOT EXISTS (SELECT 1 FROM requests WHERE user_id = users.id)
         AND NOT EXISTS (SELECT 1 FROM outbox WHERE user_id = users.id)"
    ),
];

impl Store {
    /// Removes mails that were sent or given up, links that have expired, and registrations that nobody activated, that long after. Returns how
    /// many rows there were.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub async fn sweep(&self, keep: Duration) -> anyhow::Result<u64> {
        let limits = with!(self, sql, pool => sqlx::query(sql(LIMITS)).execute(pool).await?.rows_affected());
        let mut removed = limits;
        for step in STEPS {
            removed += with!(self, sql, pool => {
                sqlx::query(sql(step)).bind(millis(keep)).execute(pool).await?.rows_affected()
            });
        }
        Ok(removed)
    }
}
