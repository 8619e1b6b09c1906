//! The course of an application: its function, then the way down, in order, to the last step.

use std::pin::pin;
use std::time::Duration;

use tokio::time::Instant;

use crate::ending::Ending;
use crate::error::{BoxError, Error, Fault, Phase, caught};
use crate::life::Life;
use crate::signals::Signals;
use crate::stack::Released;
use crate::stop::Cause;

/// Runs an application with the default settings: see [`Lifespan::run`].
pub async fn run<F, E>(application: F) -> Ending
where
    F: AsyncFnOnce(&Life) -> Result<(), E>,
    E: Into<BoxError>,
{
    Lifespan::new().run(application).await
}

/// Settings for the life of an application. [`run`](Self::run) begins it.
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until an application runs with them"]
pub struct Lifespan {
    pub(crate) signals: bool,
    pub(crate) connections: usize,
    pub(crate) pause: Duration,
    pub(crate) drain_within: Duration,
    pub(crate) stop_within: Duration,
    pub(crate) release_within: Duration,
}

impl Lifespan {
    /// The default settings.
    pub fn new() -> Self {
        const TEN: Duration = Duration::from_secs(10);
        Self {
            signals: true,
            connections: 10_000,
            pause: Duration::ZERO,
            drain_within: Duration::from_secs(15),
            stop_within: TEN,
            release_within: TEN,
        }
    }

    /// The most connections that each listener has at once. Beyond it nothing is accepted, so that whoever comes waits in the listener's queue until a
    /// connection ends. By default 10 000; zero counts as one.
    ///
    /// Each takes a file descriptor, so the limit should be below that of the process (`ulimit -n`) by what else the application opens. A connection that was
    /// upgraded (a WebSocket) does not count: it is its handler's.
    pub fn connections(mut self, limit: usize) -> Self {
        self.connections = limit;
        self
    }

    /// How long to go on accepting connections after the application has said that it is not ready, so that whoever distributes requests
    /// can take note. By default no time.
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// How long requests under way may take to finish; then they are aborted. By default 15 s.
    pub fn drain_within(mut self, limit: Duration) -> Self {
        self.drain_within = limit;
        self
    }

    /// How long background work may take to end when it is asked to, each; then it is aborted. By default 10 s.
    /// [`Background::stop_within`](crate::Background::stop_within) sets it for one.
    pub fn stop_within(mut self, limit: Duration) -> Self {
        self.stop_within = limit;
        self
    }

    /// How long a release may take, each; then it is aborted. By default 10 s.
    /// [`Opening::release_within`](crate::Opening::release_within) sets it for one.
    pub fn release_within(mut self, limit: Duration) -> Self {
        self.release_within = limit;
        self
    }

    /// Whether SIGTERM and Ctrl-C end it. By default they do. Without them, for tests, [`Shutdown::begin`](crate::Shutdown::begin) does.
    pub fn signals(mut self, listen: bool) -> Self {
        self.signals = listen;
        self
    }

    /// Runs an application: its function, then the way down. Whatever the function opened is released, in reverse, when it returns, fails
    /// or panics, and all of it, whatever becomes of the others.
    ///
    /// A signal that comes while the function is [serving](Life::serve), or [waits](Life::until_stopped), ends that, and the function goes
    /// on from there. At any other time it drops the function where it stands, so that a start that hangs can be called off.
    /// A second signal, if it is another one or comes 100 ms later, ends the process at once with 128 + its number. After this returns, signals are not listened to any more, and
    /// do nothing (tokio keeps them): end the process soon.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, or in one without I/O and time enabled.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it aborts what runs, and what is open is dropped, not released; `tracing` gets an error for each.
    pub async fn run<F, E>(self, application: F) -> Ending
    where
        F: AsyncFnOnce(&Life) -> Result<(), E>,
        E: Into<BoxError>,
    {
        let begun = Instant::now();
        let listen = self.signals;
        let life = Life::new(self);
        let signals = listen.then(|| Signals::listen(life.course.clone())).transpose();
        let function = match &signals {
            Ok(_) => life.attend(caught(application(&life)), begun).await,
            Err(error) => {
                let fault = Fault::Failed(error.to_string().into());
                Function::Failed(Error::new(Phase::Signals, "", begun.elapsed(), fault))
            }
        };
        let ending = life.wind_down(function).await;
        drop(signals);
        ending
    }
}

impl Default for Lifespan {
    fn default() -> Self {
        Self::new()
    }
}

/// What became of the application's function.
enum Function {
    Returned,
    Failed(Error),
    CutOff,
}

impl Life {
    async fn attend(&self, function: impl Future<Output = Result<(), Fault>>, begun: Instant) -> Function {
        let mut function = pin!(function);
        let stop = self.stopping();
        let returned = tokio::select! {
            biased;
            result = &mut function => Some(result),
            () = stop.requested() => None,
        };
        let result = match returned {
            Some(result) => result,
            // It knows, and will return by itself.
            None if self.course.is_attended() => function.await,
            None => return Function::CutOff,
        };
        match result {
            Ok(()) => Function::Returned,
            Err(fault) => Function::Failed(Error::application(fault, begun.elapsed())),
        }
    }

    async fn wind_down(self, function: Function) -> Ending {
        let cut_off = matches!(function, Function::CutOff);
        let (mut steps, mut errors) = (Vec::new(), Vec::new());
        if let Function::Failed(error) = function {
            errors.push(error.log());
        }
        self.course.end(Cause::Returned);
        let cause = self.course.cause().unwrap_or(Cause::Returned);

        #[cfg(feature = "serve")]
        let aborted = self.drain().await;
        #[cfg(feature = "serve")]
        steps.append(&mut self.servers.take_steps());
        #[cfg(not(feature = "serve"))]
        let aborted = 0;

        while let Some(step) = self.works.stop_last().await {
            steps.push(step);
        }
        let failures = self.works.take_failures();
        // If work has brought the application down, its failure comes before what the function made of that.
        let first = if cause == Cause::Failure { 0 } else { errors.len() };
        errors.splice(first..first, failures);

        for Released { step, error } in self.stack.release_all().await {
            steps.push(step);
            errors.extend(error);
        }
        let ending = Ending { cause, cut_off, errors, steps, aborted, elapsed: self.course.elapsed() };
        tracing::info!(target: "trunkline::lifespan", code = ending.code(), elapsed = ?ending.elapsed, "down");
        ending
    }
}
