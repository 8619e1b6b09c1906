//! A server that answers each connection with exactly these bytes, and then closes it, well or
//! badly.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub(crate) struct Raw {
    port: u16,
    accepted: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

/// The end of a connection.
#[derive(Clone)]
pub(crate) enum End {
    /// It is closed behind these bytes.
    Close(String),
    /// It is reset behind them.
    Reset(String),
    /// It is reset before anything was asked.
    Refuse,
}

impl Raw {
    /// `script` is given the number of the connection, from 0.
    pub(crate) async fn start(script: impl Fn(usize) -> End + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepted = Arc::<AtomicUsize>::default();
        let count = accepted.clone();
        let serving = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(answer(socket, script(count.fetch_add(1, Ordering::SeqCst))));
            }
        });
        Self { port, accepted, serving }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(mut socket: TcpStream, end: End) {
    let (text, reset) = match &end {
        End::Close(text) => (text, false),
        End::Reset(text) => (text, true),
        // A client that has gone has reset it already.
        End::Refuse => return drop(socket.set_zero_linger()),
    };
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match socket.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    // A client that has gone wants no answer.
    let _ = socket.write_all(text.as_bytes()).await;
    if reset {
        let _ = socket.set_zero_linger();
    }
}
