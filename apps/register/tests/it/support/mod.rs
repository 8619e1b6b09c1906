//! Test support: the service as a process, with its own database, a counting mail service, and
//! clients.

#![allow(dead_code, unused_imports, reason = "each test binary uses a part of it")]
#![allow(unreachable_pub, reason = "some of it is the library's own, compiled into each test binary")]
#![allow(clippy::print_stderr, reason = "what a failed test shows")]

pub(crate) mod bench;
mod browser;
mod database;
mod figures;
mod load;
mod postgres;
mod random;
mod raw;
mod response;
mod service;
mod ses;
mod settings;
mod statistics;
mod wire;

/// Helpers for temporary directories and for processes that cannot outlive the test.
#[path = "../../../../../crates/trunkline/tests/it/support/process.rs"]
mod process;
#[path = "../../../../../crates/trunkline/tests/it/support/temp_dir.rs"]
mod temp_dir;

use std::time::{Duration, Instant};

pub(crate) use self::browser::Browser;
pub(crate) use self::database::Database;
pub(crate) use self::figures::ServiceFigures;
pub(crate) use self::load::{Load, Outcome};
pub(crate) use self::postgres::Postgres;
pub(crate) use self::random::Random;
pub(crate) use self::raw::Raw;
pub(crate) use self::response::TestResponse;
pub(crate) use self::service::{Finished, Service};
pub(crate) use self::ses::{Mode, Sent, Ses};
pub(crate) use self::settings::Settings;
pub(crate) use self::statistics::{auc, auc_by_chance, quantile};
pub(crate) use self::temp_dir::TempDir;
pub(crate) use self::wire::Wire;

/// Time limit of a wait. Every step takes much less, on the slowest machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A count that is reduced in a plain run.
pub(crate) fn soak(full: usize, plain: usize) -> usize {
    if is_soak() { full } else { plain }
}

pub(crate) fn is_soak() -> bool {
    std::env::var_os("TRUNKLINE_SOAK").is_some()
}

/// Polls until the result is `Some`.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Unique password, to be searched for in all output.
pub(crate) const PASSWORD: &str = "Zaunkoenig-7-Quittenmus";
