//! The `trunkline` command: arguments in, an exit code out.

mod args;
mod config;
mod cookies;

mod fetch;
mod signals;

mod input;
mod lines;
mod page;

mod bodies;
mod output;
mod progress;
mod summary;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;

use self::args::{Args, Command};
use self::config::Config;
use self::fetch::Ending;
use self::signals::Shutdown;

/// Some pages were not fetched, or the results could not be written.
const FAILED: u8 = 1;
/// What was asked cannot be done; nothing was fetched. clap's own errors exit with the same.
const USAGE: u8 = 2;

/// What may still run at the end: a look-up of a name whose page was given up.
const LEFTOVERS: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let Command::Fetch(args) = Args::parse().command;
    let config = match Config::check(args) {
        Ok(config) => config,
        Err(error) => return fail(&error, USAGE),
    };
    match fetch(config) {
        Ok(Ending::Complete { failed: 0 } | Ending::PipeClosed) => ExitCode::SUCCESS,
        Ok(Ending::Complete { .. } | Ending::FailedFast) => ExitCode::from(FAILED),
        // The shell's convention for a program that a signal ended.
        Ok(Ending::Signal(number)) => ExitCode::from(128 + number),
        Err(error) => fail(&error, FAILED),
    }
}

fn fetch(config: Config) -> anyhow::Result<Ending> {
    // One thread: a page is little work, and handing it from thread to thread costs as much again.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ending = runtime.block_on(async { fetch::run(config, Shutdown::on_signals()?).await });
    runtime.shutdown_timeout(LEFTOVERS);
    ending
}

fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    // With standard error closed there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "error: {error:#}");
    ExitCode::from(code)
}
