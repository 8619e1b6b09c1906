//! The program as a child process, and a site for it to fetch.

mod child;
mod site;
pub(crate) mod sites;
mod terminal;

use std::time::{Duration, Instant};

pub(crate) use self::child::{Finished, Running, fetch};
pub(crate) use self::site::Site;
pub(crate) use self::terminal::{on_a_terminal, shown_on_a_terminal};

/// Time limit of a wait. A slow machine needs far less.
const WAIT_LIMIT: Duration = Duration::from_secs(90);

/// Waits until the condition holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < WAIT_LIMIT, "not within {WAIT_LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// `full` in a soak run, `plain` otherwise.
pub(crate) fn soak<T>(full: T, plain: T) -> T {
    if std::env::var_os("TRUNKLINE_SOAK").is_some() { full } else { plain }
}
