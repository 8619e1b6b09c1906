//! Proxy to a database that drops connections silently, as routers and power failures do.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use url::Url;

use super::Database;

/// Proxy. Its drop ends all connections through it.
pub(crate) struct Wire {
    url: Url,
    lost: watch::Sender<()>,
    _tasks: JoinSet<()>,
}

impl Wire {
    pub(crate) async fn to(database: &Database) -> Self {
        let mut url: Url = database.url().parse().unwrap();
        let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap()).parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        let lost = watch::Sender::new(());
        let mut tasks = JoinSet::new();
        tasks.spawn(carry(listener, server, lost.clone()));
        Self { url, lost, _tasks: tasks }
    }

    /// URL of the database through this proxy.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Silences the open connections without closing them. New connections work.
    pub(crate) fn lose(&self) {
        self.lost.send_replace(());
    }
}

async fn carry(listener: TcpListener, server: SocketAddr, lost: watch::Sender<()>) {
    let mut connections = JoinSet::new();
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut lost = lost.subscribe();
        connections.spawn(async move {
            let Ok(mut server) = TcpStream::connect(server).await else { return };
            tokio::select! {
                _ = copy_bidirectional(&mut client, &mut server) => {}
                _ = lost.changed() => std::future::pending().await,
            }
        });
    }
}
