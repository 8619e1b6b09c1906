//! The files of the repository, read once and split into tokens.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::Step;

/// Every tracked file that a check reads. Paths are relative to the repository.
pub(super) struct Sources {
    pub(super) rust: Vec<RustFile>,
    pub(super) markdown: Vec<TextFile>,
}

pub(super) struct TextFile {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

pub(super) struct RustFile {
    pub(super) path: PathBuf,
    pub(super) text: String,
    /// All tokens, unit tests included.
    pub(super) tokens: TokenStream,
}

impl Sources {
    /// The files that git tracks, and the new ones that it does not ignore.
    pub(super) fn of_repository(root: &Path) -> Step<Self> {
        let git = Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z", "*.rs", "*.md"])
            .current_dir(root)
            .output()
            .map_err(|error| format!("git ls-files: {error}"))?;
        if !git.status.success() {
            return Err(format!("git ls-files: {}", String::from_utf8_lossy(&git.stderr)));
        }
        let listed = String::from_utf8_lossy(&git.stdout);
        // A file in conflict is listed several times.
        let paths: BTreeSet<_> = listed.split_terminator('\0').map(PathBuf::from).collect();
        Self::read(root, paths.into_iter().filter(|path| root.join(path).is_file()))
    }

    /// # Errors
    ///
    /// A file cannot be read, or is not Rust.
    pub(super) fn read(root: &Path, paths: impl Iterator<Item = PathBuf>) -> Step<Self> {
        let mut sources = Self { rust: Vec::new(), markdown: Vec::new() };
        for path in paths {
            let text = fs::read_to_string(root.join(&path)).map_err(|error| format!("{}: {error}", path.display()))?;
            if path.extension().is_some_and(|extension| extension == "rs") {
                let tokens = text.parse().map_err(|error| format!("{}: not Rust: {error}", path.display()))?;
                sources.rust.push(RustFile { path, text, tokens });
            } else {
                sources.markdown.push(TextFile { path, text });
            }
        }
        sources.rust.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(sources)
    }
}

impl RustFile {
    /// The folder of the crate: the part of the path before `src`, `tests` or `examples`.
    pub(super) fn crate_root(&self) -> PathBuf {
        let is_inside =
            |part: &std::ffi::OsStr| ["src", "tests", "examples", "fuzz_targets"].iter().any(|end| part == *end);
        self.path.iter().take_while(|part| !is_inside(part)).collect()
    }

    /// The path below `src`. None for tests and examples.
    pub(super) fn in_source(&self) -> Option<&Path> {
        self.path.strip_prefix(self.crate_root().join("src")).ok()
    }

    /// A test, an example, or a module of unit tests in a file of its own.
    pub(super) fn is_test(&self) -> bool {
        match self.in_source() {
            Some(inside) => inside.with_extension("").iter().any(|part| part == "tests"),
            None => true,
        }
    }

    /// The tokens without modules under `#[cfg(test)]`.
    pub(super) fn product(&self) -> Vec<TokenTree> {
        without_tests(self.tokens.clone())
    }
}

fn without_tests(tokens: TokenStream) -> Vec<TokenTree> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut product = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is_test_attribute(&tokens[at..]) {
            let body = tokens[at..].iter().position(|token| is_block(token) || is_punct(token, ';'));
            at += body.map_or(tokens.len(), |body| body + 1);
        } else {
            product.push(tokens[at].clone());
            at += 1;
        }
    }
    product
}

fn is_test_attribute(tokens: &[TokenTree]) -> bool {
    let [hash, TokenTree::Group(attribute), ..] = tokens else { return false };
    if !is_punct(hash, '#') || attribute.delimiter() != Delimiter::Bracket {
        return false;
    }
    let text: String = attribute.stream().to_string().split_whitespace().collect();
    text == "cfg(test)" || text.starts_with("cfg(all(test,")
}

fn is_block(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
}

pub(super) fn is_punct(token: &TokenTree, punct: char) -> bool {
    matches!(token, TokenTree::Punct(found) if found.as_char() == punct)
}

/// Every token, those inside of groups included, in order.
pub(super) fn flatten(tokens: impl IntoIterator<Item = TokenTree>) -> Vec<TokenTree> {
    let mut flat = Vec::new();
    for token in tokens {
        flat.push(token.clone());
        if let TokenTree::Group(group) = token {
            flat.extend(flatten(group.stream()));
        }
    }
    flat
}
