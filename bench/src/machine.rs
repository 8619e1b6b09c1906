//! Environment of a run: date, machine and versions.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bench_tables::Environment;

use crate::Bench;
use crate::process::run;

/// Lock file with the versions of the compiled libraries.
const LOCK: &str = include_str!("../Cargo.lock");

/// Describes the environment of a run.
pub(crate) fn describe(bench: &Bench, elapsed: Duration, before: &CpuTimes) -> Result<Environment> {
    let date = run(Command::new("date").args(["-u", "+%-d %B %Y"]))?.stdout;
    Ok(Environment {
        date: date.trim().to_owned(),
        minutes: (elapsed.as_secs_f64() / 60.0).round(),
        hardware: hardware()?,
        steal_percent: CpuTimes::now()?.stolen_since(before) * 100.0,
        versions: versions(bench)?,
        quick: bench.quick,
    })
}

fn hardware() -> Result<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let value = |key: &str| {
        let line = cpus.lines().find(|line| line.split(':').next().is_some_and(|name| name.trim() == key));
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim())
    };
    let model = value("model name").unwrap_or("processor of unknown model");
    let cores = std::thread::available_parallelism()?;
    let is_virtual = value("flags").is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor"));
    let kind = if is_virtual { "a virtual machine" } else { "a machine" };
    let memory = fs::read_to_string("/proc/meminfo")?;
    let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).context("MemTotal")?;
    let memory: f64 = memory.trim().trim_end_matches(" kB").parse()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let system = fs::read_to_string("/etc/os-release")?;
    let system = system.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("Linux").trim_matches('"');
    Ok(format!(
        "{kind} with {cores} cores of an {model}, {:.0} GiB of memory, {system}, Linux {}",
        memory / f64::from(1 << 20),
        // The rest of the version is the distributor's.
        kernel.trim().split('-').next().unwrap_or_default()
    ))
}

fn versions(bench: &Bench) -> Result<String> {
    let mut all: Vec<String> =
        ["trunkline", "hyper-util", "reqwest", "awc", "isahc", "curl-sys", "hyper", "tokio", "rustls"]
            .into_iter()
            .filter_map(|name| Some(format!("{name} {}", locked(name)?)))
            .collect();
    let aiohttp = run(Command::new(&bench.python)
        .args(["-c", "import aiohttp, platform; print(aiohttp.__version__, 'on Python', platform.python_version())"]))?;
    all.push(format!("aiohttp {}", aiohttp.stdout.trim()));
    // wrk prints its version with its usage, and exits with an error.
    let wrk = Command::new("wrk").arg("-v").output().context("wrk")?;
    all.push(first_words(&String::from_utf8_lossy(&wrk.stdout), 2));
    for (command, flag, words) in [("curl", "--version", 2), ("wget2", "--version", 3), ("rustc", "--version", 2)] {
        all.push(first_words(&run(Command::new(command).arg(flag))?.stdout, words));
    }
    let nginx = run(Command::new("nginx").arg("-v"))?.stderr;
    all.push(nginx.trim().rsplit(": ").next().unwrap_or_default().replace('/', " "));
    Ok(all.join(", "))
}

fn first_words(text: &str, words: usize) -> String {
    text.split_whitespace().take(words).collect::<Vec<_>>().join(" ")
}

fn locked(name: &str) -> Option<&'static str> {
    let entry = LOCK.split("[[package]]").find(|entry| entry.contains(&format!("name = \"{name}\"\n")))?;
    entry.lines().find_map(|line| line.strip_prefix("version = ")).map(|version| version.trim_matches('"'))
}

/// CPU times of the machine: the first line of /proc/stat, in ticks.
pub(crate) struct CpuTimes {
    all: f64,
    stolen: f64,
}

impl CpuTimes {
    pub(crate) fn now() -> Result<Self> {
        let text = fs::read_to_string("/proc/stat")?;
        let ticks: Vec<f64> = text
            .lines()
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .skip(1)
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        // The user time already includes the time of guests.
        Ok(Self { all: ticks.iter().take(8).sum(), stolen: ticks.get(7).copied().unwrap_or_default() })
    }

    fn stolen_since(&self, before: &Self) -> f64 {
        (self.stolen - before.stolen) / (self.all - before.all).max(1.0)
    }
}
