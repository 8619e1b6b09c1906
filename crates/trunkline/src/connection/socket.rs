//! Socket of a connection: shared I/O, byte counts, and a liveness probe.

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

/// A TCP connection with its byte counts and flags.
///
/// The socket closes when its last `Arc` is dropped. A slot of the pool therefore lasts as long as
/// the last `Arc` (P1).
pub(crate) struct Socket {
    tcp: TcpStream,
    peer: SocketAddr,
    /// True if TLS runs over it: then unsolicited bytes (session tickets) are legal.
    secure: bool,
    /// Plaintext bytes the engine has written. No increase proves that a request was not sent
    /// (P10).
    written: AtomicU64,
    /// Plaintext bytes the engine has read.
    read: AtomicU64,
    /// True if the engine has no unfinished write.
    flushed: AtomicBool,
    /// True if the peer has reset the sending direction.
    write_reset: AtomicBool,
    /// True if `ConnectionHandle::retire` excluded it from further use.
    retired: AtomicBool,
}

/// State of an idle connection's socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    Alive,
    /// Closed or reset by the peer, or it holds unsolicited bytes: unusable.
    Dead,
    /// Excluded from further use by `ConnectionHandle::retire`.
    Retired,
    /// Has unread TLS bytes: a session ticket, or the peer's close_notify. Only a read by the
    /// engine can tell.
    Unread,
}

impl Socket {
    /// Takes over a connected socket; `secure` is true if TLS will run over it.
    pub(crate) fn new(tcp: TcpStream, secure: bool) -> io::Result<Arc<Self>> {
        // A request is written in one piece: Nagle's algorithm could only delay its last segment.
        tcp.set_nodelay(true)?;
        let peer = tcp.peer_addr()?;
        Ok(Arc::new(Self {
            tcp,
            peer,
            secure,
            written: AtomicU64::new(0),
            read: AtomicU64::new(0),
            flushed: AtomicBool::new(true),
            write_reset: AtomicBool::new(false),
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

    pub(crate) fn is_write_reset(&self) -> bool {
        self.write_reset.load(Ordering::Relaxed)
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    /// Probes an idle connection without waiting and without consuming bytes.
    ///
    /// It asks the kernel, because tokio learns of a close only when the connection is polled.
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

    /// Reads once, if tokio has the socket marked as readable.
    fn try_read(&self, buf: &mut ReadBuf<'_>) -> io::Result<()> {
        let mut outcome = Err(io::ErrorKind::WouldBlock.into());
        // The outer `try_io` clears the readiness after a short read: a short read has emptied the
        // socket, so the next read would find nothing. The outer call must be the one that saw the
        // readiness *before* the read, or it would also clear an event that arrives in between.
        // `TcpStream::poll_read` does the same, but takes `&mut self`.
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

    /// Turns the failure of a write into `Pending` if the peer has reset the connection.
    ///
    /// A server that rejects a request early responds and closes, which resets the data still being
    /// sent. The response is then in the receive buffer, followed by the end of the stream. The
    /// engine treats a failed write as fatal and would not read the response. While the write stays
    /// pending, the engine keeps reading, and finds the response or the end.
    fn pending_if_reset(&self, outcome: io::Result<usize>) -> Poll<io::Result<usize>> {
        match outcome {
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
                self.write_reset.store(true, Ordering::Relaxed);
                Poll::Pending
            }
            done => Poll::Ready(done),
        }
    }
}

/// True for edge-triggered selectors (<https://github.com/tokio-rs/tokio/issues/5866>).
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

/// Handle of the connection that delivered a response. It does not keep the connection open.
///
/// A caller that learns from a response, perhaps only after it has read the body, that the server
/// behind the connection is unhealthy can exclude the connection from further use. See
/// [`ResponseBody::connection_handle`](crate::ResponseBody::connection_handle).
#[derive(Clone, Debug)]
pub struct ConnectionHandle(Weak<Socket>);

impl ConnectionHandle {
    pub(crate) fn new(socket: &Arc<Socket>) -> Self {
        Self(Arc::downgrade(socket))
    }

    /// Excludes the connection from further requests. A running exchange is completed, then the
    /// connection closes. An idle connection closes when the pool would reuse it, or after its idle
    /// timeout. Does nothing if the connection is already closed.
    pub fn retire(&self) {
        if let Some(socket) = self.0.upgrade() {
            socket.retired.store(true, Ordering::Relaxed);
        }
    }
}

/// Asynchronous I/O on the socket itself, below TLS.
#[derive(Debug)]
pub(crate) struct SocketIo(Arc<Socket>);

impl SocketIo {
    pub(crate) fn new(socket: Arc<Socket>) -> Self {
        Self(socket)
    }
}

// Each loop returns `Pending` only from `poll_*_ready`, which registers the waker, never for a bare
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
                done => return self.0.pending_if_reset(done),
            }
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // A head without a body is the common case, and `send` is cheaper than `writev`.
        if let [single] = bufs {
            return self.poll_write(cx, single);
        }
        loop {
            ready!(self.0.tcp.poll_write_ready(cx))?;
            match self.0.tcp.try_write_vectored(bufs) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return self.0.pending_if_reset(done),
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
            // The peer has already closed the connection.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            done => Poll::Ready(done),
        }
    }
}

/// Byte stream of a connection: plain or TLS.
pub(crate) enum Stream {
    Plain(SocketIo),
    /// Boxed: its session state takes a kilobyte, which plain connections do not need.
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

/// A stream that adds its plaintext bytes to the counts of its socket.
#[derive(Debug)]
pub(crate) struct MeteredStream {
    stream: Stream,
    socket: Arc<Socket>,
    /// Source of the waker for reads.
    bell: Option<Bell>,
    /// True if the last read found nothing.
    empty: bool,
}

impl MeteredStream {
    pub(crate) fn new(stream: Stream, socket: Arc<Socket>) -> Self {
        Self { stream, socket, bell: None, empty: false }
    }

    /// Skips reads until `bell` has rung. The engine tries to read at each poll; a read that found
    /// nothing has registered the bell with the socket, so that until it rings no data can be
    /// there.
    pub(super) fn read_by(self, bell: Bell) -> Self {
        Self { bell: Some(bell), ..self }
    }

    fn count_written(&self, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(n)) = &outcome {
            self.socket.written.fetch_add(*n as u64, Ordering::Relaxed);
        }
        outcome
    }
}

impl AsyncRead for MeteredStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let woken = self.bell.as_ref().is_none_or(Bell::has_rung);
        if self.empty && !woken {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let outcome = match &mut self.stream {
            Stream::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Stream::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        };
        self.empty = outcome.is_pending();
        let n = buf.filled().len() - before;
        self.socket.read.fetch_add(n as u64, Ordering::Relaxed);
        outcome
    }
}

impl AsyncWrite for MeteredStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.socket.flushed.store(false, Ordering::Relaxed);
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
        self.socket.flushed.store(false, Ordering::Relaxed);
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
            self.socket.flushed.store(true, Ordering::Relaxed);
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

    /// Waits for a condition: an action of the peer takes time to arrive, even on loopback.
    async fn eventually(condition: impl Fn() -> bool) {
        let met = async {
            while !condition() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), met).await.expect("the condition never became true");
    }

    #[tokio::test]
    async fn an_idle_connection_is_alive_until_the_peer_closes_it() {
        let (socket, server) = pair(false).await;
        assert_eq!(socket.probe(), Probe::Alive);
        drop(server);
        eventually(|| socket.probe() == Probe::Dead).await;
    }

    #[tokio::test]
    async fn unsolicited_bytes_end_a_plain_connection_only() {
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
    async fn nagles_algorithm_is_off() {
        let (socket, _server) = pair(false).await;
        assert!(socket.tcp.nodelay().unwrap());
    }

    #[tokio::test]
    async fn a_large_exchange_arrives_complete_and_is_counted() {
        const SIZE: usize = 3_000_000;
        let (socket, mut server) = pair(false).await;
        let echo = tokio::spawn(async move {
            let mut seen = Vec::new();
            server.read_to_end(&mut seen).await.unwrap();
            server.write_all(&seen).await.unwrap();
        });
        let mut client = MeteredStream::new(Stream::Plain(SocketIo::new(socket.clone())), socket.clone());
        let sent: Vec<u8> = (0..SIZE).map(|i| i as u8).collect();
        client.write_all(&sent).await.unwrap();
        client.shutdown().await.unwrap();
        let mut got = Vec::new();
        client.read_to_end(&mut got).await.unwrap();
        assert!(got == sent);
        assert_eq!((socket.written(), socket.read()), (SIZE as u64, SIZE as u64));
        echo.await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_wake_up_is_lost_after_short_reads() {
        let (socket, mut server) = pair(false).await;
        server.set_nodelay(true).unwrap();
        let writer = tokio::spawn(async move {
            let mut echoed = [0; 1];
            for i in 0..20_000_u32 {
                server.write_all(b".").await.unwrap();
                // Six of seven writes do not wait: bytes must also arrive between a read and the
                // next poll.
                if i % 7 == 0 {
                    server.write_all(b"?").await.unwrap();
                    server.read_exact(&mut echoed).await.unwrap();
                }
            }
        });
        let mut client = SocketIo::new(socket);
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
