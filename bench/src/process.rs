//! Processes: the CPU time of this one and of its children, its memory, and what a child prints.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use crate::figures::Figures;

/// CPU time spent so far, in user space and in the kernel.
pub(crate) struct Usage(Duration);

impl Usage {
    pub(crate) fn own() -> Result<Self> {
        Self::of(UsageWho::RUSAGE_SELF)
    }

    /// That of the children that have ended, theirs included.
    fn children() -> Result<Self> {
        Self::of(UsageWho::RUSAGE_CHILDREN)
    }

    fn of(who: UsageWho) -> Result<Self> {
        let usage = getrusage(who)?;
        let duration = |time: TimeVal| {
            Duration::from_secs(time.tv_sec().unsigned_abs()) + Duration::from_micros(time.tv_usec().unsigned_abs())
        };
        Ok(Self(duration(usage.user_time()) + duration(usage.system_time())))
    }

    pub(crate) fn since(&self, before: &Self) -> Duration {
        self.0.saturating_sub(before.0)
    }
}

/// What a command has printed, and what it took.
pub(crate) struct Done {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
    pub(crate) cpu: Duration,
}

/// Runs a command to its end. No other child may end meanwhile, or its CPU time is counted as well.
pub(crate) fn run(command: &mut Command) -> Result<Done> {
    let (begun, usage) = (Instant::now(), Usage::children()?);
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{name} cannot be started"))?;
    let (took, cpu) = (begun.elapsed(), Usage::children()?.since(&usage));
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    if !output.status.success() {
        bail!("{name} has failed ({}): {}", output.status, stderr.trim());
    }
    Ok(Done { stdout, stderr, took, cpu })
}

/// Runs a contestant that prints a figure a line.
pub(crate) fn figures(command: &mut Command) -> Result<Figures> {
    let done = run(command)?;
    let figure = |line: &str| {
        let (name, value) = line.split_once(' ').with_context(|| format!("{line:?} is no figure"))?;
        Ok((name.to_owned(), value.trim().parse()?))
    };
    done.stdout.lines().map(figure).collect()
}

/// The bytes of this process's own that are in memory, once the allocator has given back what
/// nobody uses.
pub(crate) fn anonymous_memory() -> Result<u64> {
    // SAFETY: it takes a number, touches nothing but the allocator's own books, and may be called at
    // any time.
    unsafe { libc::malloc_trim(0) };
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("RssAnon in /proc/self/status")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// How many files and sockets this process has open.
pub(crate) fn open_files() -> Result<usize> {
    Ok(Path::new("/proc/self/fd").read_dir()?.count())
}
