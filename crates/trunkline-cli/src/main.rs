//! The `trunkline` command: arguments in, an exit code out.

mod args;
mod config;

mod fetch;
#[cfg_attr(not(feature = "frontier"), path = "no_frontier.rs")]
mod frontier;
mod login;

mod input;
mod lines;
mod page;
mod signals;
mod target;

mod bodies;
mod hosts;
mod output;
mod progress;
mod results;
mod resume;
mod summary;
mod table;
mod terminal;

mod closing;
mod cookies;
mod count;
mod ending;
mod failure;
mod session;

use std::process::ExitCode;
use std::time::Duration;

use self::args::{Args, Command};
use self::config::Config;
use self::ending::{Ending, Unusable};
use self::signals::Shutdown;

/// What may still run at the end: a look-up of a name whose page was given up.
const LEFTOVERS: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    #[cfg(unix)]
    raise_open_files();
    let unusable = |error| Unusable::arguments(&error);
    ending::exit_code(match Args::given().command {
        Command::Fetch(args) if args.work.is_asked_for() => on_a_runtime(|shutdown| frontier::work(*args, shutdown)),
        Command::Frontier(args) => on_a_runtime(|shutdown| frontier::run(args, shutdown)),
        Command::Fetch(args) => Config::check(*args)
            .map_err(unusable)
            .and_then(|config| on_a_runtime(|shutdown| fetch::run(config, shutdown))),
        Command::Login(args) => login::Config::check(*args)
            .map_err(unusable)
            .and_then(|config| on_a_runtime(|shutdown| login::run(config, shutdown))),
    })
}

/// Connections are files, and shells let a program have fewer of them than it may have if it asks:
/// 1,024 as a rule.
#[cfg(unix)]
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    // Where it cannot be had, what there is may do.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

fn on_a_runtime<F>(command: impl FnOnce(Shutdown) -> F) -> anyhow::Result<Ending>
where
    F: Future<Output = anyhow::Result<Ending>>,
{
    // One thread: a page is little work, and handing it from thread to thread costs as much again.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ending = runtime.block_on(async { command(Shutdown::on_signals()?).await });
    runtime.shutdown_timeout(LEFTOVERS);
    ending
}
