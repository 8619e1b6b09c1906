//! The crates as they are published: packages, and compatibility of their public API.

use std::path::Path;
use std::process::Command;

use crate::Step;

/// The crates with a public API, dependencies first.
const LIBRARIES: [&str; 4] = ["trunkline", "trunkline-lifespan", "trunkline-aws", "trunkline-scrape"];

/// Packages every library. With `verify`, each package is unpacked and built by itself.
///
/// # Errors
///
/// A package lacks a file, or does not build.
pub(crate) fn package(root: &Path, verify: bool) -> Step {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root).args(["package", "--quiet", "--locked", "--allow-dirty"]);
    if !verify {
        cargo.arg("--no-verify");
    }
    for library in LIBRARIES {
        cargo.args(["--package", library]);
    }
    succeed(&mut cargo)
}

/// Compares the public API of each library with the last published version, or with a git revision.
///
/// # Errors
///
/// An API changed more than its version allows, or cargo-semver-checks is not installed.
pub(crate) fn semver(root: &Path, revision: Option<&str>) -> Step {
    let is_installed = Command::new("cargo").args(["semver-checks", "--version"]).output();
    if !is_installed.is_ok_and(|output| output.status.success()) {
        return Err("cargo-semver-checks is not installed: cargo install cargo-semver-checks --locked".into());
    }
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root).arg("semver-checks");
    for library in LIBRARIES {
        cargo.args(["--package", library]);
    }
    if let Some(revision) = revision {
        cargo.args(["--baseline-rev", revision]);
    }
    succeed(&mut cargo)
}

/// Runs a command, its output on the terminal.
pub(crate) fn succeed(command: &mut Command) -> Step {
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}")) }
}
