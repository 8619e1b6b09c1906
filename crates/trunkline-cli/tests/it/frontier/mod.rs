//! Frontier tests: workers as processes, one database per test, and hosts that count requests.

/// Postgres, as the tests of the sign-up service start it.
#[allow(dead_code, reason = "only a part of the shared module is used")]
#[path = "../../../../../apps/register/tests/it/support/postgres.rs"]
mod postgres;

mod hosts;
mod support;

mod adding;
mod books;
mod costs;
mod endings;
mod leases;
mod logins;
mod manners;
mod outages;
mod retrying;
mod usage;
mod workers;

use crate::servers::TempDir;
