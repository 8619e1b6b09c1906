//! HTTP/1.1 by hand, so that half a request can be sent and half an answer read.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Client {
    stream: TcpStream,
}

impl From<TcpStream> for Client {
    fn from(stream: TcpStream) -> Self {
        Self { stream }
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        TcpStream::connect(address).await.unwrap().into()
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Without an await.
    pub(crate) fn send_now(&self, text: &str) {
        assert_eq!(self.stream.try_write(text.as_bytes()).unwrap(), text.len());
    }

    pub(crate) async fn get(&mut self, path: &str) {
        assert!(self.try_get(path).await);
    }

    /// False if the connection is closed.
    pub(crate) async fn try_get(&mut self, path: &str) -> bool {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await.is_ok()
    }

    /// Whether there is anything to read, or the end.
    pub(crate) fn has_heard(&self) -> bool {
        self.stream.try_read(&mut [0]).is_ok()
    }

    /// Head and body of one answer. The body has to have a length.
    pub(crate) async fn answer(&mut self) -> (String, String) {
        self.read_answer().await.unwrap()
    }

    /// False if there is none; half of one is worse.
    pub(crate) async fn try_answer(&mut self) -> bool {
        let mut first = [0];
        if !matches!(self.stream.peek(&mut first).await, Ok(1)) {
            return false;
        }
        self.answer().await;
        true
    }

    async fn read_answer(&mut self) -> io::Result<(String, String)> {
        let head = self.head().await;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        Ok((head, String::from_utf8(body).unwrap()))
    }

    pub(crate) async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    /// All that comes until the other side closes.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset is an end too, where half a request was left unread.
        let _ = self.stream.read_to_end(&mut rest).await;
        rest
    }
}
