//! The `trunkline` command: arguments in, an exit code out.

mod args;
mod fetch_config;

mod fetch;
#[cfg_attr(not(feature = "frontier"), path = "no_frontier.rs")]
mod frontier;
mod login;

mod input;
mod lines;
mod options;
mod page;
mod url_argument;

mod bodies;
mod host_table;
mod json_output;
mod output;
mod progress;
mod resume;
mod summary;
mod table;
mod terminal;

mod atomic_file;
mod cookies;
mod error_text;
mod exit;
mod shutdown;

use std::process::ExitCode;
use std::time::Duration;

use self::args::{Args, Command};
use self::exit::{Exit, UsageError};
use self::fetch_config::FetchConfig;
use self::login::LoginConfig;
use self::shutdown::Signals;

/// Time limit of blocking tasks at the end, such as the name look-up of a cancelled page.
const BLOCKING_TASKS: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    #[cfg(unix)]
    raise_open_files();
    let usage = |error| UsageError::from_error(&error);
    exit::exit_code(match Args::from_process().command {
        Command::Fetch(args) if args.worker.is_requested() => run(|signals| frontier::work(*args, signals)),
        Command::Frontier(args) => run(|signals| frontier::run(args, signals)),
        Command::Fetch(args) => {
            FetchConfig::check(*args).map_err(usage).and_then(|config| run(|signals| fetch::command(config, signals)))
        }
        Command::Login(args) => {
            LoginConfig::check(*args).map_err(usage).and_then(|config| run(|signals| login::run(config, signals)))
        }
    })
}

/// Raises the limit of open files, which bounds the number of connections. The default of most
/// shells, 1,024, is below the permitted maximum.
#[cfg(unix)]
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    // If it fails, the current limit may still suffice.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Runs a command on a new runtime.
fn run<F>(command: impl FnOnce(Signals) -> F) -> anyhow::Result<Exit>
where
    F: Future<Output = anyhow::Result<Exit>>,
{
    // One thread: the work of a page is small, and moving it between threads costs as much.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let exit = runtime.block_on(async { command(Signals::listen()?).await });
    runtime.shutdown_timeout(BLOCKING_TASKS);
    exit
}
