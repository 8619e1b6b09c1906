//! Signals that ask a process to end: SIGTERM and Ctrl-C.

use std::io;
use std::process;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::stop::{Cause, Lifecycle};

/// Within this time the same signal counts once: timeout(1) and supervisors send it to the process
/// and to its group. A person takes longer to press Ctrl-C twice.
const REPETITION: Duration = Duration::from_millis(100);

/// The signals that ask the process to end: SIGINT (Ctrl-C) and, on Unix, SIGTERM.
///
/// From its creation on these signals no longer end the process by themselves; tokio keeps its
/// handlers after the drop. [`Lifespan::run`](crate::Lifespan::run) listens by itself: this type is
/// for programs without it.
///
/// ```no_run
/// # async fn run() -> std::io::Result<()> {
/// let mut signals = trunkline_lifespan::Signals::listen()?;
/// let number = signals.next().await;
/// println!("signal {number}: finishing; a second signal exits at once");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Signals {
    received: mpsc::Receiver<u8>,
    last: Option<(u8, Instant)>,
    /// The listening tasks, aborted by the drop.
    _tasks: JoinSet<()>,
}

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// The system refuses a handler.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn listen() -> io::Result<Self> {
        let mut tasks = JoinSet::new();
        let (sender, received) = mpsc::channel(4);
        forward(&mut tasks, &sender)?;
        Ok(Self { received, last: None, _tasks: tasks })
    }

    /// Waits for the next signal and returns its number. The same signal again within 100 ms is part
    /// of the one before.
    ///
    /// # Cancel safety
    ///
    /// No signal is lost.
    pub async fn next(&mut self) -> u8 {
        loop {
            // None: the listening tasks are gone with their runtime, and no signal arrives.
            let Some(signal) = self.received.recv().await else { return std::future::pending().await };
            let is_repetition =
                self.last.is_some_and(|(last, received)| last == signal && received.elapsed() < REPETITION);
            if !is_repetition {
                self.last = Some((signal, Instant::now()));
                return signal;
            }
        }
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

/// Other systems have Ctrl-C alone, which counts as SIGINT.
#[cfg(not(unix))]
fn forward(tasks: &mut JoinSet<()>, sender: &mpsc::Sender<u8>) -> io::Result<()> {
    let sender = sender.clone();
    tasks.spawn(async move { while tokio::signal::ctrl_c().await.is_ok() && sender.send(2).await.is_ok() {} });
    Ok(())
}

/// The task that ends the application at the first signal and the process at the second. Its drop
/// ends it.
#[derive(Debug)]
pub(crate) struct SignalTask(#[expect(dead_code, reason = "its drop aborts the task")] JoinSet<()>);

impl SignalTask {
    pub(crate) fn start(lifecycle: Arc<Lifecycle>) -> io::Result<Self> {
        let mut signals = Signals::listen()?;
        // A task of its own, because the application may be busy.
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            lifecycle.end(Cause::Signal(signals.next().await));
            let signal = signals.next().await;
            tracing::error!(target: "trunkline::lifespan", signal, "second signal: exiting at once");
            process::exit(128 + i32::from(signal));
        });
        Ok(Self(tasks))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{sleep, timeout};

    use super::*;

    /// The second signal of these, each after so many milliseconds. None if they count as one.
    async fn second(sent: &'static [(u64, u8)]) -> Option<u8> {
        let (sender, received) = mpsc::channel(4);
        let mut signals = Signals { received, last: None, _tasks: JoinSet::new() };
        tokio::spawn(async move {
            for &(after, signal) in sent {
                sleep(Duration::from_millis(after)).await;
                let _ = sender.send(signal).await;
            }
        });
        signals.next().await;
        timeout(Duration::from_secs(1), signals.next()).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_signal_repeated_within_100_ms_counts_once() {
        assert_eq!(second(&[(0, 15), (0, 15)]).await, None);
        assert_eq!(second(&[(0, 15), (50, 15), (49, 15)]).await, None);
        assert_eq!(second(&[(0, 15), (0, 15), (100, 15)]).await, Some(15));
        assert_eq!(second(&[(0, 15), (100, 15)]).await, Some(15));
        // Another signal is another request.
        assert_eq!(second(&[(0, 15), (0, 2)]).await, Some(2));
    }
}
