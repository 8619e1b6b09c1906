//! Prose of comments and Markdown: first lines, widths, wording, compiled snippets.

use std::collections::BTreeMap;
use std::path::Path;

use super::sources::{RustFile, Sources, TextFile};

const WIDTH: usize = 100;
/// A comment line that begins with one of these asks where it should state.
const INTERROGATIVES: [&str; 11] =
    ["What", "Whether", "How", "Who", "Whose", "Whoever", "Where", "When", "Which", "Whom", "Why"];
/// Persons that no reader can name.
const VAGUE: [&str; 7] = ["nobody", "somebody", "whoever", "whom", "whomever", "anybody", "everybody"];
/// Per 1,000 comment lines of a crate.
const INTERROGATIVES_ALLOWED: usize = 30;
const VAGUE_ALLOWED: usize = 5;

/// The first line of a file is `//!` and a statement.
pub(super) fn first_lines(sources: &Sources) -> Vec<String> {
    let fault = |file: &RustFile| {
        let first = file.text.lines().next().unwrap_or_default();
        let Some(text) = first.strip_prefix("//!") else {
            return Some(format!("{}:1: the first line is not `//!` with the file's purpose", file.path.display()));
        };
        begins_with_interrogative(text).then(|| {
            format!("{}:1: the first line begins with a question word; begin with a noun", file.path.display())
        })
    };
    sources.rust.iter().filter_map(fault).collect()
}

/// Comments and Markdown have at most 100 columns. Tables and lines with a URL may be longer.
pub(super) fn widths(sources: &Sources) -> Vec<String> {
    let mut faults = Vec::new();
    for file in &sources.rust {
        let comments = lines(&file.text).filter(|(_, line)| line.trim_start().starts_with("//"));
        faults.extend(wide(&file.path, comments));
    }
    for file in &sources.markdown {
        faults.extend(wide(&file.path, lines(&file.text)));
    }
    faults
}

fn wide<'a>(path: &Path, lines: impl Iterator<Item = (usize, &'a str)>) -> Vec<String> {
    let fault = |(number, line): (usize, &str)| {
        let columns = line.chars().count();
        let is_free = line.contains("://") || line.contains('|');
        (columns > WIDTH && !is_free)
            .then(|| format!("{}:{number}: {columns} columns; at most {WIDTH}", path.display()))
    };
    lines.filter_map(fault).collect()
}

/// Comments state; they do not ask, and they name who they mean.
pub(super) fn wording(sources: &Sources) -> Vec<String> {
    let mut crates: BTreeMap<_, Wording> = BTreeMap::new();
    for file in &sources.rust {
        let counts = crates.entry(file.crate_root()).or_default();
        for (number, line) in lines(&file.text) {
            let Some(words) = comment_words(line) else { continue };
            counts.comments += 1;
            let place = || format!("{}:{number}", file.path.display());
            if begins_with_interrogative(words) {
                counts.interrogatives.push(place());
            }
            if words.split(|c: char| !c.is_alphanumeric()).any(|word| VAGUE.contains(&word.to_lowercase().as_str())) {
                counts.vague.push(place());
            }
        }
    }
    let mut faults = Vec::new();
    for (root, counts) in crates {
        let allowed = |per_thousand: usize| (counts.comments * per_thousand).div_ceil(1000);
        for (what, found, allowed) in [
            ("begin with a question word", &counts.interrogatives, allowed(INTERROGATIVES_ALLOWED)),
            ("say nobody, somebody, whoever or the like", &counts.vague, allowed(VAGUE_ALLOWED)),
        ] {
            if found.len() > allowed {
                let (root, found_count, places) = (root.display(), found.len(), found.join(" "));
                faults.push(format!("{root}: {found_count} comment lines {what}; at most {allowed}: {places}"));
            }
        }
    }
    faults
}

#[derive(Default)]
struct Wording {
    comments: usize,
    interrogatives: Vec<String>,
    vague: Vec<String>,
}

/// Rust in Markdown is a ```` ```rust ```` block, and a doc test includes the file.
pub(super) fn snippets(sources: &Sources) -> Vec<String> {
    let is_included = |file: &TextFile| {
        let (folder, name) = (file.path.parent().unwrap_or(Path::new("")), file.path.file_name().unwrap_or_default());
        sources.rust.iter().any(|rust| {
            let included = format!("{}\")", name.to_string_lossy());
            rust.text.match_indices("include_str!(\"").any(|(at, start)| {
                let target = &rust.text[at + start.len()..];
                target.split_inclusive(')').next().is_some_and(|target| target.ends_with(&included))
                    && resolves_to(&rust.path, target, folder)
            })
        })
    };
    let mut faults = Vec::new();
    for file in &sources.markdown {
        for (number, line) in lines(&file.text) {
            let fence = line.trim_start();
            if fence.starts_with("```rs") {
                faults.push(format!("{}:{number}: a ```rs block is not compiled; write ```rust", file.path.display()));
            } else if fence.starts_with("```rust") && !is_included(file) {
                faults.push(format!(
                    "{}:{number}: no doc test includes this file, so its Rust is not compiled",
                    file.path.display()
                ));
            }
        }
    }
    faults
}

/// True if the include, seen from the Rust file, leads to a file of that folder.
fn resolves_to(rust: &Path, target: &str, folder: &Path) -> bool {
    let target = target.split('"').next().unwrap_or_default();
    let mut path = rust.parent().unwrap_or(Path::new("")).to_path_buf();
    for part in Path::new(target).parent().unwrap_or(Path::new("")) {
        if part == ".." {
            path.pop();
        } else {
            path.push(part);
        }
    }
    path == folder
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().zip(1..).map(|(line, number)| (number, line))
}

/// The text of a comment line. None for code and empty comments.
fn comment_words(line: &str) -> Option<&str> {
    let words = line.trim().strip_prefix("//")?.trim_start_matches(['/', '!']).trim();
    (!words.is_empty()).then_some(words)
}

fn begins_with_interrogative(text: &str) -> bool {
    let first: &str = text.trim_start().split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    INTERROGATIVES.contains(&first)
}
