//! How a command ends, and which exit code that is.

use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

use crate::failure;

/// Some pages were not fetched, the login failed, or the results could not be written.
const FAILED: u8 = 1;
/// What was asked cannot be done; nothing was fetched. clap's own errors exit with the same.
const USAGE: u8 = 2;

/// How it ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ending {
    /// All was done.
    Complete { failed: u64 },
    /// `--fail-fast`, and something failed.
    FailedFast,
    /// The number of the first signal.
    Signal(u8),
    /// Nobody reads the output any more.
    PipeClosed,
}

/// What was asked cannot be done.
#[derive(Debug)]
pub(crate) struct Unusable(String);

impl Unusable {
    pub(crate) fn error(text: impl fmt::Display) -> anyhow::Error {
        Self(text.to_string()).into()
    }

    /// The arguments are to blame, whatever it says.
    pub(crate) fn arguments(error: &anyhow::Error) -> anyhow::Error {
        Self::error(failure::words(error.as_ref()))
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unusable {}

/// The exit code of what it came to; an error is told.
pub(crate) fn exit_code(ending: anyhow::Result<Ending>) -> ExitCode {
    match ending {
        Ok(Ending::Complete { failed: 0 } | Ending::PipeClosed) => ExitCode::SUCCESS,
        Ok(Ending::Complete { .. } | Ending::FailedFast) => ExitCode::from(FAILED),
        // The shell's convention for a program that a signal ended.
        Ok(Ending::Signal(number)) => ExitCode::from(128 + number),
        Err(error) => {
            // With standard error closed there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "error: {}", failure::words(error.as_ref()));
            ExitCode::from(if error.is::<Unusable>() { USAGE } else { FAILED })
        }
    }
}
