//! One text for each statement, and what SQLite and Postgres say differently in it.

/// A statement, in both dialects. [`sql!`] makes it.
#[derive(Clone, Copy)]
pub(super) struct Sql {
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
}

/// A statement from pieces of text and these words:
///
/// - `NOW`: the database's clock, in milliseconds since 1970
/// - `LATER`: the function that returns the later of two times
/// - `LOCK_USER`: lock the row called `users`; `LOCK_FREE`: lock the rows, leaving out those that
///   are locked. SQLite has one writer at a time.
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
    // The statement's, not the transaction's: it may have waited for a lock since. And stable, so
    // that indexes are used.
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

/// `with!(store, sql, pool => …)`: the body, once for each database, with its pool and a `sql` that
/// chooses the text of a statement. `with!(readers of store, …)` does not wait for SQLite's one
/// writer.
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

/// The same in a transaction, committed at the end. An early `?` rolls it back.
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

/// On SQLite, a transaction that begins as a reader and goes on as a writer fails if another has
/// written meanwhile.
pub(super) const BEGIN: Sql = Sql { sqlite: "BEGIN IMMEDIATE", postgres: "BEGIN" };

pub(super) use {in_transaction, postgres, sql, sqlite, with};
