//! `cargo xtask ci`: every check and every test, one after the other.
//!
//! A failed step does not stop the others. The failures are listed at the end.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::packaging::{self, succeed};
use crate::processes::TestRun;
use crate::{Step, stack, tidy};

/// The features of each library, each of which is built alone. The empty name is none of them.
const FEATURES: [(&str, &[&str]); 4] = [
    ("trunkline", &["", "gzip", "deflate", "br", "zstd", "charset"]),
    ("trunkline-scrape", &["", "lifespan"]),
    ("trunkline-lifespan", &["", "serve", "session"]),
    ("trunkline-cli", &[""]),
];

/// # Errors
///
/// The failed steps and tests.
pub(crate) fn run(root: &Path, soak: bool) -> Step {
    let begun = Instant::now();
    let mut ci = Ci { root: root.to_owned(), run: TestRun::new(), soak, failures: Vec::new(), outputs: Vec::new() };
    ci.step("cargo fmt", Ci::format);
    ci.step("tidy", |ci| tidy::run(&ci.root));
    ci.step("cargo clippy", |ci| ci.cargo("clippy --workspace --all-targets --all-features -- -D warnings"));
    ci.step("fuzz targets", Ci::fuzz_targets);
    ci.step("each cargo feature alone", Ci::features);
    ci.step("cargo doc", Ci::documentation);
    ci.step("cargo deny", |ci| ci.cargo("deny check --hide-inclusion-graph bans licenses sources"));
    ci.step("one TLS stack", |ci| stack::one_stack(&ci.root));
    ci.step("cargo package", |ci| packaging::package(&ci.root, ci.soak));
    ci.step("the command without its frontier", Ci::command_without_frontier);
    ci.step("cargo test", Ci::tests);
    ci.step("model tests", Ci::models);
    ci.step("no process left running", |ci| ci.run.none_left());
    ci.summary(begun)
}

struct Ci {
    root: PathBuf,
    run: TestRun,
    /// Load tests at full length, optimised.
    soak: bool,
    failures: Vec<String>,
    /// The output of each test run.
    outputs: Vec<String>,
}

impl Ci {
    fn step(&mut self, name: &str, check: impl FnOnce(&mut Self) -> Step) {
        println!("\n== {name}");
        let begun = Instant::now();
        if let Err(faults) = check(self) {
            println!("{faults}");
            self.failures.push(name.to_owned());
        }
        println!("-- {} s", begun.elapsed().as_secs());
    }

    /// A cargo command in the repository; its arguments are split at spaces.
    fn command(&self, arguments: &str) -> Command {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(&self.root).args(arguments.split_whitespace());
        cargo
    }

    fn cargo(&self, arguments: &str) -> Step {
        succeed(&mut self.command(arguments))
    }

    fn target(&self) -> PathBuf {
        self.root.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
    }

    /// bench/ and fuzz/ are workspaces of their own. The peers of bench/ are not compiled here.
    fn format(&mut self) -> Step {
        self.cargo("fmt --all --check")?;
        self.cargo("fmt --manifest-path fuzz/Cargo.toml --check")?;
        let mut rustfmt = Command::new("rustfmt");
        rustfmt.current_dir(&self.root).args(["--check", "--edition", "2024"]);
        succeed(rustfmt.args(["bench/src/main.rs", "bench/pool/src/main.rs", "bench/tables/src/main.rs"]))
    }

    fn fuzz_targets(&mut self) -> Step {
        let mut clippy = self.command("clippy --locked --manifest-path fuzz/Cargo.toml --all-targets --target-dir");
        succeed(clippy.arg(self.target()).args(["--", "-D", "warnings"]))
    }

    /// A library is whole with any one feature, and without any.
    fn features(&mut self) -> Step {
        for (library, features) in FEATURES {
            for feature in features {
                let mut clippy = self.command("clippy --quiet --no-default-features --package");
                clippy.args([library, "--features", feature, "--", "-D", "warnings"]);
                succeed(&mut clippy)?;
            }
        }
        stack::no_database_by_default(&self.root)
    }

    fn documentation(&mut self) -> Step {
        let mut doc = self.command("doc --no-deps --workspace --all-features");
        succeed(doc.env("RUSTDOCFLAGS", "-D warnings"))
    }

    fn profile(&self) -> &'static str {
        if self.soak { "--release" } else { "" }
    }

    fn command_without_frontier(&mut self) -> Step {
        self.cargo(&format!("build --package trunkline-cli {}", self.profile()))?;
        self.cargo(&format!("test --package trunkline-cli {} --test it usage", self.profile()))
    }

    fn tests(&mut self) -> Step {
        let mut tests = self.command("test --workspace --all-features --no-fail-fast");
        tests.args(self.profile().split_whitespace());
        // Link-time optimisation makes test binaries slow to build and finds no fault.
        tests.env("CARGO_PROFILE_RELEASE_LTO", "off");
        if self.soak {
            tests.env("TRUNKLINE_SOAK", "1");
        }
        self.logged("test.log", &mut tests)
    }

    /// The model tests swap the locks of the pool for loom's. The part of the pool that bench/
    /// measures is compiled with them.
    fn models(&mut self) -> Step {
        let mut models = self.command("test --package trunkline --lib --release --target-dir");
        let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
        models.arg(self.target().join("loom")).arg("loom");
        models.env("RUSTFLAGS", format!("{flags} --cfg trunkline_loom --cfg trunkline_bench"));
        self.logged("models.log", &mut models)?;
        let has_run = self.outputs.last().is_some_and(|output| Results::of(output).passed > 0);
        if has_run { Ok(()) } else { Err("no model test has run".into()) }
    }

    fn logged(&mut self, log: &str, command: &mut Command) -> Step {
        let folder = self.target().join("test-env");
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let finished = self.run.logged(command, &folder.join(log))?;
        self.outputs.push(finished.output);
        if !finished.succeeded {
            return Err(format!("failed; its output is in {}", folder.join(log).display()));
        }
        finished.left
    }

    /// The last lines: the number of tests, and each failure.
    fn summary(&self, begun: Instant) -> Step {
        let results = Results::of(&self.outputs.concat());
        let Results { passed, failed, ignored, failures } = &results;
        let seconds = begun.elapsed().as_secs();
        println!("\n{passed} passed, {failed} failed, {ignored} skipped");
        if self.failures.is_empty() && failures.is_empty() {
            println!("all steps passed in {seconds} s");
            return Ok(());
        }
        let mut lines = vec![format!("FAILED after {seconds} s. Steps: {}", self.failures.join(", "))];
        lines.extend(failures.iter().map(|test| format!("  {test}")));
        Err(lines.join("\n"))
    }
}

/// The results of test binaries, read from cargo's output.
#[derive(Debug, Default, PartialEq, Eq)]
struct Results {
    passed: usize,
    failed: usize,
    ignored: usize,
    /// `binary: test`, and each binary that ended without a result.
    failures: Vec<String>,
}

impl Results {
    fn of(output: &str) -> Self {
        let mut results = Self::default();
        let (mut binary, mut is_open) = (String::new(), false);
        for line in output.lines() {
            let line = without_colors(line);
            let line = line.trim();
            if let Some(next) = line.strip_prefix("Running ").or_else(|| line.strip_prefix("Doc-tests ")) {
                results.end(&binary, is_open);
                (binary, is_open) = (next.to_owned(), true);
            } else if let Some(counts) = line.strip_prefix("test result: ") {
                results.count(counts);
                is_open = false;
            } else if let Some(test) = line.strip_prefix("test ").and_then(|test| test.strip_suffix(" ... FAILED")) {
                results.failures.push(format!("{binary}: {test}"));
            }
        }
        results.end(&binary, is_open);
        results
    }

    /// `ok. 3 passed; 0 failed; 1 ignored; …`
    fn count(&mut self, counts: &str) {
        let counts = counts.split_once(". ").map_or(counts, |(_, counts)| counts);
        for count in counts.split("; ") {
            let Some((number, kind)) = count.split_once(' ') else { continue };
            let number: usize = number.parse().unwrap_or_default();
            match kind {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }

    /// A binary that gave no result crashed.
    fn end(&mut self, binary: &str, is_open: bool) {
        if is_open {
            self.failures.push(format!("{binary}: ended without a result"));
        }
    }
}

/// The line without the escape sequences of a terminal (`ESC [ … m`).
fn without_colors(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |line, part| line + part.split_once('m').map_or("", |(_, text)| text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_add_up_and_name_failures_and_crashes() {
        let output = "     \u{1b}[1m\u{1b}[92mRunning\u{1b}[0m unittests src/lib.rs (target/debug/deps/a)\n\
            test one ... ok\ntest two::three ... FAILED\n\
            test result: FAILED. 1 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
            \x20    Running tests/it/main.rs (target/debug/deps/it)\ntest four ... ok\n\
            \x20  Doc-tests a\ntest result: ok. 5 passed; 0 failed; 0 ignored; 0 measured\n";
        let expected = Results {
            passed: 6,
            failed: 1,
            ignored: 2,
            failures: vec![
                "unittests src/lib.rs (target/debug/deps/a): two::three".into(),
                "tests/it/main.rs (target/debug/deps/it): ended without a result".into(),
            ],
        };
        assert_eq!(Results::of(output), expected);
    }
}
