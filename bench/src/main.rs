//! Benchmark of trunkline beside other HTTP clients. `./bench/run` prepares and starts it; see
//! README.md.

mod clients;
mod machine;
mod nginx;
mod plan;
mod process;
mod rounds;
mod sections;
mod workload;

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use bench_tables::Results;

use crate::rounds::Metrics;
use crate::sections::SECTIONS;

/// Settings of a run, and the paths of its tools.
pub(crate) struct Bench {
    quick: bool,
    /// Directory for temporary files.
    work: PathBuf,
    /// Python with aiohttp.
    python: PathBuf,
    /// Script that runs the workloads with aiohttp.
    script: PathBuf,
    /// The built program of `pool/`.
    pool: PathBuf,
    /// The built `trunkline` command.
    command: PathBuf,
    repository: PathBuf,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        Some((first, rest)) if first == "client" => clients::main(rest),
        _ => run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let selected: Vec<&String> = arguments.iter().filter(|argument| *argument != "--quick").collect();
    if let Some(unknown) = selected.iter().find(|name| SECTIONS.iter().all(|(known, _)| known != *name)) {
        let known: Vec<&str> = SECTIONS.iter().map(|(name, _)| *name).collect();
        bail!("{unknown:?} is neither --quick nor a section; the sections are: {}", known.join(", "));
    }
    let bench = Bench::from_environment(quick)?;
    let (start, cpu_before) = (Instant::now(), machine::CpuTimes::now()?);
    let mut results = Results::default();
    for (name, measure) in SECTIONS {
        if selected.is_empty() || selected.iter().any(|selected| selected == name) {
            eprintln!("== {name} ({:.0} s into the run)", start.elapsed().as_secs_f64());
            results.groups.extend(measure(&bench).with_context(|| format!("section {name}"))?);
        }
    }
    results.environment = machine::describe(&bench, start.elapsed(), &cpu_before)?;
    println!("{}", bench_tables::render(&results));
    if selected.is_empty() && !quick {
        results.store(&bench.repository)?;
        bench_tables::write_readmes(&bench.repository, &results)?;
        eprintln!("results are in bench/results.json, tables in bench/README.md and README.md");
    }
    Ok(())
}

impl Bench {
    fn from_environment(quick: bool) -> Result<Self> {
        let path = |name: &str| {
            std::env::var_os(name).map(PathBuf::from).with_context(|| format!("{name} is not set; use ./bench/run"))
        };
        let repository = path("BENCH_REPOSITORY")?;
        Ok(Self {
            quick,
            work: path("BENCH_WORK")?,
            python: path("BENCH_PYTHON")?,
            script: repository.join("bench/aiohttp_client.py"),
            pool: path("BENCH_POOL")?,
            command: path("BENCH_COMMAND")?,
            repository,
        })
    }

    /// Numbers of the rounds; a quick run has one.
    fn rounds(&self, usual: usize) -> std::ops::Range<usize> {
        0..if self.quick { 1 } else { usual }
    }

    /// The second value in a quick run, otherwise the first.
    fn pick<T>(&self, usual: T, quick: T) -> T {
        if self.quick { quick } else { usual }
    }

    /// Runs a workload with one client in its own process.
    fn client(&self, name: &str, task: &str, arguments: &[(&str, String)]) -> Result<Metrics> {
        let mut command = if name == "aiohttp" {
            let mut python = Command::new(&self.python);
            python.arg(&self.script);
            python
        } else {
            let mut this = Command::new(std::env::current_exe()?);
            this.args(["client", name]);
            this
        };
        command.arg(task).args(arguments.iter().map(|(key, value)| format!("{key}={value}")));
        process::metrics(&mut command).with_context(|| format!("{name}, {task}"))
    }
}
