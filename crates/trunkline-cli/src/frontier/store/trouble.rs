//! A database that fails: whether it is worth to try again, and when.

use std::time::Duration;

/// The longest pause between two tries.
const LONGEST: Duration = Duration::from_secs(5);

/// Whether it may be otherwise soon: the connection, a restart, two who were in each other's way. What is wrong with the request, or with the
/// right to make it, does not pass.
pub(in crate::frontier) fn is_passing(error: &anyhow::Error) -> bool {
    match error.downcast_ref::<sqlx::Error>() {
        // It did not answer in time.
        None => true,
        Some(sqlx::Error::Database(error)) => {
            let code = error.code().unwrap_or_default();
            // Connection, transaction rolled back, resources, operator intervention.
            ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class))
        }
        Some(sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed) => true,
        Some(_) => false,
    }
}

/// The pauses between tries: they double.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::frontier) struct Backoff(u32);

impl Backoff {
    pub(in crate::frontier) fn next(&mut self) -> Duration {
        let pause = Duration::from_millis(100) * 2_u32.pow(self.0.min(10));
        self.0 += 1;
        pause.min(LONGEST)
    }
}
