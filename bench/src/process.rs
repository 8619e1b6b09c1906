//! Processes: CPU time, memory and open files of this process, and the output of children.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use crate::rounds::Metrics;

/// CPU time so far, in user space and in the kernel.
pub(crate) struct CpuUsage(Duration);

impl CpuUsage {
    pub(crate) fn own() -> Result<Self> {
        Self::of(UsageWho::RUSAGE_SELF)
    }

    /// CPU time of the children that have ended, and of their children.
    fn children() -> Result<Self> {
        Self::of(UsageWho::RUSAGE_CHILDREN)
    }

    fn of(whose: UsageWho) -> Result<Self> {
        let usage = getrusage(whose)?;
        let duration = |time: TimeVal| {
            Duration::from_secs(time.tv_sec().unsigned_abs()) + Duration::from_micros(time.tv_usec().unsigned_abs())
        };
        Ok(Self(duration(usage.user_time()) + duration(usage.system_time())))
    }

    pub(crate) fn since(&self, before: &Self) -> Duration {
        self.0.saturating_sub(before.0)
    }
}

/// Output of a command, with its duration and CPU time.
pub(crate) struct Output {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) elapsed: Duration,
    pub(crate) cpu: Duration,
}

/// Runs a command to its end. No other child may end meanwhile, because its CPU time would count
/// too.
pub(crate) fn run(command: &mut Command) -> Result<Output> {
    let (start, usage) = (Instant::now(), CpuUsage::children()?);
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{name} does not start"))?;
    let (elapsed, cpu) = (start.elapsed(), CpuUsage::children()?.since(&usage));
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    if !output.status.success() {
        bail!("{name} failed ({}): {}", output.status, stderr.trim());
    }
    Ok(Output { stdout, stderr, elapsed, cpu })
}

/// Runs a program that prints one metric per line.
pub(crate) fn metrics(command: &mut Command) -> Result<Metrics> {
    let output = run(command)?;
    let metric = |line: &str| {
        let (name, value) = line.split_once(' ').with_context(|| format!("{line:?} is not a metric"))?;
        Ok((name.to_owned(), value.trim().parse()?))
    };
    output.stdout.lines().map(metric).collect()
}

/// Anonymous memory of this process in bytes, after the allocator has returned its free memory.
pub(crate) fn anonymous_memory() -> Result<u64> {
    // SAFETY: `malloc_trim` takes a number, changes only the allocator's state, and is thread-safe.
    unsafe { libc::malloc_trim(0) };
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("RssAnon in /proc/self/status")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// Number of open files and sockets of this process.
pub(crate) fn open_files() -> Result<usize> {
    Ok(Path::new("/proc/self/fd").read_dir()?.count())
}
