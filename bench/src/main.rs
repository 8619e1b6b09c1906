//! trunkline side by side with its peers. `./bench/run` prepares everything and starts this; see
//! README.md.

mod bars;
mod clients;
mod figures;
mod job;
mod machine;
mod nginx;
mod plan;
mod process;
mod readme;
mod sections;
mod table;

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::figures::Figures;
use crate::sections::{SECTIONS, Section};

/// How a run goes, and where its tools are.
pub(crate) struct Bench {
    quick: bool,
    /// What is written on the way.
    work: PathBuf,
    /// A Python with aiohttp.
    python: PathBuf,
    /// aiohttp's side of `job`.
    script: PathBuf,
    /// `pool/`, built.
    pool: PathBuf,
    /// The `trunkline` command, built.
    command: PathBuf,
    repository: PathBuf,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.split_first() {
        Some((first, rest)) if first == "client" => clients::main(rest),
        _ => run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let wanted: Vec<&String> = arguments.iter().filter(|argument| *argument != "--quick").collect();
    if let Some(unknown) = wanted.iter().find(|name| SECTIONS.iter().all(|(known, _)| known != *name)) {
        let known: Vec<&str> = SECTIONS.iter().map(|(name, _)| *name).collect();
        bail!("{unknown:?} is neither --quick nor one of the sections: {}", known.join(", "));
    }
    let bench = Bench::from_environment(quick)?;
    let (begun, cpu_before) = (Instant::now(), machine::CpuTimes::now()?);
    let mut sections: Vec<Section> = Vec::new();
    for (name, measure) in SECTIONS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            eprintln!("== {name} ({:.0} s into the run)", begun.elapsed().as_secs_f64());
            sections.push(measure(&bench).with_context(|| format!("section {name}"))?);
        }
    }
    let around = machine::describe(&bench, begun.elapsed(), &cpu_before)?;
    let text = readme::render(&around, &sections);
    println!("{text}");
    if wanted.is_empty() && !quick {
        readme::write(&bench.repository.join("bench/README.md"), &text)?;
        eprintln!("written to bench/README.md");
    }
    Ok(())
}

impl Bench {
    fn from_environment(quick: bool) -> Result<Self> {
        let path = |name: &str| {
            std::env::var_os(name).map(PathBuf::from).with_context(|| format!("{name} is not set: start ./bench/run"))
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

    /// How many rounds to go, and the numbers of each.
    fn rounds(&self, usual: usize) -> std::ops::Range<usize> {
        0..if self.quick { 1 } else { usual }
    }

    /// One or the other.
    fn pick<T>(&self, usual: T, quick: T) -> T {
        if self.quick { quick } else { usual }
    }

    /// A contestant does a job in a process of its own.
    fn client(&self, name: &str, task: &str, plan: &[(&str, String)]) -> Result<Figures> {
        let mut command = if name == "aiohttp" {
            let mut python = Command::new(&self.python);
            python.arg(&self.script);
            python
        } else {
            let mut own = Command::new(std::env::current_exe()?);
            own.args(["client", name]);
            own
        };
        command.arg(task).args(plan.iter().map(|(key, value)| format!("{key}={value}")));
        process::figures(&mut command).with_context(|| format!("{name}, {task}"))
    }
}
