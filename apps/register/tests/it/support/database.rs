//! Database of one test, of either kind, and queries of its content.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection};

use super::TempDir;
use super::postgres::{self, Postgres};

pub(crate) enum Database {
    Sqlite(TempDir),
    Postgres(String),
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(TempDir::new("sqlite"))
    }

    pub(crate) async fn postgres() -> Self {
        Self::Postgres(Postgres::shared().database().await)
    }

    /// One database of each kind.
    pub(crate) async fn both() -> [Self; 2] {
        [Self::sqlite(), Self::postgres().await]
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(dir) => format!("sqlite:{}", Self::file(dir).display()),
            Self::Postgres(url) => url.clone(),
        }
    }

    fn file(dir: &TempDir) -> PathBuf {
        dir.join("register.db")
    }

    /// Runs a query, and returns the first column as text.
    pub(crate) async fn column(&self, sql: &str) -> Vec<String> {
        match self {
            Self::Sqlite(_) => {
                let mut connection = SqliteConnection::connect(&self.url()).await.unwrap();
                let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
            Self::Postgres(url) => {
                let mut connection = PgConnection::connect(url).await.unwrap();
                let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
        }
    }

    pub(crate) async fn count(&self, sql: &str) -> i64 {
        let sql = format!("SELECT CAST(({sql}) AS TEXT)");
        self.column(&sql).await[0].parse().unwrap()
    }

    /// Registered addresses.
    pub(crate) async fn users(&self) -> BTreeSet<String> {
        self.column("SELECT address FROM users").await.into_iter().collect()
    }

    /// Number of mails that wait to be sent.
    pub(crate) async fn pending(&self) -> i64 {
        self.count("SELECT count(*) FROM outbox WHERE sent_at IS NULL AND dead_at IS NULL").await
    }

    /// Number of mails claimed by a copy of the service.
    pub(crate) async fn leased(&self) -> i64 {
        self.count("SELECT count(*) FROM outbox WHERE sent_at IS NULL AND dead_at IS NULL AND claim IS NOT NULL").await
    }

    /// Entire content, deleted rows in the file included: for SQLite the file, its log and each row
    /// as text; for Postgres the dump.
    pub(crate) async fn dump(&self) -> String {
        match self {
            Self::Sqlite(dir) => {
                let mut all = Vec::new();
                for file in fs::read_dir(dir.path()).unwrap() {
                    all.extend(fs::read(file.unwrap().path()).unwrap());
                }
                String::from_utf8_lossy(&all).into_owned()
            }
            Self::Postgres(url) => {
                let dump = Command::new(postgres::find("pg_dump")).args(["--inserts", url]).output().unwrap();
                assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
                String::from_utf8(dump.stdout).unwrap()
            }
        }
    }
}
