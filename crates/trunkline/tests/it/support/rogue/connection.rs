//! Execution of a script on one connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::chaos;
use super::log::{ConnectionLog, Recorded};
use super::step::{Script, Step};

pub(super) async fn serve(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    script: Arc<dyn Script>,
    arrived: ConnectionLog,
) {
    // Without Nagle's algorithm, two writes arrive as two pieces.
    stream.set_nodelay(true).unwrap();
    let steps = script.steps(arrived.number);
    let stream = match tls {
        None => Stream::Plain(stream),
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => Stream::Tls(Box::new(stream)),
            // The client refused us, or we the client.
            Err(_) => return,
        },
    };
    let mut connection = Connection { stream, unread: Vec::new(), last: None, requests: 0, arrived };
    // An error is the client's doing: it closed. The end of the script closes as well.
    let _ = connection.run(&steps).await;
}

pub(super) struct Connection {
    stream: Stream,
    /// Read from the stream, not yet taken by a step.
    unread: Vec<u8>,
    /// The last request's place in the log.
    last: Option<usize>,
    requests: u64,
    arrived: ConnectionLog,
}

impl Connection {
    /// Ends with an error when the connection is over.
    async fn run(&mut self, steps: &[Step]) -> io::Result<()> {
        for step in steps {
            match step {
                Step::ReadHead => self.read_head().await?,
                Step::ReadBody => self.read_body().await?,
                Step::CountBody => self.take_message(BodySink::Count).await?,
                Step::Swallow(bytes) => self.swallow(*bytes).await?,
                Step::Echo => self.echo().await?,
                Step::Send(bytes) => self.send(bytes).await?,
                Step::SendSlowly(bytes, gap) => {
                    for &byte in bytes {
                        tokio::time::sleep(*gap).await;
                        self.send(&[byte]).await?;
                    }
                }
                Step::Pause(time) => tokio::time::sleep(*time).await,
                Step::WaitFor(gate) => gate.pass().await,
                Step::Fin => self.stream.shutdown().await?,
                Step::Reset => return self.reset(),
                Step::Close => return Err(over()),
                Step::Hold => std::future::pending().await,
                Step::Drain => self.drain().await?,
                Step::Respond(status, body) => self.send(&response(*status, "", body)).await?,
                Step::Loop(steps) => loop {
                    Box::pin(self.run(steps)).await?;
                    // Steps that never wait would keep the others, and the end, from coming.
                    tokio::task::yield_now().await;
                },
                Step::Repeat(times, steps) => {
                    for _ in 0..*times {
                        Box::pin(self.run(steps)).await?;
                    }
                }
                Step::Chaos(seed) => chaos::serve(self, *seed).await?,
            }
        }
        Ok(())
    }

    pub(super) async fn read_head(&mut self) -> io::Result<()> {
        let end = loop {
            if let Some(at) = find(&self.unread, b"\r\n\r\n") {
                break at + 4;
            }
            self.read_more().await?;
        };
        let head: Vec<u8> = self.unread.drain(..end).collect();
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
        let headers = lines.filter_map(|line| line.split_once(':'));
        let request = Recorded {
            connection: self.arrived.number,
            peer: self.arrived.peer,
            method: words.next().unwrap_or_default(),
            path: words.next().unwrap_or_default(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect(),
            body: Vec::new(),
            length: 0,
            whole: false,
            mood: None,
        };
        self.requests += 1;
        self.last = Some(self.arrived.record(request));
        Ok(())
    }

    pub(super) async fn read_body(&mut self) -> io::Result<()> {
        self.take_message(BodySink::Record).await
    }

    async fn echo(&mut self) -> io::Result<()> {
        let framing = |name, value: String| format!("HTTP/1.1 200 Rogue\r\n{name}: {value}\r\n\r\n");
        let header = |name| self.last.and_then(|place| self.arrived.header(place, name));
        let (head, sink) = match header("content-length") {
            Some(length) => (framing("Content-Length", length), BodySink::Echo),
            None => (framing("Transfer-Encoding", "chunked".into()), BodySink::EchoChunks),
        };
        self.send(head.as_bytes()).await?;
        self.take_message(sink).await?;
        if sink == BodySink::EchoChunks { self.send(b"0\r\n\r\n").await } else { Ok(()) }
    }

    async fn swallow(&mut self, mut bytes: usize) -> io::Result<()> {
        while bytes > 0 {
            if self.unread.is_empty() {
                self.read_more().await?;
            }
            let some = bytes.min(self.unread.len());
            self.unread.drain(..some);
            bytes -= some;
        }
        Ok(())
    }

    async fn take_message(&mut self, sink: BodySink) -> io::Result<()> {
        let Some(place) = self.last else {
            return Ok(());
        };
        let header = |name| self.arrived.header(place, name);
        let chunked = header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
        let length = header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        if !chunked {
            self.take_body(place, length, sink).await?;
            self.arrived.amend(place, |request| request.whole = true);
            return Ok(());
        }
        loop {
            let line = self.take_line().await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            match usize::from_str_radix(size, 16).map_err(io::Error::other)? {
                0 => break,
                size => self.take_body(place, size, sink).await?,
            }
            self.take_line().await?;
        }
        // Trailers, up to an empty line.
        while !self.take_line().await?.is_empty() {}
        self.arrived.amend(place, |request| request.whole = true);
        Ok(())
    }

    /// Records as it reads, so that a body that breaks off is seen as far as it came.
    async fn take_body(&mut self, place: usize, mut length: usize, sink: BodySink) -> io::Result<()> {
        while length > 0 {
            if self.unread.is_empty() {
                self.read_more().await?;
            }
            let some: Vec<u8> = self.unread.drain(..length.min(self.unread.len())).collect();
            length -= some.len();
            match sink {
                BodySink::Echo => self.send(&some).await?,
                BodySink::EchoChunks => self.send(&chunk(&some)).await?,
                BodySink::Record | BodySink::Count => {}
            }
            self.arrived.amend(place, |request| {
                request.length += some.len() as u64;
                if sink == BodySink::Record {
                    request.body.extend(some);
                }
            });
        }
        Ok(())
    }

    async fn take_line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = find(&self.unread, b"\r\n") {
                let line: Vec<u8> = self.unread.drain(..at + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            self.read_more().await?;
        }
    }

    /// Waits for bytes of a further request without taking them.
    pub(super) async fn await_request(&mut self) -> io::Result<()> {
        if self.unread.is_empty() { self.read_more().await } else { Ok(()) }
    }

    async fn read_more(&mut self) -> io::Result<()> {
        // A vector would else grow by a few bytes at a time, and a large body come in as many
        // pieces.
        self.unread.reserve(64 * 1024);
        match self.stream.read_buf(&mut self.unread).await? {
            0 => Err(over()),
            _ => Ok(()),
        }
    }

    async fn drain(&mut self) -> io::Result<()> {
        loop {
            self.unread.clear();
            self.read_more().await?;
        }
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Marks the socket so that closing it resets the connection, which the caller's end of the
    /// script does.
    pub(super) fn reset(&mut self) -> io::Result<()> {
        self.stream.tcp().set_zero_linger()?;
        Err(over())
    }

    pub(super) fn number(&self) -> usize {
        self.arrived.number
    }

    /// Number of request heads read on this connection.
    pub(super) fn requests(&self) -> u64 {
        self.requests
    }

    pub(super) fn note_mood(&self, mood: chaos::Mood) {
        if let Some(place) = self.last {
            self.arrived.amend(place, |request| request.mood = Some(mood));
        }
    }
}

/// Destination of a request's body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum BodySink {
    Record,
    Count,
    Echo,
    EchoChunks,
}

fn chunk(data: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat()
}

/// The connection is over, as the script or the client wants it.
pub(super) fn over() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

/// A well-formed response; `headers` are whole lines.
pub(super) fn response(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    // 1xx, 204 and 304 have no body and no length.
    let bare = status < 200 || status == 204 || status == 304;
    let length = if bare { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let mut bytes = format!("HTTP/1.1 {status} Rogue\r\n{length}{headers}\r\n").into_bytes();
    if !bare {
        bytes.extend(body);
    }
    bytes
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

/// Hands a poll on to whichever stream it is.
macro_rules! either {
    ($self:expr, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Plain(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Stream::Tls(stream) => {
                let $stream = Pin::new(stream.as_mut());
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_shutdown(cx))
    }
}
