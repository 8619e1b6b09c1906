//! A server that never accepts: connecting to it hangs, as to a host behind a silent firewall.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use super::sockets::unaccepted;

/// The kernel takes one connection more than it is told before the queue counts as full.
const BACKLOG: u32 = 1;

/// Its queue of unaccepted connections is full, so the kernel drops further SYNs.
#[derive(Debug)]
pub struct Deaf {
    listener: TcpListener,
    address: SocketAddr,
    // Hold the places in the queue.
    queued: Vec<TcpStream>,
}

impl Deaf {
    pub async fn start() -> Self {
        Self::listen_on("127.0.0.1").await
    }

    /// On another address of the loopback range.
    pub async fn listen_on(ip: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(ip.parse().unwrap(), 0)).unwrap();
        let address = socket.local_addr().unwrap();
        let listener = socket.listen(BACKLOG).unwrap();
        let mut queued = Vec::new();
        // By the kernel's count: on a busy machine a connection may take long and be made all the
        // same.
        while unaccepted(address.port()) <= BACKLOG {
            if let Ok(stream) = timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
                queued.push(stream.unwrap());
            }
        }
        Self { listener, address, queued }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// This process's connections that fill its queue: count them out when counting sockets to its
    /// port.
    pub fn queued(&self) -> usize {
        self.queued.len()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

#[tokio::test]
async fn connecting_to_the_deaf_hangs() {
    let deaf = Deaf::start().await;
    timeout(Duration::from_millis(300), TcpStream::connect(deaf.address())).await.unwrap_err();
}
