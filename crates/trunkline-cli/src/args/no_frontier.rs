//! Arguments of the frontier in a build without it: known by name, and refused.

use std::ffi::OsString;

/// Message of each refusal.
pub(crate) const FRONTIER_MISSING: &str = "this trunkline was built without the frontier: `cargo install --path \
                                           crates/trunkline-cli --features frontier` builds one that has it";

/// All arguments of `trunkline frontier`, `--help` included.
#[derive(clap::Args, Debug)]
#[command(hide = true, disable_help_flag = true)]
pub(crate) struct FrontierArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _arguments: Vec<OsString>,
}

/// Arguments of a worker.
#[derive(clap::Args, Debug)]
pub(crate) struct WorkerArgs {
    #[arg(long, value_name = "DATABASE", hide = true, value_parser = missing)]
    frontier: Option<String>,

    #[arg(long, value_name = "SECONDS", hide = true, value_parser = missing, allow_negative_numbers = true)]
    lease: Option<String>,

    #[arg(long, hide = true)]
    follow: bool,
}

/// Refuses an option while it is parsed: later, clap would report the missing URL instead.
fn missing(_: &str) -> Result<String, String> {
    Err(FRONTIER_MISSING.into())
}

impl WorkerArgs {
    pub(crate) fn is_requested(&self) -> bool {
        self.frontier.is_some() || self.lease.is_some() || self.follow
    }
}
