//! Results of a command and their exit codes.

use std::fmt;
use std::process::ExitCode;

use crate::error_text;
use crate::output::print_note;

/// Exit code: pages failed, the login failed, or the results could not be written.
const FAILED: u8 = 1;
/// Exit code: the arguments cannot be used, and nothing was fetched. clap exits with the same code.
const USAGE: u8 = 2;

/// Reason for the end of a command.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Exit {
    /// Everything was done.
    Complete { failed: u64 },
    /// A page failed with `--fail-fast`.
    FailedFast,
    /// A signal came; the number of the first one.
    Signal(u8),
    /// The reader of standard output has closed it.
    PipeClosed,
}

/// Error in the arguments, or in a file or database that they name.
#[derive(Debug)]
pub(crate) struct UsageError(String);

impl UsageError {
    pub(crate) fn with_message(text: impl fmt::Display) -> anyhow::Error {
        Self(text.to_string()).into()
    }

    /// Converts an error that the arguments have caused.
    pub(crate) fn from_error(error: &anyhow::Error) -> anyhow::Error {
        Self::with_message(error_text::describe(error.as_ref()))
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// Prints the error, if any, and returns the exit code.
pub(crate) fn exit_code(exit: anyhow::Result<Exit>) -> ExitCode {
    match exit {
        Ok(Exit::Complete { failed: 0 } | Exit::PipeClosed) => ExitCode::SUCCESS,
        Ok(Exit::Complete { .. } | Exit::FailedFast) => ExitCode::from(FAILED),
        // Shells report a program that a signal ended in this way.
        Ok(Exit::Signal(number)) => ExitCode::from(128 + number),
        Err(error) => {
            print_note(&format!("error: {}", error_text::describe(error.as_ref())));
            ExitCode::from(if error.is::<UsageError>() { USAGE } else { FAILED })
        }
    }
}
