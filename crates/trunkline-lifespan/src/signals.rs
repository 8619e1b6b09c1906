//! What asks the application to stop from outside: SIGTERM and Ctrl-C. Asked a second time, it does
//! not wait any more.

use std::io;
use std::process;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::stop::{Cause, Course};

/// The same signal again within this time is the same request: timeout(1) and supervisors send it
/// to the process and to its group, and so twice. A person takes longer.
const ONCE: Duration = Duration::from_millis(100);

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
            if let Some(signal) = asked_again(&mut signals, &course).await {
                tracing::error!(target: "trunkline::lifespan", signal, "asked again: exiting at once");
                process::exit(128 + i32::from(signal));
            }
        });
        Ok(Self(tasks))
    }
}

/// Begins the end with the first signal, and waits for the second.
async fn asked_again(signals: &mut mpsc::Receiver<u8>, course: &Course) -> Option<u8> {
    let first = signals.recv().await?;
    let asked = Instant::now();
    course.end(Cause::Signal(first));
    loop {
        let signal = signals.recv().await?;
        if signal != first || asked.elapsed() >= ONCE {
            return Some(signal);
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

/// Elsewhere there is Ctrl-C alone, which counts as SIGINT.
#[cfg(not(unix))]
fn forward(tasks: &mut JoinSet<()>, sender: &mpsc::Sender<u8>) -> io::Result<()> {
    let sender = sender.clone();
    tasks.spawn(async move { while tokio::signal::ctrl_c().await.is_ok() && sender.send(2).await.is_ok() {} });
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    /// After how many milliseconds which signal comes, and which of them is the second request.
    async fn second(given: &'static [(u64, u8)]) -> Option<u8> {
        let (sender, mut signals) = mpsc::channel(4);
        tokio::spawn(async move {
            for &(after, signal) in given {
                sleep(Duration::from_millis(after)).await;
                let _ = sender.send(signal).await;
            }
        });
        asked_again(&mut signals, &Course::new()).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_signal_that_comes_twice_at_once_is_one() {
        assert_eq!(second(&[(0, 15), (0, 15)]).await, None);
        assert_eq!(second(&[(0, 15), (50, 15), (49, 15)]).await, None);
        assert_eq!(second(&[(0, 15), (0, 15), (100, 15)]).await, Some(15));
        assert_eq!(second(&[(0, 15), (100, 15)]).await, Some(15));
        // Another one is another request.
        assert_eq!(second(&[(0, 15), (0, 2)]).await, Some(2));
    }
}
