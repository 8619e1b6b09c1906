//! What asks the application to stop from outside: SIGTERM and Ctrl-C. Asked a second time, it does not wait any more.

use std::io;
use std::process;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::stop::{Cause, Course};

/// Listens until it is dropped.
#[derive(Debug)]
pub(crate) struct Signals(#[expect(dead_code, reason = "its drop ends the listening")] JoinSet<()>);

impl Signals {
    /// From now on the signals no longer end the process by themselves.
    pub(crate) fn listen(course: Arc<Course>) -> io::Result<Self> {
        let mut tasks = JoinSet::new();
        let (sender, mut signals) = mpsc::channel(4);
        forward(&mut tasks, &sender)?;
        // A task of its own, because the application may be busy.
        tasks.spawn(async move {
            if let Some(signal) = signals.recv().await {
                course.end(Cause::Signal(signal));
            }
            if let Some(signal) = signals.recv().await {
                tracing::error!(target: "trunkline::lifespan", signal, "asked again: exiting at once");
                process::exit(128 + i32::from(signal));
            }
        });
        Ok(Self(tasks))
    }
}

#[cfg(unix)]
fn forward(tasks: &mut JoinSet<()>, sender: &mpsc::Sender<u8>) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let (mut signals, sender) = (signal(kind)?, sender.clone());
        let number = u8::try_from(kind.as_raw_value()).unwrap_or_default();
        tasks.spawn(async move { while signals.recv().await.is_some() && sender.send(number).await.is_ok() {} });
    }
    Ok(())
}

/// Elsewhere there is Ctrl-C alone, which counts as SIGINT.
#[cfg(not(unix))]
fn forward(tasks: &mut JoinSet<()>, sender: &mpsc::Sender<u8>) -> io::Result<()> {
    let sender = sender.clone();
    tasks.spawn(async move { while tokio::signal::ctrl_c().await.is_ok() && sender.send(2).await.is_ok() {} });
    Ok(())
}
