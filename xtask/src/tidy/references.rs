//! Tests that documents name as evidence.

use std::collections::BTreeSet;
use std::path::Path;

use super::names::test_functions;
use super::sources::Sources;

/// Documents that name tests as `module::test`, and must name at least one.
const DOCUMENTS: [&str; 2] = ["docs/POOL.md", "docs/aiohttp.md"];

/// Every `module::test` that a document names exists.
pub(super) fn tests(sources: &Sources) -> Vec<String> {
    let mut known = BTreeSet::new();
    for file in &sources.rust {
        let stem = file.path.file_stem().unwrap_or_default();
        let folder = file.path.parent().and_then(Path::file_name).unwrap_or_default();
        let module = if stem == "mod" { folder } else { stem }.to_string_lossy();
        known.extend(test_functions(file).into_iter().map(|(name, _)| format!("{module}::{name}")));
    }
    let mut faults = Vec::new();
    for document in DOCUMENTS {
        let Some(file) = sources.markdown.iter().find(|file| file.path == Path::new(document)) else {
            faults.push(format!("{document}:1: is missing"));
            continue;
        };
        let mut named = 0;
        for (line, number) in file.text.lines().zip(1..) {
            for name in line.split('`').skip(1).step_by(2).filter(|code| is_test_path(code)) {
                named += 1;
                if !known.contains(name) {
                    faults.push(format!("{document}:{number}: there is no test `{name}`"));
                }
            }
        }
        if named == 0 {
            faults.push(format!("{document}:1: it names no test"));
        }
    }
    faults
}

/// True for `module::function` in lower case, other than the crates' own items.
fn is_test_path(code: &str) -> bool {
    let Some((module, function)) = code.split_once("::") else { return false };
    let is_name =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    is_name(module) && is_name(function) && !module.starts_with("trunkline")
}
