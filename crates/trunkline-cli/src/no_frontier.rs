//! What stands in the place of the frontier in a build without it: it is known by name, and says
//! how to have it.

use std::ffi::OsString;
use std::future::{Ready, ready};

use crate::args::Fetch;
use crate::ending::{Ending, Unusable};
use crate::signals::Shutdown;

const MISSING: &str = "this trunkline was built without the frontier: `cargo install --path crates/trunkline-cli --features frontier` builds one that has it";

/// Whatever is asked of it. It has no help of its own either.
#[derive(clap::Args, Debug)]
#[command(hide = true, disable_help_flag = true)]
pub(crate) struct Frontier {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _arguments: Vec<OsString>,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Work {
    #[arg(long, value_name = "DATABASE", hide = true, value_parser = missing)]
    frontier: Option<String>,

    #[arg(long, value_name = "SECONDS", hide = true, value_parser = missing, allow_negative_numbers = true)]
    lease: Option<String>,

    #[arg(long, hide = true)]
    follow: bool,
}

/// Said while the arguments are read: later, that there is no URL would be told instead.
fn missing(_: &str) -> Result<String, String> {
    Err(MISSING.into())
}

impl Work {
    pub(crate) fn is_asked_for(&self) -> bool {
        self.frontier.is_some() || self.lease.is_some() || self.follow
    }
}

/// # Errors
///
/// Always.
pub(crate) fn run(_: Frontier, _: Shutdown) -> Ready<anyhow::Result<Ending>> {
    ready(Err(Unusable::error(MISSING)))
}

/// # Errors
///
/// Always.
pub(crate) fn work(_: Fetch, _: Shutdown) -> Ready<anyhow::Result<Ending>> {
    ready(Err(Unusable::error(MISSING)))
}
