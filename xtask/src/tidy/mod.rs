//! `cargo xtask tidy`: the rules that docs/ARCHITECTURE.md and CONTRIBUTING.md state for sources.

mod duplicates;
mod imports;
mod names;
mod prose;
mod references;
mod sources;

#[cfg(test)]
mod tests;

use std::path::Path;

use self::sources::Sources;
use crate::Step;

/// Checks every source of the repository.
///
/// # Errors
///
/// The faults, one per line, each as `file:line: fault`.
pub(crate) fn run(root: &Path) -> Step {
    let sources = Sources::of_repository(root)?;
    let faults = faults(&sources);
    if faults.is_empty() {
        println!("{} Rust files and {} Markdown files are tidy", sources.rust.len(), sources.markdown.len());
        return Ok(());
    }
    Err(format!("{}\n{} faults", faults.join("\n"), faults.len()))
}

fn faults(sources: &Sources) -> Vec<String> {
    let checks = [
        prose::first_lines,
        prose::widths,
        prose::wording,
        prose::snippets,
        names::types,
        names::tests,
        imports::order,
        imports::cycles,
        imports::engines,
        duplicates::files,
        references::tests,
    ];
    checks.iter().flat_map(|check| check(sources)).collect()
}
