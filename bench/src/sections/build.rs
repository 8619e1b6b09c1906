//! What it takes to build the library.

use std::fs;
use std::process::Command;

use anyhow::Result;

use super::Section;
use crate::Bench;
use crate::bars::Bar;
use crate::figures::{Figures, Rounds};
use crate::process::run;
use crate::table::{Column, compare, table};

const LIBRARIES: [&str; 2] = ["trunkline", "reqwest"];

pub(crate) fn measure(bench: &Bench) -> Result<Section> {
    let mut rounds = Rounds::default();
    for round in bench.rounds(2) {
        for who in LIBRARIES {
            rounds.add(round, who, build(bench, who)?);
        }
    }
    let columns = [
        Column::Figure("crates"),
        Column::Ratio("crates"),
        Column::Figure("cpu"),
        Column::Ratio("cpu"),
        Column::Figure("time"),
    ];
    Ok(Section {
        title: "A clean build",
        method: "`cargo build` of a program that does nothing and depends on the library with its default features; its dependencies are there already. Median of two.".into(),
        table: table(
            &["clean build", "crates", "trunkline's ÷ it", "CPU s", "trunkline's ÷ it", "s"],
            &compare(&rounds, &LIBRARIES, &columns),
        ),
        bars: vec![
            Bar::at_most("crates compiled ÷ reqwest's", 1.0, rounds.ratio("trunkline", "reqwest", "crates"), ""),
            Bar::at_most("CPU of a clean build ÷ reqwest's", 1.0, rounds.ratio("trunkline", "reqwest", "cpu"), ""),
        ],
    })
}

fn build(bench: &Bench, who: &str) -> Result<Figures> {
    let directory = bench.work.join(format!("build-{who}"));
    let dependency = match who {
        "trunkline" => format!("{{ path = {:?} }}", bench.repository.join("crates/trunkline")),
        _ => "\"*\"".to_owned(),
    };
    fs::create_dir_all(directory.join("src"))?;
    fs::write(directory.join("src/main.rs"), "fn main() {}\n")?;
    let manifest =
        format!("[workspace]\n[package]\nname = \"empty\"\nedition = \"2024\"\n[dependencies]\n{who} = {dependency}\n");
    fs::write(directory.join("Cargo.toml"), manifest)?;
    // The versions are the bench's.
    fs::copy(bench.repository.join("bench/Cargo.lock"), directory.join("Cargo.lock"))?;
    let target = directory.join("target");
    if target.exists() {
        fs::remove_dir_all(&target)?;
    }
    run(Command::new("cargo").arg("fetch").current_dir(&directory))?;
    let mut build = Command::new("cargo");
    build.args(["build", "--color=never", "--target-dir"]).arg(&target).current_dir(&directory);
    let done = run(&mut build)?;
    // All but the empty program itself.
    let crates = done.stderr.lines().filter(|line| line.trim_start().starts_with("Compiling ")).count() - 1;
    let (cpu, time) = (done.cpu.as_secs_f64(), done.took.as_secs_f64());
    Ok(Figures::from([("crates".into(), crates as f64), ("cpu".into(), cpu), ("time".into(), time)]))
}
