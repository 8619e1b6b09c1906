//! Run of an application: its function, then the end in order, to the last step.

use std::pin::pin;

use tokio::time::Instant;

use crate::app::App;
use crate::error::{BoxError, Error, Failure, Phase, catch_panic};
use crate::report::Report;
use crate::settings::Lifespan;
use crate::signals::SignalTask;
use crate::stack::Released;
use crate::stop::Cause;

/// Runs an application with the default settings: see [`Lifespan::run`].
pub async fn run<F, E>(application: F) -> Report
where
    F: AsyncFnOnce(&App) -> Result<(), E>,
    E: Into<BoxError>,
{
    Lifespan::new().run(application).await
}

impl Lifespan {
    /// Runs an application: its function, then the end. When the function returns, fails or panics,
    /// every resource it opened is released, in reverse, even if the release of another one fails.
    ///
    /// A signal during [`App::serve`] or [`App::until_stopped`] ends that wait, and the function goes
    /// on from there. At any other time a signal drops the function, so that it ends a start that
    /// hangs. A second signal, of another kind or at least 100 ms later, exits the process at once
    /// with 128 + its number. After this returns, signals have no effect (tokio keeps its handlers):
    /// exit the process soon.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, or in one without I/O and time enabled.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it aborts servers and background work, and drops resources without releasing them;
    /// `tracing` gets an error for each.
    pub async fn run<F, E>(self, application: F) -> Report
    where
        F: AsyncFnOnce(&App) -> Result<(), E>,
        E: Into<BoxError>,
    {
        let begun = Instant::now();
        let listen = self.signals;
        let app = App::new(self);
        let signals = listen.then(|| SignalTask::start(app.lifecycle.clone())).transpose();
        let function = match &signals {
            Ok(_) => run_function(&app, catch_panic(application(&app)), begun).await,
            Err(error) => {
                let failure = Failure::Failed(error.to_string().into());
                FunctionEnd::Failed(Error::new(Phase::Signals, "", begun.elapsed(), failure))
            }
        };
        let report = shut_down(app, function).await;
        drop(signals);
        report
    }
}

/// The end of the application's function.
enum FunctionEnd {
    Returned,
    Failed(Error),
    CutOff,
}

async fn run_function(app: &App, function: impl Future<Output = Result<(), Failure>>, begun: Instant) -> FunctionEnd {
    let mut function = pin!(function);
    let stop = app.stopping();
    let returned = tokio::select! {
        biased;
        result = &mut function => Some(result),
        () = stop.requested() => None,
    };
    let result = match returned {
        Some(result) => result,
        // The function waits for the stop and returns by itself.
        None if app.lifecycle.is_waited_for() => function.await,
        None => return FunctionEnd::CutOff,
    };
    match result {
        Ok(()) => FunctionEnd::Returned,
        Err(failure) => FunctionEnd::Failed(Error::application(failure, begun.elapsed())),
    }
}

async fn shut_down(app: App, function: FunctionEnd) -> Report {
    let cut_off = matches!(function, FunctionEnd::CutOff);
    let (mut steps, mut errors) = (Vec::new(), Vec::new());
    if let FunctionEnd::Failed(error) = function {
        errors.push(error.log());
    }
    app.lifecycle.end(Cause::Returned);
    let cause = app.lifecycle.cause().unwrap_or(Cause::Returned);

    #[cfg(feature = "serve")]
    let aborted = app.servers.drain(&app.lifecycle, &app.settings).await;
    #[cfg(feature = "serve")]
    steps.append(&mut app.servers.take_steps());
    #[cfg(not(feature = "serve"))]
    let aborted = 0;

    while let Some(step) = app.background.stop_last().await {
        steps.push(step);
    }
    let failures = app.background.take_failures();
    // Background work that ended the application comes before the error of the function, which may
    // be its consequence.
    let first = if cause == Cause::Failure { 0 } else { errors.len() };
    errors.splice(first..first, failures);

    for Released { step, error } in app.stack.release_all().await {
        steps.push(step);
        errors.extend(error);
    }
    let report = Report { cause, cut_off, errors, steps, aborted, elapsed: app.lifecycle.elapsed() };
    tracing::info!(target: "trunkline::lifespan", code = report.code(), elapsed = ?report.elapsed, "down");
    report
}
