//! The program as a child process, and a site for it to fetch.

mod child;
mod site;
pub(crate) mod sites;
mod terminal;

use std::time::{Duration, Instant};

pub(crate) use self::child::{Finished, Running, fetch};
pub(crate) use self::site::Site;
pub(crate) use self::terminal::{on_a_terminal, shown_on_a_terminal};

/// Everything here takes much less, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until it holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A count that is reduced in a plain run.
pub(crate) fn soak<T>(full: T, plain: T) -> T {
    if std::env::var_os("TRUNKLINE_SOAK").is_some() { full } else { plain }
}
