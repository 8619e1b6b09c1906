//! `cargo xtask`: the checks of this repository that cargo does not do.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the report of the checks is the output")]

mod ci;
mod packaging;
mod processes;
mod stack;
mod tidy;

use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  tidy               names, prose, imports and duplicates of the sources
  ci [--soak]        every check and every test, as ./test runs them
  package            build each library as it would be published
  semver [REVISION]  compare the public API with a published version, or with a git revision
";

/// The result of a step: the error names each fault, one per line.
type Step<T = ()> = Result<T, String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the repository");
    let result = match arguments[..] {
        ["tidy"] => tidy::run(root),
        ["ci"] => ci::run(root, false),
        ["ci", "--soak"] => ci::run(root, true),
        ["package"] => packaging::package(root, true),
        ["semver"] => packaging::semver(root, None),
        ["semver", revision] => packaging::semver(root, Some(revision)),
        _ => Err(format!("unknown arguments `{}`\n\n{USAGE}", arguments.join(" "))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(faults) => {
            eprintln!("{faults}");
            ExitCode::FAILURE
        }
    }
}
