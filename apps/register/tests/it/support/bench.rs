//! Store without the service, direct access to its database, and controlled time.

use std::time::Duration;

use register::settings::{DatabaseSettings, Limit};
use register::store::{Activated, Claimed, Recipient, Registration, SignUpLimits, Store};

use super::Database;

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

/// Store, and direct access to its database.
pub(crate) struct Bench {
    pub(crate) store: Store,
    pub(crate) database: Database,
    pub(crate) limits: SignUpLimits,
}

impl Bench {
    /// One bench per kind of database.
    pub(crate) async fn both() -> Vec<Self> {
        let mut benches = Vec::new();
        for database in Database::both().await {
            benches.push(Self { store: open(&database).await, database, limits: limits() });
        }
        benches
    }

    pub(crate) async fn register(&self, key: &str, password: &str) {
        self.try_register(key, password).await.unwrap();
    }

    pub(crate) async fn try_register(&self, key: &str, password: &str) -> Result<(), Duration> {
        let new = Registration { typed: &key.to_uppercase(), key, password_hash: password };
        self.store.register(&new, &self.limits).await.unwrap().map_err(|too_often| too_often.retry_after)
    }

    pub(crate) async fn resend(&self, key: &str) {
        self.store.resend(key, &self.limits).await.unwrap().unwrap();
    }

    pub(crate) async fn claim(&self) -> Vec<Claimed> {
        self.store.claim(100, MINUTE).await.unwrap()
    }

    pub(crate) async fn claim_one(&self) -> Claimed {
        let claimed = self.claim().await;
        assert_eq!(claimed.len(), 1, "{claimed:?}");
        claimed[0]
    }

    /// Sends the mail with this token.
    pub(crate) async fn send(&self, mail: Claimed, token: u8) -> Recipient {
        let recipient = self.store.address(mail, &[token; 32], DAY).await.unwrap().unwrap();
        self.store.sent(mail, "an id").await.unwrap();
        recipient
    }

    /// Sends all mails in the order of their requests, with the tokens 1, 2, 3 and so on. Does not
    /// wait for intervals.
    pub(crate) async fn send_all(&self) -> Vec<Recipient> {
        let mut recipients = Vec::new();
        while self.pending().await > 0 {
            self.pass(MINUTE).await;
            let mut claimed = self.claim().await;
            claimed.sort_unstable_by_key(|mail| mail.id);
            for mail in claimed {
                let token = u8::try_from(recipients.len() + 1).unwrap();
                recipients.push(self.send(mail, token).await);
            }
        }
        recipients
    }

    /// Number of mails that wait to be sent.
    pub(crate) async fn pending(&self) -> i64 {
        self.store.backlog().await.unwrap().pending
    }

    pub(crate) async fn activate(&self, token: u8) -> Activated {
        self.store.activate(&[token; 32]).await.unwrap()
    }

    /// Lets time pass: makes all times in the database older, and wakes sleeping senders.
    pub(crate) async fn pass(&self, time: Duration) {
        let time = time.as_millis();
        for (table, columns) in [
            ("users", &["created_at", "activated_at", "next_mail_at"][..]),
            ("requests", &["created_at"]),
            ("tokens", &["expires_at"]),
            ("outbox", &["created_at", "due_at", "sent_at", "dead_at"]),
            ("limits", &["full_at"]),
        ] {
            let columns: Vec<_> = columns.iter().map(|column| format!("{column} = {column} - {time}")).collect();
            self.database.column(&format!("UPDATE {table} SET {} RETURNING ''", columns.join(", "))).await;
        }
        self.store.resend("nobody", &limits()).await.unwrap().unwrap();
    }

    pub(crate) async fn rows(&self, table: &str) -> i64 {
        self.database.count(&format!("SELECT count(*) FROM {table}")).await
    }

    /// Password of the only user, if active.
    pub(crate) async fn password(&self) -> Option<String> {
        let passwords = self.database.column("SELECT coalesce(password_hash, '') FROM users").await;
        assert_eq!(passwords.len(), 1, "{passwords:?}");
        passwords.into_iter().next().filter(|password| !password.is_empty())
    }
}

pub(crate) fn limits() -> SignUpLimits {
    SignUpLimits { mail_interval: MINUTE, address_limit: Limit::Off }
}

pub(crate) async fn open(database: &Database) -> Store {
    open_at(&database.url()).await
}

pub(crate) async fn open_at(url: &str) -> Store {
    let settings = DatabaseSettings { place: url.parse().unwrap(), connections: 20 };
    Store::open(&settings).await.unwrap()
}
