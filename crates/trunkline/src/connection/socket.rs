//! The socket under a connection: shared, so that it can be asked whether the peer is gone, and
//! counted.

use std::fmt;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::bell::Bell;

/// A TCP connection and what has passed over it.
///
/// The socket closes when the last `Arc` of it is dropped: whoever keeps one keeps the socket open,
/// and with it the pool's slot (P1).
pub(crate) struct Socket {
    tcp: TcpStream,
    peer: SocketAddr,
    /// Over TLS bytes may come unasked (session tickets), on a plain connection they may not.
    secure: bool,
    /// Plaintext bytes the engine has handed over. Zero proves that a request was not sent (P10).
    written: AtomicU64,
    /// Plaintext bytes the engine was given.
    read: AtomicU64,
    /// The engine has nothing left of what it began to write.
    flushed: AtomicBool,
    /// The peer has reset what was being sent.
    refused: AtomicBool,
    /// Not to be used again (`ConnectionHandle::retire`).
    retired: AtomicBool,
}

/// What a look at an idle connection's socket shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    Alive,
    /// Closed or reset by the peer, or it sent what nobody asked for: not to be used again.
    Dead,
    /// Somebody has asked that it serves nobody else.
    Retired,
    /// Something has come over TLS: a session ticket, or the peer's goodbye. The engine has to read
    /// it to know.
    Unread,
}

impl Socket {
    /// Takes over a connected socket; `secure` says whether TLS will run over it.
    pub(crate) fn new(tcp: TcpStream, secure: bool) -> io::Result<Arc<Self>> {
        // A request is written in one piece: Nagle could only delay its last segment.
        tcp.set_nodelay(true)?;
        let peer = tcp.peer_addr()?;
        Ok(Arc::new(Self {
            tcp,
            peer,
            secure,
            written: AtomicU64::new(0),
            read: AtomicU64::new(0),
            flushed: AtomicBool::new(true),
            refused: AtomicBool::new(false),
            retired: AtomicBool::new(false),
        }))
    }

    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    pub(crate) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    pub(crate) fn is_flushed(&self) -> bool {
        self.flushed.load(Ordering::Relaxed)
    }

    pub(crate) fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    /// Looks at an idle connection, without waiting and without taking anything from it.
    ///
    /// It asks the kernel, not tokio: a connection nobody polled since the peer closed it still
    /// looks fine to the runtime.
    pub(crate) fn probe(&self) -> Probe {
        if self.is_retired() {
            return Probe::Retired;
        }
        loop {
            return match SockRef::from(&self.tcp).peek(&mut [MaybeUninit::uninit()]) {
                Ok(0) => Probe::Dead,
                Ok(_) if self.secure => Probe::Unread,
                Ok(_) => Probe::Dead,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Probe::Alive,
                Err(_) => Probe::Dead,
            };
        }
    }

    /// One read, if tokio believes there is something to read.
    fn try_read(&self, buf: &mut ReadBuf<'_>) -> io::Result<()> {
        let mut outcome = Err(io::ErrorKind::WouldBlock.into());
        // The outer `try_io` only serves to forget the readiness after a short read, which has emptied the
        // socket: it saves the read that would find nothing. It must be the one that saw the
        // readiness *before* the read, or an event arriving in between would be forgotten with it.
        // `TcpStream::poll_read` does the same, but wants `&mut`.
        let _ = self.tcp.try_io(Interest::READABLE, || {
            let room = buf.remaining();
            outcome = self.tcp.try_read_buf(buf);
            match outcome {
                Ok(n) if DRAINED_BY_SHORT_READ && 0 < n && n < room => Err(io::ErrorKind::WouldBlock.into()),
                _ => Ok(()),
            }
        });
        outcome.map(drop)
    }

    /// A server that refuses a request early answers, closes, and thereby resets what is still
    /// being sent. Its answer is in the receive buffer then, and behind it an end. The engine
    /// takes a failed write for the end of everything and would not look; so such a
    /// write waits, while reading, which the engine does all the time, brings the answer or the
    /// end.
    fn unless_refused(&self, outcome: io::Result<usize>) -> Poll<io::Result<usize>> {
        match outcome {
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
                self.refused.store(true, Ordering::Relaxed);
                Poll::Pending
            }
            done => Poll::Ready(done),
        }
    }
}

/// Edge-triggered selectors only (<https://github.com/tokio-rs/tokio/issues/5866>).
const DRAINED_BY_SHORT_READ: bool = cfg!(any(target_os = "linux", target_os = "macos", target_os = "freebsd"));

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("peer", &self.peer)
            .field("secure", &self.secure)
            .field("written", &self.written())
            .field("read", &self.read())
            .finish_non_exhaustive()
    }
}

/// The connection that a response came over, for as long as there is one: holding a handle keeps
/// nothing open.
///
/// It is for those who learn from a response, perhaps only after they have read it, that the server
/// behind its connection is not
/// well. See [`ResponseBody::connection_handle`](crate::ResponseBody::connection_handle).
#[derive(Clone, Debug)]
pub struct ConnectionHandle(Weak<Socket>);

impl ConnectionHandle {
    pub(crate) fn new(wire: &Arc<Socket>) -> Self {
        Self(Arc::downgrade(wire))
    }

    /// The connection is given to no further request. One that it is serving is finished; then it
    /// is closed. An idle one is closed when it would be used next, or has been idle for its
    /// time.
    pub fn retire(&self) {
        if let Some(wire) = self.0.upgrade() {
            wire.retired.store(true, Ordering::Relaxed);
        }
    }
}

/// The bytes on the wire, encrypted or not.
#[derive(Debug)]
pub(crate) struct SocketIo(Arc<Socket>);

impl SocketIo {
    pub(crate) fn new(wire: Arc<Socket>) -> Self {
        Self(wire)
    }
}

// Each loop ends in `poll_*_ready` returning pending, which registers the waker, never in a bare
// `WouldBlock`.
impl AsyncRead for SocketIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.tcp.poll_read_ready(cx))?;
            match self.0.try_read(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }
}

impl AsyncWrite for SocketIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.tcp.poll_write_ready(cx))?;
            match self.0.tcp.try_write(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return self.0.unless_refused(done),
            }
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // A head alone is the common case, and `send` is the shorter way through the kernel.
        if let [single] = bufs {
            return self.poll_write(cx, single);
        }
        loop {
            ready!(self.0.tcp.poll_write_ready(cx))?;
            match self.0.tcp.try_write_vectored(bufs) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return self.0.unless_refused(done),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match SockRef::from(&self.0.tcp).shutdown(Shutdown::Write) {
            // The peer was faster: there is nothing left to shut down.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            done => Poll::Ready(done),
        }
    }
}

/// A connection as the engine reads and writes it.
pub(crate) enum Stream {
    Plain(SocketIo),
    /// Boxed: its session state is a kilobyte, and most plain connections would carry it along.
    Tls(Box<TlsStream<SocketIo>>),
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Tls(_) => "Tls",
        })
    }
}

/// A stream that adds the plaintext passing through it to its wire's figures.
#[derive(Debug)]
pub(crate) struct MeteredStream {
    stream: Stream,
    wire: Arc<Socket>,
    /// What every read leaves as its waker.
    bell: Option<Bell>,
    /// The last read found nothing.
    empty: bool,
}

impl MeteredStream {
    pub(crate) fn new(stream: Stream, wire: Arc<Socket>) -> Self {
        Self { stream, wire, bell: None, empty: false }
    }

    /// For an engine that tries to read whenever it is polled: a read that found nothing has left
    /// the bell with the socket, and until that rings there is nothing to find.
    pub(super) fn read_by(self, bell: Bell) -> Self {
        Self { bell: Some(bell), ..self }
    }

    fn count_written(&self, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(n)) = &outcome {
            self.wire.written.fetch_add(*n as u64, Ordering::Relaxed);
        }
        outcome
    }
}

impl AsyncRead for MeteredStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let rung = self.bell.as_ref().is_none_or(Bell::has_rung);
        if self.empty && !rung {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let outcome = match &mut self.stream {
            Stream::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Stream::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        };
        self.empty = outcome.is_pending();
        let n = buf.filled().len() - before;
        self.wire.read.fetch_add(n as u64, Ordering::Relaxed);
        outcome
    }
}

impl AsyncWrite for MeteredStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.wire.flushed.store(false, Ordering::Relaxed);
        let outcome = match &mut self.stream {
            Stream::Plain(io) => Pin::new(io).poll_write(cx, buf),
            Stream::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        };
        self.count_written(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.wire.flushed.store(false, Ordering::Relaxed);
        let outcome = match &mut self.stream {
            Stream::Plain(io) => Pin::new(io).poll_write_vectored(cx, bufs),
            Stream::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
        };
        self.count_written(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(io) => io.is_write_vectored(),
            Stream::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = match &mut self.stream {
            Stream::Plain(io) => Pin::new(io).poll_flush(cx),
            Stream::Tls(tls) => Pin::new(tls).poll_flush(cx),
        };
        if outcome.is_ready() {
            self.wire.flushed.store(true, Ordering::Relaxed);
        }
        outcome
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Stream::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair(secure: bool) -> (Arc<Socket>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Socket::new(client, secure).unwrap(), listener.accept().await.unwrap().0)
    }

    /// What a peer did arrives when the kernel pleases, even on loopback.
    async fn eventually(what: impl Fn() -> bool) {
        let met = async {
            while !what() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), met).await.expect("it never came about");
    }

    #[tokio::test]
    async fn an_idle_connection_is_alive_until_the_peer_closes_it() {
        let (wire, server) = pair(false).await;
        assert_eq!(wire.probe(), Probe::Alive);
        drop(server);
        eventually(|| wire.probe() == Probe::Dead).await;
    }

    #[tokio::test]
    async fn bytes_nobody_asked_for_end_a_plain_connection_only() {
        let (plain, mut server) = pair(false).await;
        server.write_all(b"HTTP/1.1 408 Request Timeout\r\n\r\n").await.unwrap();
        eventually(|| plain.probe() == Probe::Dead).await;

        let (secure, mut server) = pair(true).await;
        server.write_all(b"a session ticket").await.unwrap();
        secure.tcp.readable().await.unwrap();
        assert_eq!(secure.probe(), Probe::Unread);
        drop(server);
        let mut ticket = [0; 16];
        SocketIo::new(secure.clone()).read_exact(&mut ticket).await.unwrap();
        eventually(|| secure.probe() == Probe::Dead).await;
    }

    #[tokio::test]
    async fn what_is_written_is_sent_at_once() {
        let (wire, _server) = pair(false).await;
        assert!(wire.tcp.nodelay().unwrap());
    }

    #[tokio::test]
    async fn a_large_exchange_passes_whole_and_is_counted() {
        const SIZE: usize = 3_000_000;
        let (wire, mut server) = pair(false).await;
        let echo = tokio::spawn(async move {
            let mut seen = Vec::new();
            server.read_to_end(&mut seen).await.unwrap();
            server.write_all(&seen).await.unwrap();
        });
        let mut client = MeteredStream::new(Stream::Plain(SocketIo::new(wire.clone())), wire.clone());
        let sent: Vec<u8> = (0..SIZE).map(|i| i as u8).collect();
        client.write_all(&sent).await.unwrap();
        client.shutdown().await.unwrap();
        let mut got = Vec::new();
        client.read_to_end(&mut got).await.unwrap();
        assert!(got == sent);
        assert_eq!((wire.written(), wire.read()), (SIZE as u64, SIZE as u64));
        echo.await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_wake_up_is_lost_after_short_reads() {
        let (wire, mut server) = pair(false).await;
        server.set_nodelay(true).unwrap();
        let writer = tokio::spawn(async move {
            let mut echoed = [0; 1];
            for i in 0..20_000_u32 {
                server.write_all(b".").await.unwrap();
                // Mostly without waiting: bytes must also arrive while the reader is between its read and its next
                // poll.
                if i % 7 == 0 {
                    server.write_all(b"?").await.unwrap();
                    server.read_exact(&mut echoed).await.unwrap();
                }
            }
        });
        let mut client = SocketIo::new(wire);
        let mut buf = [0; 64];
        let reading = async {
            loop {
                let n = client.read(&mut buf).await.unwrap();
                if n == 0 {
                    break;
                }
                for _ in buf[..n].iter().filter(|byte| **byte == b'?') {
                    client.write_all(b"!").await.unwrap();
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), reading).await.expect("a wake-up was lost");
        writer.await.unwrap();
    }
}
