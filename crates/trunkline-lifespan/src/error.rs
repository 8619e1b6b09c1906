//! The one error type: opaque, with questions to ask it.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::timeout;

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error, as applications hand it in.
pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// Why a part of the application did not start, run or end as it should.
///
/// Its text names the part and says what was wrong with it. As with [`std::io::Error`], what
/// another error said is part of that text, [`get_ref`](Self::get_ref) gives that error, and
/// [`source`](StdError::source) what lies below it.
pub struct Error(Box<Inner>);

struct Inner {
    phase: Phase,
    name: String,
    fault: Fault,
    elapsed: Duration,
    /// `tracing` has been told.
    logged: bool,
}

/// What was being done.
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

/// How a piece of work went wrong.
#[derive(Debug)]
pub(crate) enum Fault {
    Failed(BoxError),
    Panicked(String),
    /// It overran this time limit.
    Late(Duration),
}

impl Error {
    pub(crate) fn new(phase: Phase, name: impl Into<String>, elapsed: Duration, fault: impl Into<Fault>) -> Self {
        Self(Box::new(Inner { phase, name: name.into(), fault: fault.into(), elapsed, logged: false }))
    }

    /// What the application's function ended with. An error of this crate's stays what it is.
    pub(crate) fn application(fault: Fault, elapsed: Duration) -> Self {
        match fault {
            Fault::Failed(error) => match error.downcast::<Self>() {
                Ok(error) => *error,
                Err(error) => Self::new(Phase::Application, "", elapsed, Fault::Failed(error)),
            },
            fault => Self::new(Phase::Application, "", elapsed, fault),
        }
    }

    /// Tells `tracing`, once.
    pub(crate) fn log(mut self) -> Self {
        if !self.0.logged {
            self.0.logged = true;
            tracing::error!(target: "trunkline::lifespan", "{}", chain(&self));
        }
        self
    }

    /// What was being done.
    pub fn phase(&self) -> Phase {
        self.0.phase
    }

    /// The resource or background work, as it was named, or the address that was to be listened on.
    /// Empty for the rest.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// How long it had taken when it failed.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed
    }

    /// True if it panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self.0.fault, Fault::Panicked(_))
    }

    /// True if it took longer than it was allowed to.
    pub fn is_timeout(&self) -> bool {
        matches!(self.0.fault, Fault::Late(_))
    }

    /// The error that it returned, if it returned one.
    pub fn get_ref(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        match &self.0.fault {
            Fault::Failed(error) => Some(&**error),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { phase, name, fault, elapsed, .. } = &*self.0;
        match phase {
            Phase::Signals => write!(f, "cannot listen for signals: "),
            Phase::Acquire => write!(f, "failed to open {name:?}: "),
            Phase::Check => write!(f, "failed validation for {name:?}: "),
            Phase::Bind => write!(f, "cannot listen on {name}: "),
            Phase::Application => write!(f, "the application failed: "),
            Phase::Background if self.is_timeout() => write!(f, "background work {name:?} did not stop: "),
            Phase::Background => write!(f, "background work {name:?} failed after {elapsed:.1?}: "),
            Phase::Release => write!(f, "failed to release {name:?} after {elapsed:.1?}: "),
        }?;
        fault.fmt(f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { phase, name, fault, elapsed, .. } = &*self.0;
        f.debug_struct("Error")
            .field("phase", phase)
            .field("name", name)
            .field("fault", fault)
            .field("elapsed", elapsed)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.get_ref().and_then(StdError::source)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::Late(limit) => write!(f, "it took longer than {limit:.1?}"),
        }
    }
}

impl<E: Into<BoxError>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// An error and all that lies below it, in one line.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(error) = below {
        text += &format!(": {error}");
        below = error.source();
    }
    text
}

/// Runs it to its end, or to its panic. Nothing of it is seen again after a panic.
pub(crate) async fn caught<T>(work: impl Future<Output = Result<T, impl Into<BoxError>>>) -> Result<T, Fault> {
    let mut work = pin!(work);
    std::future::poll_fn(|cx| match std::panic::catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(result)) => Poll::Ready(result.map_err(Fault::from)),
        Err(panic) => Poll::Ready(Err(Fault::Panicked(message(&*panic)))),
    })
    .await
}

/// The same, no longer than that.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    timeout(limit, work).await.unwrap_or(Err(Fault::Late(limit)))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("with a value that is no text").to_owned()
}
