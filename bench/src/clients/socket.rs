//! Bare socket as the lower bound: one per task, with a constant request and minimal parsing of the
//! response.

use std::sync::Mutex;

use anyhow::{Context as _, Result, bail};
use http::Uri;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::workload;

/// Each clone has its own socket.
#[derive(Default)]
pub(crate) struct Client(Mutex<Option<TcpStream>>);

impl Clone for Client {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl workload::Client for Client {
    async fn get(&self, url: &'static str) -> Result<usize> {
        let uri = Uri::from_static(url);
        let authority = uri.authority().context("the URL has no host")?.as_str();
        let reused = self.0.lock().ok().and_then(|mut socket| socket.take());
        let mut socket = match reused {
            Some(socket) => socket,
            None => TcpStream::connect(authority).await?,
        };
        let request = format!("GET {} HTTP/1.1\r\nHost: {authority}\r\nAccept: */*\r\n\r\n", uri.path());
        socket.write_all(request.as_bytes()).await?;
        let length = read_response(&mut socket).await?;
        if let Ok(mut slot) = self.0.lock() {
            *slot = Some(socket);
        }
        Ok(length)
    }

    async fn read(&self, _: &'static str) -> Result<u64> {
        bail!("a bare socket reads small pages only")
    }
}

/// Reads one response and returns the length of its body.
async fn read_response(socket: &mut TcpStream) -> Result<usize> {
    let mut buffer = [0; 4096];
    let mut filled = 0;
    loop {
        match socket.read(&mut buffer[filled..]).await? {
            0 => bail!("the server closed the connection"),
            read => filled += read,
        }
        let text = std::str::from_utf8(&buffer[..filled])?;
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            let length: usize = length.context("the response has no length")?.parse()?;
            if body.len() == length {
                return Ok(length);
            }
        }
    }
}
