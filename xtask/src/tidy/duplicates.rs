//! Files of two crates that are equal, or nearly so.

use std::collections::BTreeSet;

use super::sources::{RustFile, Sources};

/// Shorter files may look alike.
const LINES_COMPARED: usize = 12;
/// Two files are nearly equal if they share this part of all their distinct lines, in percent.
const SHARED_ALLOWED: usize = 60;

/// No two crates hold equal or nearly equal files: what both need has one home.
pub(super) fn files(sources: &Sources) -> Vec<String> {
    let files: Vec<(&RustFile, BTreeSet<&str>)> = sources
        .rust
        .iter()
        .map(|file| (file, code_lines(&file.text)))
        .filter(|(_, lines)| lines.len() >= LINES_COMPARED)
        .collect();
    let mut faults = Vec::new();
    for (at, (file, lines)) in files.iter().enumerate() {
        for (other, other_lines) in &files[at + 1..] {
            if file.crate_root() == other.crate_root() {
                continue;
            }
            let shared = lines.intersection(other_lines).count();
            let all = lines.len() + other_lines.len() - shared;
            if shared * 100 >= all * SHARED_ALLOWED {
                let percent = shared * 100 / all;
                let (file, other) = (file.path.display(), other.path.display());
                faults.push(format!("{file}:1: shares {percent} % of its lines with {other}; give them one home"));
            }
        }
    }
    faults
}

fn code_lines(text: &str) -> BTreeSet<&str> {
    let is_code = |line: &&str| line.len() > 3 && !line.starts_with("//") && !line.starts_with("use ");
    text.lines().map(str::trim).filter(is_code).collect()
}
