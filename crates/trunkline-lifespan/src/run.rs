//! The course of an application: its function, then the way down, in order, to the last step.

use std::pin::pin;

use tokio::time::Instant;

use crate::ending::Ending;
use crate::error::{BoxError, Error, Fault, Phase, caught};
use crate::life::Life;
use crate::settings::Lifespan;
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

impl Lifespan {
    /// Runs an application: its function, then the way down. Whatever the function opened is
    /// released, in reverse, when it returns, fails or panics, and all of it, whatever becomes
    /// of the others.
    ///
    /// A signal that comes while the function is [serving](Life::serve), or
    /// [waits](Life::until_stopped), ends that, and the function goes on from there. At any
    /// other time it drops the function where it stands, so that a start that hangs can be called
    /// off. A second signal, if it is another one or comes 100 ms later, ends the process at
    /// once with 128 + its number. After this returns, signals are not listened to any more, and
    /// do nothing (tokio keeps them): end the process soon.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, or in one without I/O and time enabled.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it aborts what runs, and what is open is dropped, not released; `tracing` gets an
    /// error for each.
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
            Ok(_) => attend(&life, caught(application(&life)), begun).await,
            Err(error) => {
                let fault = Fault::Failed(error.to_string().into());
                Function::Failed(Error::new(Phase::Signals, "", begun.elapsed(), fault))
            }
        };
        let ending = wind_down(life, function).await;
        drop(signals);
        ending
    }
}

/// What became of the application's function.
enum Function {
    Returned,
    Failed(Error),
    CutOff,
}

async fn attend(life: &Life, function: impl Future<Output = Result<(), Fault>>, begun: Instant) -> Function {
    let mut function = pin!(function);
    let stop = life.stopping();
    let returned = tokio::select! {
        biased;
        result = &mut function => Some(result),
        () = stop.requested() => None,
    };
    let result = match returned {
        Some(result) => result,
        // It knows, and will return by itself.
        None if life.course.is_attended() => function.await,
        None => return Function::CutOff,
    };
    match result {
        Ok(()) => Function::Returned,
        Err(fault) => Function::Failed(Error::application(fault, begun.elapsed())),
    }
}

async fn wind_down(life: Life, function: Function) -> Ending {
    let cut_off = matches!(function, Function::CutOff);
    let (mut steps, mut errors) = (Vec::new(), Vec::new());
    if let Function::Failed(error) = function {
        errors.push(error.log());
    }
    life.course.end(Cause::Returned);
    let cause = life.course.cause().unwrap_or(Cause::Returned);

    #[cfg(feature = "serve")]
    let aborted = life.servers.drain(&life.course, &life.settings).await;
    #[cfg(feature = "serve")]
    steps.append(&mut life.servers.take_steps());
    #[cfg(not(feature = "serve"))]
    let aborted = 0;

    while let Some(step) = life.works.stop_last().await {
        steps.push(step);
    }
    let failures = life.works.take_failures();
    // If work has brought the application down, its failure comes before what the function made of
    // that.
    let first = if cause == Cause::Failure { 0 } else { errors.len() };
    errors.splice(first..first, failures);

    for Released { step, error } in life.stack.release_all().await {
        steps.push(step);
        errors.extend(error);
    }
    let ending = Ending { cause, cut_off, errors, steps, aborted, elapsed: life.course.elapsed() };
    tracing::info!(target: "trunkline::lifespan", code = ending.code(), elapsed = ?ending.elapsed, "down");
    ending
}
