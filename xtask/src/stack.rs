//! One TLS library and one HTTP engine in the dependencies of the workspace.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use crate::Step;

/// TLS libraries beside rustls on ring. Features add up: one SDK with its default features brings
/// a second stack for all crates.
const SECOND_STACKS: [&str; 8] =
    ["aws-lc-rs", "aws-lc-sys", "aws-lc-fips-sys", "native-tls", "openssl", "openssl-sys", "boring", "boring-sys"];
/// Crates of which one version is enough.
const ONE_VERSION: [&str; 6] = ["rustls", "tokio-rustls", "ring", "hyper", "hyper-util", "h2"];

const ALL_EDGES: &str = "normal,build,dev";

/// # Errors
///
/// A second TLS library, or a second version of a crate of the stack, with the path that brings it.
pub(crate) fn one_stack(root: &Path) -> Step {
    let listed = tree(root, ALL_EDGES, &["--workspace", "--all-features", "--prefix", "none", "--format", "{p}"])?;
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in listed.lines() {
        if let Some((name, rest)) = line.split_once(" v") {
            versions.entry(name).or_default().insert(rest.split(' ').next().unwrap_or_default());
        }
    }
    let mut faults = String::new();
    for name in SECOND_STACKS.into_iter().filter(|name| versions.contains_key(name)) {
        let path = tree(root, ALL_EDGES, &["--workspace", "--all-features", "--invert", name])?;
        faults += &format!("{name} is a TLS library beside rustls on ring; it comes from:\n{}\n", first_lines(&path));
    }
    for name in ONE_VERSION {
        let found = versions.get(name).into_iter().flatten();
        let found: Vec<&str> = found.copied().collect();
        for version in found.iter().filter(|_| found.len() > 1) {
            let package = format!("{name}@{version}");
            let path = tree(root, ALL_EDGES, &["--workspace", "--all-features", "--invert", &package])?;
            faults +=
                &format!("{package} is one of {} versions; it comes from:\n{}\n", found.len(), first_lines(&path));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// The command-line tool links no database unless its feature `frontier` is on.
///
/// # Errors
///
/// sqlx is among its dependencies.
pub(crate) fn no_database_by_default(root: &Path) -> Step {
    let listed = tree(root, "normal,build", &["--package", "trunkline-cli", "--prefix", "none", "--format", "{p}"])?;
    match listed.lines().find(|line| line.starts_with("sqlx")) {
        Some(line) => Err(format!("without its feature `frontier`, trunkline-cli links {line}")),
        None => Ok(()),
    }
}

/// The output of `cargo tree` with these kinds of dependencies.
fn tree(root: &Path, edges: &str, arguments: &[&str]) -> Step<String> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root).args(["tree", "--locked", "--target", "all", "--edges", edges]).args(arguments);
    let output = cargo.output().map_err(|error| format!("{cargo:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{cargo:?}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn first_lines(text: &str) -> String {
    text.lines().take(12).collect::<Vec<_>>().join("\n")
}
