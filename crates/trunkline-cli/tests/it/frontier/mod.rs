//! The frontier: workers as processes, a database of each test's own, and hosts that count.

/// Postgres, as the tests of the sign-up service start it.
#[allow(dead_code, reason = "what is taken over is not used whole")]
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
