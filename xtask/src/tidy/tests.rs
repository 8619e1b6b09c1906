//! Planted faults: every check of tidy fails on a case of what it guards.

use std::fs;
use std::path::PathBuf;

use super::sources::Sources;
use super::{duplicates, faults, imports, names, prose, references};

/// A repository of these files. The faults of one check.
fn check(files: &[(&str, &str)], check: fn(&Sources) -> Vec<String>) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let paths = files.iter().map(|(path, _)| PathBuf::from(path));
    check(&Sources::read(folder.path(), paths).unwrap())
}

#[track_caller]
fn assert_fault(found: &[String], expected: &str) {
    assert!(found.iter().any(|fault| fault.contains(expected)), "no `{expected}` in {found:#?}");
}

#[test]
fn a_sound_repository_has_no_fault() {
    let library = "//! The library.\nmod pool;\npub use pool::Pool;\n";
    let pool = "//! The pool.\nuse crate::error::Error;\n/// A pool.\npub struct Pool(Error);\n";
    let document = "A page.\n\n`pool::waits`\n";
    let test = "//! Tests of the pool.\n#[tokio::test]\nasync fn waits() {}\n";
    let files = [
        ("crates/trunkline/src/lib.rs", library),
        ("crates/trunkline/src/pool/mod.rs", pool),
        ("crates/trunkline/src/error.rs", "//! The error.\n"),
        ("crates/trunkline/tests/it/pool.rs", test),
        ("docs/aiohttp.md", document),
        ("docs/POOL.md", document),
    ];
    assert_eq!(check(&files, faults), [""; 0]);
}

#[test]
fn first_lines_state_the_purpose() {
    let found =
        check(&[("crates/a/src/lib.rs", "mod b;\n"), ("crates/a/src/b.rs", "//! What b does.\n")], prose::first_lines);
    assert_fault(&found, "crates/a/src/lib.rs:1: the first line is not `//!`");
    assert_fault(&found, "crates/a/src/b.rs:1: the first line begins with a question word");
}

#[test]
fn comments_and_markdown_have_100_columns() {
    let long = "x".repeat(101);
    let rust = format!("//! {long}\nconst A: &str = \"{long}\";\n// https://example.com/{long}\n");
    let markdown = format!("{long}\n\n| {long} |\n");
    let found = check(&[("crates/a/src/lib.rs", &rust), ("README.md", &markdown)], prose::widths);
    assert_eq!(found, ["crates/a/src/lib.rs:1: 105 columns; at most 100", "README.md:1: 101 columns; at most 100"]);
}

#[test]
fn comments_state_and_name_whom_they_mean() {
    let rust = "//! A file.\n// Whether it is.\n// nobody knows\n// fine\n".repeat(2);
    let found = check(&[("crates/a/src/lib.rs", &rust)], prose::wording);
    assert_fault(&found, "crates/a: 2 comment lines begin with a question word; at most 1");
    assert_fault(&found, "crates/a: 2 comment lines say nobody");
}

#[test]
fn rust_in_markdown_is_compiled() {
    let included = "//! A crate.\n#[doc = include_str!(\"../README.md\")]\nstruct Readme;\n";
    let snippet = "```rust\nlet a = 1;\n```\n";
    let files = [
        ("crates/a/src/lib.rs", included),
        ("crates/a/README.md", snippet),
        ("README.md", snippet),
        ("docs/b.md", "```rs\n```\n"),
    ];
    let found = check(&files, prose::snippets);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert_fault(&found, "README.md:1: no doc test includes this file");
    assert_fault(&found, "docs/b.md:1: a ```rs block is not compiled");
}

#[test]
fn a_type_name_has_at_most_two_meanings() {
    let state = "//! A file.\nstruct State;\nenum Error {}\n#[cfg(test)]\nmod tests {\n    struct State;\n}\n";
    let two = [("crates/a/src/lib.rs", state), ("crates/b/src/lib.rs", state)];
    assert_eq!(check(&two, names::types), [""; 0]);
    let three = [two[0], two[1], ("crates/c/src/lib.rs", "//! A file.\npub(crate) trait State {}\nenum Error {}\n")];
    let found = check(&three, names::types);
    assert_eq!(found, ["`State` names 3 types: crates/a/src/lib.rs:2 crates/b/src/lib.rs:2 crates/c/src/lib.rs:2"]);
}

#[test]
fn test_names_have_at_most_60_characters() {
    let long = "a".repeat(61);
    let rust = format!("//! Tests.\n#[test]\nfn {long}() {{}}\nfn b{long}() {{}}\n");
    let found = check(&[("crates/a/tests/it.rs", &rust)], names::tests);
    assert_eq!(found, [format!("crates/a/tests/it.rs:3: `{long}` has 61 characters; at most 60")]);
}

#[test]
fn imports_point_downward() {
    let pool =
        "//! The pool.\nfn f() { crate::session::g() }\n#[cfg(test)]\nmod tests { use crate::session::Other; }\n";
    let files = [
        (
            "crates/trunkline/src/lib.rs",
            "//! A crate.\nmod pool;\nmod session;\nmod other;\npub use session::Session;\n",
        ),
        ("crates/trunkline/src/pool/mod.rs", pool),
        ("crates/trunkline/src/pool/lease.rs", "//! A lease.\nuse std::io;\nuse super::super::{\n    Session,\n};\n"),
        ("crates/trunkline/src/session.rs", "//! A session.\nuse crate::pool::{Pool, state::State as S};\n"),
        ("crates/trunkline/src/other.rs", "//! Another.\n"),
    ];
    let found = check(&files, imports::order);
    assert_fault(&found, "crates/trunkline/src/pool/mod.rs:2: `pool` must not import `session`");
    assert_fault(&found, "crates/trunkline/src/pool/lease.rs:4: `pool` must not import `session`");
    assert_fault(&found, "crates/trunkline/src/other.rs:1: `other` has no layer");
    assert_eq!(found.len(), 3, "{found:#?}");
}

#[test]
fn folders_of_a_crate_form_no_cycle() {
    let files = [
        ("crates/a/src/main.rs", "//! A crate.\nmod args;\nmod frontier;\nmod login;\n"),
        ("crates/a/src/args/mod.rs", "//! Arguments.\nuse crate::login::Plan;\n"),
        ("crates/a/src/login.rs", "//! A login.\nuse crate::frontier::Store;\n"),
        ("crates/a/src/frontier/mod.rs", "//! A frontier.\nuse crate::args::Args;\n"),
    ];
    let found = check(&files, imports::cycles);
    assert_fault(&found, "crates/a/src/frontier/mod.rs:2: `frontier` imports `args`");
    assert_eq!(check(&files[..3], imports::cycles), [""; 0]);
}

#[test]
fn only_connection_names_the_engine() {
    let engine = "//! A file.\nuse hyper::Request;\n// hyper::Request\nfn f() { tokio::net::lookup() }\n";
    let files = [
        ("crates/trunkline/src/pool/mod.rs", engine),
        ("crates/trunkline/src/connection/mod.rs", engine),
        ("crates/other/src/lib.rs", engine),
    ];
    let found = check(&files, imports::engines);
    assert_eq!(
        found,
        [
            "crates/trunkline/src/pool/mod.rs:2: only `connection` may name `hyper::Request`",
            "crates/trunkline/src/pool/mod.rs:4: only `connection` may name `tokio::net::lookup`",
        ]
    );
}

#[test]
fn no_two_crates_hold_nearly_equal_files() {
    let lines: String = (0..20).map(|n| format!("const A{n}: usize = {n};\n")).collect();
    let (one, other) = (format!("//! A file.\n{lines}"), format!("//! Another.\n{lines}const B: u8 = 0;\n"));
    let found = check(&[("crates/a/src/lib.rs", &one), ("crates/b/src/lib.rs", &other)], duplicates::files);
    assert_eq!(found, ["crates/a/src/lib.rs:1: shares 95 % of its lines with crates/b/src/lib.rs; give them one home"]);
    assert_eq!(check(&[("crates/a/src/lib.rs", &one), ("crates/a/src/b.rs", &other)], duplicates::files), [""; 0]);
}

#[test]
fn tests_that_documents_name_exist() {
    let tests = "//! Tests.\n#[tokio::test(start_paused = true)]\nasync fn waits() {}\nfn helps() {}\n";
    let document = "`pool::waits` and `pool::helps`, but `trunkline::send` is no test\n";
    let other = ("docs/POOL.md", "`pool::waits`\n");
    let files = [("crates/a/tests/it/pool.rs", tests), ("docs/aiohttp.md", document), other];
    let found = check(&files, references::tests);
    assert_eq!(found, ["docs/aiohttp.md:1: there is no test `pool::helps`"]);
    let found = check(&[("docs/aiohttp.md", "nothing\n")], references::tests);
    assert_eq!(found, ["docs/POOL.md:1: is missing", "docs/aiohttp.md:1: it names no test"]);
}
