//! What asks the program to end: Ctrl-C and SIGTERM.

use tokio::sync::mpsc;

/// The requests to end, in order of arrival.
pub(crate) struct Shutdown(mpsc::Receiver<u8>);

impl Shutdown {
    /// From now on the signals no longer end the process by themselves.
    ///
    /// # Errors
    ///
    /// The system's, if a signal cannot be listened to.
    #[cfg(unix)]
    pub(crate) fn on_signals() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        let (sender, receiver) = mpsc::channel(4);
        for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
            let (mut signals, sender) = (signal(kind)?, sender.clone());
            let number = u8::try_from(kind.as_raw_value()).unwrap_or_default();
            tokio::spawn(async move { while signals.recv().await.is_some() && sender.send(number).await.is_ok() {} });
        }
        Ok(Self(receiver))
    }

    /// Elsewhere there is Ctrl-C alone, which counts as SIGINT.
    #[cfg(not(unix))]
    pub(crate) fn on_signals() -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel(4);
        tokio::spawn(async move { while tokio::signal::ctrl_c().await.is_ok() && sender.send(2).await.is_ok() {} });
        Ok(Self(receiver))
    }

    /// The number of the next signal.
    ///
    /// # Cancel safety
    ///
    /// No signal is lost.
    pub(crate) async fn next(&mut self) -> u8 {
        match self.0.recv().await {
            Some(signal) => signal,
            // The listeners are gone with their runtime.
            None => std::future::pending().await,
        }
    }
}
