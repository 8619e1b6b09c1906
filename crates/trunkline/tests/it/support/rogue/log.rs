//! Log of the requests and connections of a rogue.

use std::net::SocketAddr;

use tokio::sync::watch;

use super::chaos::Mood;

/// Everything a rogue saw so far.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// In the order in which their heads were read.
    pub requests: Vec<Recorded>,
    /// Connections accepted.
    pub accepted: usize,
    /// Connections this side has not closed yet.
    pub open: usize,
    /// The highest `open` has been.
    pub max_open: usize,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The number of its connection; the first is 0.
    pub connection: usize,
    pub peer: SocketAddr,
    pub method: String,
    /// The request target, as sent.
    pub path: String,
    /// As sent, in their order.
    pub headers: Vec<(String, String)>,
    /// As far as it was read; without chunk sizes.
    pub body: Vec<u8>,
    /// Number of body bytes read.
    pub length: u64,
    /// The body was read to its end.
    pub whole: bool,
    /// The answer of `Step::Chaos`.
    pub mood: Option<Mood>,
}

impl Recorded {
    /// The first header of that name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// `GET /path`
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// An accepted connection, open in the log until this is dropped.
#[derive(Debug)]
pub(super) struct ConnectionLog {
    pub(super) number: usize,
    pub(super) peer: SocketAddr,
    log: watch::Sender<Log>,
}

impl ConnectionLog {
    pub(super) fn new(log: watch::Sender<Log>, number: usize, peer: SocketAddr) -> Self {
        log.send_modify(|log| {
            log.accepted += 1;
            log.open += 1;
            log.max_open = log.max_open.max(log.open);
        });
        Self { number, peer, log }
    }

    /// Notes a request and returns its place in the log.
    pub(super) fn record(&self, request: Recorded) -> usize {
        let mut place = 0;
        self.log.send_modify(|log| {
            place = log.requests.len();
            log.requests.push(request);
        });
        place
    }

    pub(super) fn amend(&self, place: usize, change: impl FnOnce(&mut Recorded)) {
        self.log.send_modify(|log| change(&mut log.requests[place]));
    }

    pub(super) fn header(&self, place: usize, name: &str) -> Option<String> {
        self.log.borrow().requests[place].header(name).map(str::to_owned)
    }
}

impl Drop for ConnectionLog {
    fn drop(&mut self) {
        self.log.send_modify(|log| log.open -= 1);
    }
}
