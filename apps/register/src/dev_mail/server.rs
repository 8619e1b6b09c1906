//! Server of the development mailbox: one task per connection, all ended at its close.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use url::Url;

use super::api;
use super::mailbox::Mailbox;

/// Maximum number of connections, above the default of a session. Further clients wait in the
/// kernel.
const CONNECTIONS: usize = 256;

/// Time for requests under way to finish when the server closes.
const DRAIN: Duration = Duration::from_secs(2);

/// Pause after a failed accept. The usual cause is too many open files, which passes.
const RESPITE: Duration = Duration::from_millis(100);

/// Development mailbox: an SES v2 endpoint on loopback that delivers nothing and shows all mails. A
/// clone is the same server.
#[derive(Clone, Debug)]
pub struct DevMail {
    address: SocketAddr,
    mailbox: Mailbox,
    stop: watch::Sender<bool>,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl DevMail {
    /// Listens on a free port of loopback, and keeps the newest `keep` mails. Needs a tokio
    /// runtime; [`close`](Self::close) ends the server.
    ///
    /// # Errors
    ///
    /// No port is free.
    pub async fn open(keep: usize) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let mailbox = Mailbox::new(keep);
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(serve(listener, api::router(mailbox.clone()), stopped));
        Ok(Self { address, mailbox, stop, task: Arc::new(Mutex::new(Some(task))) })
    }

    /// Endpoint for the SES client.
    pub fn endpoint(&self) -> Url {
        let mut url = Url::parse("http://127.0.0.1").expect("it is a URL");
        let _ = url.set_port(Some(self.address.port()));
        url
    }

    /// Mailbox with the received mails.
    pub fn mailbox(&self) -> Mailbox {
        self.mailbox.clone()
    }

    /// Stops listening, lets requests under way be answered for up to 2 s, and closes all
    /// connections. The mailbox can still be read. A second call does nothing.
    pub async fn close(&self) {
        self.stop.send_replace(true);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // The task fails only if its runtime shuts down.
            let _ = task.await;
        }
    }
}

async fn serve(listener: TcpListener, router: Router, mut stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        tokio::select! {
            () = stop_of(&mut stopped) => break,
            accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, router.clone(), stopped.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "the development mailbox could not accept a connection");
                    sleep(RESPITE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    let _ = timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, router: Router, mut stopped: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let served = http1::Builder::new()
        // With a timer, a head that does not arrive within 30 s ends its connection.
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut served = std::pin::pin!(served);
    tokio::select! {
        // A failed connection concerns its client only.
        _ = &mut served => return,
        () = stop_of(&mut stopped) => {}
    }
    served.as_mut().graceful_shutdown();
    let _ = served.await;
}

/// Waits for the stop, or for the drop of its sender.
async fn stop_of(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}
