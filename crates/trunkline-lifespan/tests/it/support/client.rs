//! HTTP/1.1 client by hand, which can send half a request and read half a response.

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

    /// Sends without an await.
    pub(crate) fn send_now(&self, text: &str) {
        assert_eq!(self.stream.try_write(text.as_bytes()).unwrap(), text.len());
    }

    pub(crate) async fn get(&mut self, path: &str) {
        assert!(self.try_get(path).await);
    }

    /// Returns false if the connection is closed.
    pub(crate) async fn try_get(&mut self, path: &str) -> bool {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await.is_ok()
    }

    /// Returns true if bytes or the end of the stream can be read.
    pub(crate) fn has_heard(&self) -> bool {
        self.stream.try_read(&mut [0]).is_ok()
    }

    /// Reads head and body of one response with a `Content-Length`.
    pub(crate) async fn answer(&mut self) -> (String, String) {
        self.read_answer().await.unwrap()
    }

    /// Returns false at the end of the stream. Half a response is a failure.
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

    /// Reads until the server closes.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset ends the stream too: the server left half a request unread.
        let _ = self.stream.read_to_end(&mut rest).await;
        rest
    }
}
