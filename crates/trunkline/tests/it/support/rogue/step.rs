//! Steps of a script.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// One thing a rogue does on a connection. After the last step the connection is closed; it also is
/// when the client closes while a step reads or writes.
#[derive(Clone, Debug)]
pub enum Step {
    /// Reads one request's head, and records it.
    ReadHead,
    /// Reads the body of the request whose head was read last, and records it.
    ReadBody,
    /// The same, but its length alone is recorded.
    CountBody,
    /// Reads so many bytes of what follows the head, and forgets them.
    Swallow(usize),
    /// Answers with the body of the request whose head was read last, each piece as it comes.
    Echo,
    Send(Vec<u8>),
    /// Byte by byte, each after a gap.
    SendSlowly(Vec<u8>, Duration),
    Pause(Duration),
    WaitFor(Gate),
    /// Ends this side's half: the client reads an end of stream (over TLS, after a `close_notify`).
    Fin,
    /// Breaks the connection off with a TCP reset.
    Reset,
    Close,
    /// Keeps the connection open for ever, reading nothing, not even the client's end.
    Hold,
    /// Reads and discards until the client closes.
    Drain,
    /// A whole response with a `Content-Length`, after which the connection may be used again.
    Respond(u16, Vec<u8>),
    /// These steps again and again.
    Loop(Vec<Step>),
    /// These steps so many times.
    Repeat(usize, Vec<Step>),
    /// Reads requests and answers each in some [`Mood`](super::Mood), until one of them closes the
    /// connection.
    Chaos(u64),
}

impl Step {
    pub fn send(bytes: impl AsRef<[u8]>) -> Self {
        Self::Send(bytes.as_ref().to_vec())
    }

    pub fn send_slowly(bytes: impl AsRef<[u8]>, gap: Duration) -> Self {
        Self::SendSlowly(bytes.as_ref().to_vec(), gap)
    }

    pub fn pause_ms(ms: u64) -> Self {
        Self::Pause(Duration::from_millis(ms))
    }

    pub fn respond(status: u16, body: impl AsRef<[u8]>) -> Self {
        Self::Respond(status, body.as_ref().to_vec())
    }

    /// `200 OK` with that body.
    pub fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::respond(200, body)
    }

    /// A script that answers all requests well, with that body.
    pub fn serve(body: impl AsRef<[u8]>) -> Vec<Self> {
        vec![Self::Loop(vec![Self::ReadHead, Self::ReadBody, Self::ok(body)])]
    }
}

/// The steps of a rogue: the same on every connection, or chosen by the connection's number.
pub trait Script: Send + Sync + 'static {
    fn steps(&self, connection: usize) -> Vec<Step>;
}

impl Script for Vec<Step> {
    fn steps(&self, _connection: usize) -> Vec<Step> {
        self.clone()
    }
}

impl<F: Fn(usize) -> Vec<Step> + Send + Sync + 'static> Script for F {
    fn steps(&self, connection: usize) -> Vec<Step> {
        self(connection)
    }
}

/// Holds steps up until the test opens it; it then stays open.
#[derive(Clone, Debug)]
pub struct Gate(Arc<watch::Sender<GateState>>);

#[derive(Clone, Copy, Debug, Default)]
struct GateState {
    open: bool,
    reached: usize,
}

impl Gate {
    #[allow(clippy::new_without_default, reason = "a closed gate is no obvious default")]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(GateState::default())))
    }

    pub fn open(&self) {
        self.0.send_modify(|state| state.open = true);
    }

    /// Waits until so many connections have come to it, open or not.
    pub async fn reached(&self, connections: usize) {
        let mut state = self.0.subscribe();
        state.wait_for(|state| state.reached >= connections).await.expect("self holds the sender");
    }

    pub(super) async fn pass(&self) {
        self.0.send_modify(|state| state.reached += 1);
        let mut state = self.0.subscribe();
        state.wait_for(|state| state.open).await.expect("self holds the sender");
    }
}
