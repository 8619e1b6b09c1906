//! Parts of an application that keep a journal, a client that speaks HTTP/1 by hand, and the
//! application as a process.

mod client;
mod part;
mod process;

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use trunkline_lifespan::{App, Lifespan, Report, Result, Shutdown};

pub(crate) use self::client::Client;
pub(crate) use self::part::Journal;
pub(crate) use self::process::Process;

/// The limit on every wait of a test: far more than any step takes on a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until the condition holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The error and its causes in one line.
pub(crate) fn chain(error: &trunkline_lifespan::Error) -> String {
    format!("{error:?}").replace("\n  caused by: ", ": ")
}

/// Runs an application in this process, without signals.
pub(crate) async fn run(application: impl AsyncFnOnce(&App) -> Result<()>) -> Report {
    settings().run(application).await
}

pub(crate) fn settings() -> Lifespan {
    Lifespan::new().signals(false)
}

/// An application that serves in a task, and the handle that stops it.
pub(crate) struct Served {
    pub(crate) address: std::net::SocketAddr,
    pub(crate) shutdown: Shutdown,
    pub(crate) report: JoinHandle<Report>,
}

pub(crate) async fn serve(settings: Lifespan, router: impl FnOnce(&App) -> axum::Router + Send + 'static) -> Served {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let report = tokio::spawn(settings.run(async move |app: &App| -> Result<()> {
        let listener = app.bind("127.0.0.1:0").await?;
        let _ = sender.send((listener.local_addr().unwrap(), app.shutdown()));
        let router = router(app);
        app.serve(listener, router).await
    }));
    let (address, shutdown) = receiver.await.unwrap();
    Served { address, shutdown, report }
}
