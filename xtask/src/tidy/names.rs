//! Names: one meaning per type name, and test names of a readable length.

use std::collections::BTreeMap;

use proc_macro2::TokenTree;

use super::sources::{RustFile, Sources, flatten, is_punct};

/// Names with the same role everywhere. Each module of bench/src/clients has its `Client`; `Readme`
/// holds the doc tests of a crate's README.
const COMMON: [&str; 6] = ["Error", "Builder", "Inner", "Kind", "Client", "Readme"];
/// A third definition of a name is a fault.
const DEFINITIONS_ALLOWED: usize = 2;
const TEST_NAME_LENGTH: usize = 60;

/// No type name has three meanings. Tests and examples are left out.
pub(super) fn types(sources: &Sources) -> Vec<String> {
    let mut definitions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in sources.rust.iter().filter(|file| !file.is_test()) {
        for (name, line) in defined_types(file) {
            definitions.entry(name).or_default().push(format!("{}:{line}", file.path.display()));
        }
    }
    definitions
        .into_iter()
        .filter(|(name, places)| places.len() > DEFINITIONS_ALLOWED && !COMMON.contains(&name.as_str()))
        .map(|(name, places)| format!("`{name}` names {} types: {}", places.len(), places.join(" ")))
        .collect()
}

fn defined_types(file: &RustFile) -> Vec<(String, usize)> {
    let tokens = flatten(file.product());
    let mut found = Vec::new();
    for pair in tokens.windows(2) {
        if let [TokenTree::Ident(keyword), TokenTree::Ident(name)] = pair
            && ["struct", "enum", "trait", "union"].iter().any(|known| keyword == known)
        {
            found.push((name.to_string(), name.span().start().line));
        }
    }
    found
}

/// A test's name states its promise in at most 60 characters.
pub(super) fn tests(sources: &Sources) -> Vec<String> {
    let too_long = |(name, line): (String, usize), file: &RustFile| {
        let length = name.chars().count();
        (length > TEST_NAME_LENGTH).then(|| {
            format!("{}:{line}: `{name}` has {length} characters; at most {TEST_NAME_LENGTH}", file.path.display())
        })
    };
    sources
        .rust
        .iter()
        .flat_map(|file| test_functions(file).into_iter().filter_map(|test| too_long(test, file)))
        .collect()
}

/// Name and line of each function under `#[test]` or `#[tokio::test]`.
pub(super) fn test_functions(file: &RustFile) -> Vec<(String, usize)> {
    let tokens = flatten(file.tokens.clone());
    let mut found = Vec::new();
    let mut is_test = false;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) if at > 0 && is_punct(&tokens[at - 1], '#') => {
                let attribute: String = group.stream().to_string().split_whitespace().collect();
                let name = attribute.split('(').next().unwrap_or_default();
                is_test |= name == "test" || name.ends_with("::test");
            }
            TokenTree::Ident(keyword) if is_test && keyword == "fn" => {
                if let Some(TokenTree::Ident(name)) = tokens.get(at + 1) {
                    found.push((name.to_string(), name.span().start().line));
                }
                is_test = false;
            }
            _ => {}
        }
    }
    found
}
