//! Report of an application's end: steps, errors and the exit code.

use std::fmt;
use std::io::Write as _;
use std::process::{self, ExitCode, Termination};
use std::time::Duration;

use crate::error::{Error, Result, chain};
use crate::stop::Cause;

const FAILED: u8 = 1;
const ABORTED: u8 = 3;
const SIGNAL: u8 = 128;

/// The report of an application's end. `main` can return it; its `Display` has all steps and errors.
///
/// | exit code | |
/// |---|---|
/// | 0 | the function returned, or the application was asked to stop, and everything ended in order |
/// | 1 | something failed: a start, the function itself, background work, a release |
/// | 3 | nothing failed, but requests were aborted because they exceeded the limit of the drain |
/// | 128 + n | signal n dropped the function before it served, and every resource was released; or signal n was the second one, and no resource was released |
#[derive(Debug)]
#[must_use = "the report has the exit code; return it from `main`"]
pub struct Report {
    pub(crate) cause: Cause,
    /// True if the function was dropped before it returned.
    pub(crate) cut_off: bool,
    pub(crate) errors: Vec<Error>,
    pub(crate) steps: Vec<Step>,
    pub(crate) aborted: usize,
    pub(crate) elapsed: Duration,
}

/// One step of the end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Step {
    /// The kind of step.
    pub kind: StepKind,
    /// The name of the resource or background work, or the address of the listener.
    pub name: String,
    /// The duration of the step.
    pub elapsed: Duration,
    /// True if the step failed, panicked or exceeded its limit; see [`Report::errors`].
    pub failed: bool,
}

/// The kind of a [`Step`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StepKind {
    /// The requests of a listener were drained.
    Drained,
    /// Background work was stopped.
    Stopped,
    /// A resource was released.
    Released,
}

impl Report {
    /// True if the exit code is 0.
    pub fn is_success(&self) -> bool {
        self.code() == 0
    }

    /// The exit code of the table above.
    pub fn code(&self) -> u8 {
        match self.cause {
            _ if !self.errors.is_empty() => FAILED,
            _ if self.aborted > 0 => ABORTED,
            Cause::Signal(signal) if self.cut_off => SIGNAL + signal,
            _ => 0,
        }
    }

    /// The exit code for a `main` that returns an `ExitCode`.
    pub fn exit_code(&self) -> ExitCode {
        self.code().into()
    }

    /// Prints the report on standard error, unless the exit code is 0, and exits the process now. A
    /// `main` that returns waits for every thread of its runtime instead, and so for a release that
    /// blocks its thread.
    pub fn exit(self) -> ! {
        self.print();
        process::exit(self.code().into())
    }

    /// The number of the signal that ended the application. None if none did.
    pub fn signal(&self) -> Option<u8> {
        match self.cause {
            Cause::Signal(signal) => Some(signal),
            _ => None,
        }
    }

    /// Every error: the one that ended the application first, then the others in order.
    pub fn errors(&self) -> &[Error] {
        &self.errors
    }

    /// The steps of the end, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The number of aborted requests.
    pub fn aborted(&self) -> usize {
        self.aborted
    }

    /// The duration of the end.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// The first error as a result.
    ///
    /// # Errors
    ///
    /// The error that ended the application, or the first one after that.
    pub fn into_result(mut self) -> Result<()> {
        if self.errors.is_empty() { Ok(()) } else { Err(self.errors.swap_remove(0)) }
    }

    fn print(&self) {
        if !self.is_success() {
            // Standard error may be closed.
            let _ = writeln!(std::io::stderr(), "{self}");
        }
    }
}

/// Prints the report on standard error, unless the exit code is 0.
impl Termination for Report {
    fn report(self) -> ExitCode {
        self.print();
        self.exit_code()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Cause::Returned if self.errors.is_empty() => write!(f, "ended by itself"),
            Cause::Returned | Cause::Failure => write!(f, "failed"),
            Cause::Requested => write!(f, "stopped"),
            cause @ Cause::Signal(_) => write!(f, "stopped by {cause}"),
        }?;
        if self.cut_off {
            write!(f, " before it was up")?;
        }
        write!(f, "; down in {:.1?}", self.elapsed)?;
        match self.aborted {
            0 => {}
            1 => write!(f, "; 1 request aborted")?,
            more => write!(f, "; {more} requests aborted")?,
        }
        for step in &self.steps {
            write!(f, "\n  {step}")?;
        }
        for error in &self.errors {
            write!(f, "\n  error: {}", chain(error))?;
        }
        Ok(())
    }
}

impl Step {
    pub(crate) fn new(kind: StepKind, name: &str, elapsed: Duration, failed: bool) -> Self {
        let step = Self { kind, name: name.to_owned(), elapsed, failed };
        match failed {
            true => tracing::warn!(target: "trunkline::lifespan", "{step}"),
            false => tracing::info!(target: "trunkline::lifespan", "{step}"),
        }
        step
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, elapsed, failed } = self;
        let done = match (kind, failed) {
            (StepKind::Drained, false) => "drained",
            (StepKind::Drained, true) => "not drained",
            (StepKind::Stopped, false) => "stopped",
            (StepKind::Stopped, true) => "not stopped",
            (StepKind::Released, false) => "released",
            (StepKind::Released, true) => "not released",
        };
        write!(f, "{name}: {done} in {elapsed:.1?}")
    }
}
