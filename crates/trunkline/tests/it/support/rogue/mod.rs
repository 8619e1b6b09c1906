//! A scripted HTTP server: runs a test's steps on each connection and records the requests.
//!
//! ```ignore
//! let half = Step::send("HTTP/1.1 200 OK\r\nContent-Le");
//! let rogue = Rogue::start(vec![Step::ReadHead, half, Step::Reset]).await;
//! let rogue = Rogue::start(|connection| match connection {
//!     0 => vec![Step::ReadHead, Step::ok("first"), Step::Fin, Step::Hold],
//!     _ => Step::serve("again"),
//! })
//! .await;
//! let rogue = Rogue::chaos(seed).await;
//! rogue.wait_until(|log| log.requests.len() == 2).await;
//! ```

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{self, Handle};
use tokio::sync::{oneshot, watch};
use tokio_rustls::TlsAcceptor;

use super::process::blocking;
use super::tls::{Identity, TestCa};

mod chaos;
mod connection;
mod log;
mod step;
#[cfg(test)]
mod tests;

pub use chaos::{CHAOS_BODY, Mood, Random};
pub use log::{Log, Recorded};
pub use step::{Gate, Script, Step};

/// Time limit of [`Rogue::wait_until`].
const WAIT_LIMIT: Duration = Duration::from_secs(10);

/// A running server. It has a thread and a runtime of its own; dropping it closes its sockets.
pub struct Rogue {
    scheme: &'static str,
    address: SocketAddr,
    log: watch::Sender<Log>,
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Rogue {
    pub fn builder() -> RogueBuilder {
        RogueBuilder::default()
    }

    /// Serves every connection by this script: a list of steps, or a function from a connection's
    /// number (the first is 0) to one.
    pub async fn start(script: impl Script) -> Self {
        Self::builder().start(script).await
    }

    /// The same over TLS, with a certificate for `localhost` and 127.0.0.1.
    pub async fn tls(ca: &TestCa, script: impl Script) -> Self {
        Self::builder().tls(ca).start(script).await
    }

    /// Answers each request in some [`Mood`], the same ones for the same seed, connection number
    /// and request number.
    pub async fn chaos(seed: u64) -> Self {
        Self::start(vec![Step::Chaos(seed)]).await
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// The path's URL at that name, `localhost` for instance.
    pub fn url_at(&self, host: &str, path: &str) -> String {
        format!("{}://{host}:{}{path}", self.scheme, self.port())
    }

    /// Everything so far.
    pub fn log(&self) -> Log {
        self.log.borrow().clone()
    }

    pub fn requests(&self) -> Vec<Recorded> {
        self.log.borrow().requests.clone()
    }

    /// Number of connections accepted.
    pub fn accepted(&self) -> usize {
        self.log.borrow().accepted
    }

    /// Number of connections this side has not closed yet.
    pub fn open(&self) -> usize {
        self.log.borrow().open
    }

    /// Waits, in real time and 10 s at most, until the log is as wanted, and returns it.
    ///
    /// # Panics
    /// With the log, when the time is up.
    pub async fn wait_until(&self, wanted: impl FnMut(&Log) -> bool) -> Log {
        let mut log = self.log.subscribe();
        // A clock of the rogue's runtime: the test's may be stopped.
        let limit = self.runtime.spawn(tokio::time::sleep(WAIT_LIMIT));
        let stop_limit = limit.abort_handle();
        let found = tokio::select! {
            biased;
            found = log.wait_for(wanted) => Some(found.expect("self holds the sender").clone()),
            _ = limit => None,
        };
        stop_limit.abort();
        found.unwrap_or_else(|| panic!("not so after {WAIT_LIMIT:?}: {:#?}", self.log()))
    }
}

impl Drop for Rogue {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Rogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rogue").field("address", &self.address).field("log", &self.log()).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, Default)]
#[must_use]
pub struct RogueBuilder {
    ip: Option<String>,
    tls: Option<Tls>,
}

#[derive(Clone)]
struct Tls {
    identity: Identity,
    config: Arc<rustls::ServerConfig>,
}

impl RogueBuilder {
    /// Another address of the loopback range; `127.0.0.1` by default.
    pub fn listen_on(mut self, ip: &str) -> Self {
        self.ip = Some(ip.to_owned());
        self
    }

    /// HTTPS only, with a certificate for `localhost`, 127.0.0.1 and 127.0.0.2.
    pub fn tls(self, ca: &TestCa) -> Self {
        self.identity(ca.server_cert(&["localhost", "127.0.0.1", "127.0.0.2"]))
    }

    /// HTTPS only, with this certificate, an expired one for instance.
    pub fn identity(mut self, identity: Identity) -> Self {
        let config = TestCa::server_config(&identity, None);
        self.tls = Some(Tls { identity, config });
        self
    }

    /// After [`tls`](Self::tls): refuses clients that show no certificate of that authority.
    ///
    /// # Panics
    /// Before it.
    pub fn ask_client_certificate(mut self, ca: &TestCa) -> Self {
        let tls = self.tls.as_mut().expect("`tls` is called first");
        tls.config = TestCa::server_config(&tls.identity, Some(ca));
        self
    }

    pub async fn start(self, script: impl Script) -> Rogue {
        blocking(move || self.start_blocking(Arc::new(script))).await
    }

    fn start_blocking(self, script: Arc<dyn Script>) -> Rogue {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ip = self.ip.as_deref().unwrap_or("127.0.0.1");
        let listener = runtime.block_on(TcpListener::bind((ip, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let log = watch::Sender::new(Log::default());
        let (stop, stopped) = oneshot::channel();
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let tls = self.tls.map(|tls| TlsAcceptor::from(tls.config));
        let handle = runtime.handle().clone();
        let thread = thread::spawn({
            let log = log.clone();
            move || {
                runtime.block_on(async {
                    tokio::select! {
                        _ = stopped => {}
                        () = accept(&listener, tls.as_ref(), &script, &log) => {}
                    }
                });
            }
        });
        Rogue { scheme, address, log, runtime: handle, stop: Some(stop), thread: Some(thread) }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

async fn accept(listener: &TcpListener, tls: Option<&TlsAcceptor>, script: &Arc<dyn Script>, log: &watch::Sender<Log>) {
    for number in 0.. {
        let (stream, peer) = listener.accept().await.unwrap();
        let arrived = log::ConnectionLog::new(log.clone(), number, peer);
        tokio::spawn(connection::serve(stream, tls.cloned(), Arc::clone(script), arrived));
    }
}
