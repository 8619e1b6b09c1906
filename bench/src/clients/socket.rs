//! No client at all: a socket for each task, the same request over and over, and as much parsing as
//! finds the end of the answer.

use std::sync::Mutex;

use anyhow::{Context as _, Result, bail};
use http::Uri;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::job;

/// A clone of it has a socket of its own.
#[derive(Default)]
pub(crate) struct Client(Mutex<Option<TcpStream>>);

impl Clone for Client {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl job::Client for Client {
    async fn get(&self, url: &'static str) -> Result<usize> {
        let uri = Uri::from_static(url);
        let authority = uri.authority().context("an address with a host")?.as_str();
        let kept = self.0.lock().ok().and_then(|mut kept| kept.take());
        let mut socket = match kept {
            Some(socket) => socket,
            None => TcpStream::connect(authority).await?,
        };
        let request = format!("GET {} HTTP/1.1\r\nHost: {authority}\r\nAccept: */*\r\n\r\n", uri.path());
        socket.write_all(request.as_bytes()).await?;
        let length = answer(&mut socket).await?;
        if let Ok(mut kept) = self.0.lock() {
            *kept = Some(socket);
        }
        Ok(length)
    }

    async fn read(&self, _: &'static str) -> Result<u64> {
        bail!("a bare socket reads small pages only")
    }
}

/// The length of the body, once all of it is there.
async fn answer(socket: &mut TcpStream) -> Result<usize> {
    let mut buffer = [0; 4096];
    let mut filled = 0;
    loop {
        match socket.read(&mut buffer[filled..]).await? {
            0 => bail!("the server has closed the connection"),
            read => filled += read,
        }
        let text = std::str::from_utf8(&buffer[..filled])?;
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            let length: usize = length.context("an answer with a length")?.parse()?;
            if body.len() == length {
                return Ok(length);
            }
        }
    }
}
