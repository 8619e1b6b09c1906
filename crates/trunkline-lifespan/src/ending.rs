//! How an application ended: step by step, with every error, and as an exit code.

use std::fmt;
use std::io::Write as _;
use std::process::{self, ExitCode, Termination};
use std::time::Duration;

use crate::error::{Error, Result, chain};
use crate::stop::Cause;

const FAILED: u8 = 1;
const ABORTED: u8 = 3;
const SIGNAL: u8 = 128;

/// How an application ended. `main` can return it, and its `Display` is the whole story.
///
/// | exit code | |
/// |---|---|
/// | 0 | its function returned, or it was asked to stop, and everything ended in order |
/// | 1 | something failed: a start, the function itself, background work, a release |
/// | 3 | nothing failed, but requests were under way when their time to finish was over, and were aborted |
/// | 128 + n | signal n cut its function off before it served, and everything that was open was released; or signal n came as the second one, and nothing was |
#[derive(Debug)]
#[must_use = "it says how the application ended; return it from `main`"]
pub struct Ending {
    pub(crate) cause: Cause,
    /// The function was dropped before it had returned.
    pub(crate) cut_off: bool,
    pub(crate) errors: Vec<Error>,
    pub(crate) steps: Vec<Step>,
    pub(crate) aborted: usize,
    pub(crate) elapsed: Duration,
}

/// One step of the way down.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Step {
    /// What was done.
    pub kind: StepKind,
    /// The resource or the background work, as it was named, or the address that was listened on.
    pub name: String,
    /// How long it took.
    pub elapsed: Duration,
    /// True if it failed, panicked or overran its time; the [errors](Ending::errors) say more.
    pub failed: bool,
}

/// What was done in a [`Step`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StepKind {
    /// The requests to a listener were waited for.
    Drained,
    /// Background work was stopped.
    Stopped,
    /// A resource was released.
    Released,
}

impl Ending {
    /// True if the exit code is 0.
    pub fn is_success(&self) -> bool {
        self.code() == 0
    }

    /// The exit code, as the table above has it.
    pub fn code(&self) -> u8 {
        match self.cause {
            _ if !self.errors.is_empty() => FAILED,
            _ if self.aborted > 0 => ABORTED,
            Cause::Signal(signal) if self.cut_off => SIGNAL + signal,
            _ => 0,
        }
    }

    /// The same, for a `main` that returns one.
    pub fn exit_code(&self) -> ExitCode {
        self.code().into()
    }

    /// Says how it ended on standard error, unless all is well, and ends the process now. A `main`
    /// that returns waits for every thread of its runtime, and so for a release that blocks its
    /// thread.
    pub fn exit(self) -> ! {
        self.tell();
        process::exit(self.code().into())
    }

    /// The number of the signal that ended it, if one did.
    pub fn signal(&self) -> Option<u8> {
        match self.cause {
            Cause::Signal(signal) => Some(signal),
            _ => None,
        }
    }

    /// All that went wrong: what brought the application down comes first, then the rest as it
    /// happened.
    pub fn errors(&self) -> &[Error] {
        &self.errors
    }

    /// The way down, step by step.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// How many requests were aborted.
    pub fn aborted(&self) -> usize {
        self.aborted
    }

    /// How long the way down took.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// The first error, if there is one.
    ///
    /// # Errors
    ///
    /// What brought the application down, or the first that went wrong on the way.
    pub fn into_result(mut self) -> Result<()> {
        if self.errors.is_empty() { Ok(()) } else { Err(self.errors.swap_remove(0)) }
    }

    fn tell(&self) {
        if !self.is_success() {
            // With standard error closed there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "{self}");
        }
    }
}

/// Prints how it ended on standard error, unless all is well.
impl Termination for Ending {
    fn report(self) -> ExitCode {
        self.tell();
        self.exit_code()
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Cause::Returned if self.errors.is_empty() => write!(f, "ended by itself"),
            Cause::Returned | Cause::Failure => write!(f, "failed"),
            Cause::Asked => write!(f, "stopped"),
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
