//! Parts of an application that keep a journal, a client that speaks HTTP/1 by hand, and the
//! application as a process.

mod client;
mod part;
mod process;

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use trunkline_lifespan::{Ending, Life, Lifespan, Result, Shutdown};

pub(crate) use self::client::Client;
pub(crate) use self::part::Journal;
pub(crate) use self::process::App;

/// Everything here takes much less, on the slowest machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until it holds.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// An application in this process: it does not listen to signals.
pub(crate) async fn run(application: impl AsyncFnOnce(&Life) -> Result<()>) -> Ending {
    settings().run(application).await
}

pub(crate) fn settings() -> Lifespan {
    Lifespan::new().signals(false)
}

/// One that serves in a task, and what stops it.
pub(crate) struct Served {
    pub(crate) address: std::net::SocketAddr,
    pub(crate) shutdown: Shutdown,
    pub(crate) ending: JoinHandle<Ending>,
}

pub(crate) async fn serve(settings: Lifespan, router: impl FnOnce(&Life) -> axum::Router + Send + 'static) -> Served {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let ending = tokio::spawn(settings.run(async move |life: &Life| -> Result<()> {
        let listener = life.bind("127.0.0.1:0").await?;
        let _ = sender.send((listener.local_addr().unwrap(), life.shutdown()));
        let router = router(life);
        life.serve(listener, router).await
    }));
    let (address, shutdown) = receiver.await.unwrap();
    Served { address, shutdown, ending }
}
