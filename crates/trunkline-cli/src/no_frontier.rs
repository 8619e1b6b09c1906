//! Stand-in for the frontier in a build without it: each command fails with the way to get it.

use std::future::{Ready, ready};

use crate::args::{FRONTIER_MISSING, FetchArgs, FrontierArgs};
use crate::exit::{Exit, UsageError};
use crate::shutdown::Signals;

/// # Errors
///
/// Always.
pub(crate) fn run(_: FrontierArgs, _: Signals) -> Ready<anyhow::Result<Exit>> {
    ready(Err(UsageError::with_message(FRONTIER_MISSING)))
}

/// # Errors
///
/// Always.
pub(crate) fn work(_: FetchArgs, _: Signals) -> Ready<anyhow::Result<Exit>> {
    ready(Err(UsageError::with_message(FRONTIER_MISSING)))
}
