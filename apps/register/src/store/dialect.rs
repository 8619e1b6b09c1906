//! SQL statements with one text for SQLite and Postgres, and the words in which the two differ.

/// Statement in both dialects, made by [`sql!`].
#[derive(Clone, Copy)]
pub(super) struct Sql {
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
}

/// Makes a statement from pieces of text and these words:
///
/// - `NOW`: the database's clock, in milliseconds since 1970
/// - `LATER`: the function that returns the later of two times
/// - `LOCK_USER`: locks the row called `users`; `LOCK_FREE`: locks the rows and skips locked ones.
///   SQLite needs neither, because it has one writer at a time.
macro_rules! sql {
    ($($piece:tt)+) => {
        $crate::store::dialect::Sql {
            sqlite: concat!($($crate::store::dialect::sqlite!($piece), " "),+),
            postgres: concat!($($crate::store::dialect::postgres!($piece), " "),+),
        }
    };
}

macro_rules! sqlite {
    (NOW) => {
        "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
    };
    (LATER) => {
        "max"
    };
    (LOCK_USER) => {
        ""
    };
    (LOCK_FREE) => {
        ""
    };
    ($text:literal) => {
        $text
    };
}

macro_rules! postgres {
    // The time of the statement, not of the transaction, which may have waited for a lock since. It
    // is stable within the statement, so that indexes are used.
    (NOW) => {
        "CAST(extract(epoch FROM statement_timestamp()) * 1000 AS bigint)"
    };
    (LATER) => {
        "greatest"
    };
    (LOCK_USER) => {
        "FOR NO KEY UPDATE OF users"
    };
    (LOCK_FREE) => {
        "FOR UPDATE SKIP LOCKED"
    };
    ($text:literal) => {
        $text
    };
}

/// …)`: => `with!(store, sql, pool => …)`: runs the body with the pool of the store's database and
/// a `sql` that selects the dialect. `with!(readers of store, …)` uses SQLite's readers, which do
/// not wait for its one writer.
macro_rules! with {
    ($store:expr, $sql:ident, $pool:ident => $body:expr) => {
        $crate::store::dialect::with!(writer of $store, $sql, $pool => $body)
    };
    ($sqlite:ident of $store:expr, $sql:ident, $pool:ident => $body:expr) => {
        match &$store.database {
            $crate::store::Database::Sqlite(sqlite) => {
                let $sql = |statement: $crate::store::dialect::Sql| statement.sqlite;
                let $pool = &sqlite.$sqlite;
                $body
            }
            $crate::store::Database::Postgres(postgres) => {
                let $sql = |statement: $crate::store::dialect::Sql| statement.postgres;
                let $pool = postgres;
                $body
            }
        }
    };
}

/// Runs the body in a transaction, which is committed at the end. An early `?` rolls it back.
macro_rules! in_transaction {
    ($store:expr, $sql:ident, $transaction:ident => $body:expr) => {
        $crate::store::dialect::with!($store, $sql, pool => {
            let mut $transaction = pool.begin_with($sql($crate::store::dialect::BEGIN)).await?;
            let value = $body;
            $transaction.commit().await?;
            value
        })
    };
}

/// A SQLite transaction that reads first and then writes fails if another connection has written
/// meanwhile, so it begins as a writer.
pub(super) const BEGIN: Sql = Sql { sqlite: "BEGIN IMMEDIATE", postgres: "BEGIN" };

pub(super) use {in_transaction, postgres, sql, sqlite, with};
