//! A clean build of the library.

use std::fs;
use std::process::Command;

use anyhow::Result;

use super::Groups;
use crate::Bench;
use crate::process::run;
use crate::rounds::{Metrics, Rounds};

pub(crate) fn measure(bench: &Bench) -> Result<Groups> {
    let mut rounds = Rounds::default();
    for round in bench.rounds(2) {
        for library in ["trunkline", "reqwest"] {
            rounds.add(round, library, build(bench, library)?);
        }
    }
    Ok(vec![("build".into(), rounds.summarize())])
}

fn build(bench: &Bench, library: &str) -> Result<Metrics> {
    let directory = bench.work.join(format!("build-{library}"));
    let dependency = match library {
        "trunkline" => format!("{{ path = {:?} }}", bench.repository.join("crates/trunkline")),
        _ => "\"*\"".to_owned(),
    };
    fs::create_dir_all(directory.join("src"))?;
    fs::write(directory.join("src/main.rs"), "fn main() {}\n")?;
    let manifest = format!(
        "[workspace]\n[package]\nname = \"empty\"\nedition = \"2024\"\n[dependencies]\n{library} = {dependency}\n"
    );
    fs::write(directory.join("Cargo.toml"), manifest)?;
    // The same versions as in the other sections.
    fs::copy(bench.repository.join("bench/Cargo.lock"), directory.join("Cargo.lock"))?;
    let target = directory.join("target");
    if target.exists() {
        fs::remove_dir_all(&target)?;
    }
    run(Command::new("cargo").arg("fetch").current_dir(&directory))?;
    let mut build = Command::new("cargo");
    build.args(["build", "--color=never", "--target-dir"]).arg(&target).current_dir(&directory);
    let output = run(&mut build)?;
    // Without the empty program itself.
    let crates = output.stderr.lines().filter(|line| line.trim_start().starts_with("Compiling ")).count() - 1;
    let (cpu, time) = (output.cpu.as_secs_f64(), output.elapsed.as_secs_f64());
    Ok(Metrics::from([("crates".into(), crates as f64), ("cpu".into(), cpu), ("time".into(), time)]))
}
