//! The error type of the crate: opaque, with methods that classify it.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::timeout;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the application, of any type.
pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// A failure of one part of the application: to start, to run or to end.
///
/// `Display` names the part and the phase. [`source`](StdError::source) is the error that the part
/// returned. `Debug`, which `main` prints, is the message with its causes, one per line.
pub struct Error(Box<Inner>);

struct Inner {
    phase: Phase,
    name: String,
    failure: Failure,
    elapsed: Duration,
    /// True once the error was sent to `tracing`.
    logged: bool,
}

/// The phase of an application in which an [`Error`] occurred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Setting up the handlers for signals.
    Signals,
    /// Acquiring a resource.
    Acquire,
    /// Checking a resource that was acquired.
    Check,
    /// Binding a listener.
    Bind,
    /// The application's own function.
    Application,
    /// Background work, until it has ended.
    Background,
    /// Releasing a resource.
    Release,
}

/// The way in which a piece of work failed.
#[derive(Debug)]
pub(crate) enum Failure {
    Failed(BoxError),
    Panicked(String),
    /// Longer than this limit.
    Late(Duration),
}

impl Error {
    pub(crate) fn new(phase: Phase, name: impl Into<String>, elapsed: Duration, failure: impl Into<Failure>) -> Self {
        Self(Box::new(Inner { phase, name: name.into(), failure: failure.into(), elapsed, logged: false }))
    }

    /// The error of the application's function. An error of this crate is not wrapped.
    pub(crate) fn application(failure: Failure, elapsed: Duration) -> Self {
        match failure {
            Failure::Failed(error) => match error.downcast::<Self>() {
                Ok(error) => *error,
                Err(error) => Self::new(Phase::Application, "", elapsed, Failure::Failed(error)),
            },
            failure => Self::new(Phase::Application, "", elapsed, failure),
        }
    }

    /// Sends the error to `tracing`, once.
    pub(crate) fn log(mut self) -> Self {
        if !self.0.logged {
            self.0.logged = true;
            tracing::error!(target: "trunkline::lifespan", "{}", chain(&self));
        }
        self
    }

    /// The phase in which the error occurred.
    pub fn phase(&self) -> Phase {
        self.0.phase
    }

    /// The name of the resource or of the background work, or the address of the listener. Empty in
    /// the other phases.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The time from the beginning of the work to its failure.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed
    }

    /// True if the work panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self.0.failure, Failure::Panicked(_))
    }

    /// True if the work exceeded its time limit.
    pub fn is_timeout(&self) -> bool {
        matches!(self.0.failure, Failure::Late(_))
    }

    /// The error that the work returned. None if it panicked or was late.
    pub fn get_ref(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        match &self.0.failure {
            Failure::Failed(error) => Some(&**error),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { phase, name, failure, elapsed, .. } = &*self.0;
        match phase {
            Phase::Signals => write!(f, "cannot listen for signals"),
            Phase::Acquire => write!(f, "failed to open {name:?}"),
            Phase::Check => write!(f, "failed validation for {name:?}"),
            Phase::Bind => write!(f, "cannot listen on {name}"),
            Phase::Application => write!(f, "the application failed"),
            Phase::Background if self.is_timeout() => write!(f, "background work {name:?} did not stop"),
            Phase::Background => write!(f, "background work {name:?} failed after {elapsed:.1?}"),
            Phase::Release => write!(f, "failed to release {name:?} after {elapsed:.1?}"),
        }?;
        match failure {
            Failure::Failed(_) => Ok(()),
            Failure::Panicked(message) => write!(f, ": panicked: {message}"),
            Failure::Late(limit) => write!(f, ": it took longer than {limit:.1?}"),
        }
    }
}

/// The message, then its causes, one per line.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(f, "\n  caused by: {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.get_ref().map(|error| error as _)
    }
}

impl<E: Into<BoxError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// The error and its causes, in one line.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(error) = below {
        text += &format!(": {error}");
        below = error.source();
    }
    text
}

/// Runs the work and turns a panic into a failure. The work is dropped after a panic.
pub(crate) async fn catch_panic<T>(work: impl Future<Output = Result<T, impl Into<BoxError>>>) -> Result<T, Failure> {
    let mut work = pin!(work);
    std::future::poll_fn(|cx| match std::panic::catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(result)) => Poll::Ready(result.map_err(Failure::from)),
        Err(panic) => Poll::Ready(Err(Failure::Panicked(message(&*panic)))),
    })
    .await
}

/// Runs the work, no longer than the limit.
pub(crate) async fn with_limit<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    timeout(limit, work).await.unwrap_or(Err(Failure::Late(limit)))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("with a value that is not a text").to_owned()
}
