//! This process's connections as the kernel sees them, independent of the client under test.
//!
//! A socket counts if a descriptor of the process refers to it: TIME_WAIT has no owner and
//! does not count. Descriptors are read before and after the kernel's table, and only what is in
//! all three counts: everything counted was open at one and the same moment, so a count is never
//! too high because one socket closed and the next opened while it was made. It may miss one that
//! lived shorter than the count took, and one the peer has reset (it is in no table any more).

use std::collections::HashSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A connection's state, as in the kernel's `include/net/tcp_states.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TcpState {
    Established,
    SynSent,
    SynRecv,
    FinWait1,
    FinWait2,
    TimeWait,
    Close,
    CloseWait,
    LastAck,
    Listen,
    Closing,
    Other(u8),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    pub state: TcpState,
    pub inode: u64,
    pub local_port: u16,
    pub remote_port: u16,
    /// Bytes received and not yet read; of a listener, connections not yet accepted.
    pub unread: u32,
}

/// This process's connections *to* `port` (a server in the same process has that port as its local
/// one, and is not counted).
pub fn sockets_to(port: u16) -> Vec<Socket> {
    owned("self", &[port])
}

/// The same for another process.
pub fn sockets_of(pid: u32, port: u16) -> Vec<Socket> {
    owned(&pid.to_string(), &[port])
}

/// Number of connections that wait to be accepted by the listener on `port`.
pub fn unaccepted(port: u16) -> u32 {
    let table = fs::read_to_string("/proc/self/net/tcp").unwrap();
    let mut listeners = table.lines().skip(1).filter_map(parse).filter(|socket| socket.state == TcpState::Listen);
    let listener = listeners.find(|socket| socket.local_port == port);
    listener.unwrap_or_else(|| panic!("nothing listens on port {port}")).unread
}

/// Counts this process's connections to `port`, again and again, in a thread of its own.
pub fn watch(port: u16, every: Duration) -> Watcher {
    watch_all(&[port], every)
}

/// The same for several servers' ports together.
pub fn watch_all(ports: &[u16], every: Duration) -> Watcher {
    let (peak, stop) = (Arc::<Mutex<Peak>>::default(), Arc::<AtomicBool>::default());
    let thread = thread::spawn({
        let (peak, stop, ports) = (Arc::clone(&peak), Arc::clone(&stop), ports.to_vec());
        move || {
            while !stop.load(Ordering::Relaxed) {
                let now = owned("self", &ports);
                peak.lock().unwrap().add(&now);
                thread::park_timeout(every);
            }
        }
    });
    Watcher { peak, stop, thread: Some(thread) }
}

/// The highest counts so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peak {
    /// Sockets in any state.
    pub owned: usize,
    /// Sockets whose other end has closed and which ours has not.
    pub close_wait: usize,
    /// Connection attempts under way.
    pub syn_sent: usize,
    /// Number of counts taken.
    pub samples: usize,
}

impl Peak {
    fn add(&mut self, now: &[Socket]) {
        let of = |state| now.iter().filter(|socket| socket.state == state).count();
        self.owned = self.owned.max(now.len());
        self.close_wait = self.close_wait.max(of(TcpState::CloseWait));
        self.syn_sent = self.syn_sent.max(of(TcpState::SynSent));
        self.samples += 1;
    }
}

/// Stops counting when dropped.
#[derive(Debug)]
pub struct Watcher {
    peak: Arc<Mutex<Peak>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    pub fn peak(&self) -> Peak {
        *self.peak.lock().unwrap()
    }

    pub fn max_owned(&self) -> usize {
        self.peak().owned
    }

    pub fn max_close_wait(&self) -> usize {
        self.peak().close_wait
    }

    pub fn samples(&self) -> usize {
        self.peak().samples
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn owned(process: &str, ports: &[u16]) -> Vec<Socket> {
    let before = socket_inodes(process);
    let mut sockets: Vec<Socket> = ["tcp", "tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(format!("/proc/{process}/net/{table}")).ok())
        .flat_map(|table| table.lines().skip(1).filter_map(parse).collect::<Vec<_>>())
        .filter(|socket| ports.contains(&socket.remote_port) && before.contains(&socket.inode))
        .collect();
    // A table that changes while it is read may name a socket twice.
    sockets.sort_unstable_by_key(|socket| socket.inode);
    sockets.dedup_by_key(|socket| socket.inode);
    if !sockets.is_empty() {
        let after = socket_inodes(process);
        sockets.retain(|socket| after.contains(&socket.inode));
    }
    sockets
}

/// The sockets a process's descriptors refer to: links that read `socket:[inode]`.
fn socket_inodes(process: &str) -> HashSet<u64> {
    let Ok(entries) = fs::read_dir(format!("/proc/{process}/fd")) else {
        return HashSet::new();
    };
    entries
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok())
        .collect()
}

/// One line of `/proc/net/tcp`: `sl local:port remote:port state tx:rx tr:when retransmit uid
/// timeout inode …`.
fn parse(line: &str) -> Option<Socket> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let port = |address: &str| u16::from_str_radix(address.rsplit_once(':')?.1, 16).ok();
    Some(Socket {
        local_port: port(fields.get(1)?)?,
        remote_port: port(fields.get(2)?)?,
        unread: u32::from_str_radix(fields.get(4)?.split_once(':')?.1, 16).ok()?,
        state: state(u8::from_str_radix(fields.get(3)?, 16).ok()?),
        inode: fields.get(9)?.parse().ok()?,
    })
}

fn state(number: u8) -> TcpState {
    match number {
        1 => TcpState::Established,
        2 => TcpState::SynSent,
        3 | 12 => TcpState::SynRecv,
        4 => TcpState::FinWait1,
        5 => TcpState::FinWait2,
        6 => TcpState::TimeWait,
        7 => TcpState::Close,
        8 => TcpState::CloseWait,
        9 => TcpState::LastAck,
        10 => TcpState::Listen,
        11 => TcpState::Closing,
        other => TcpState::Other(other),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Shutdown, TcpListener, TcpStream};

    use super::super::{Deaf, process::blocking};
    use super::*;

    /// Loopback delivers soon, not at once.
    fn until(mut so: impl FnMut() -> bool) {
        for _ in 0..10_000 {
            if so() {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
        panic!("not so after 10 s");
    }

    #[test]
    fn the_client_s_side_is_counted_in_its_state() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let address = listener.local_addr().unwrap();
            let states = || sockets_to(address.port()).iter().map(|socket| socket.state).collect::<Vec<_>>();
            assert_eq!(states(), []);

            let client = TcpStream::connect(address).unwrap();
            let (server, _) = listener.accept().unwrap();
            assert_eq!(states(), [TcpState::Established]);

            server.shutdown(Shutdown::Write).unwrap();
            until(|| states() == [TcpState::CloseWait]);
            drop(client);
            assert_eq!(states(), []);

            let client = TcpStream::connect(address).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            until(|| states() == [TcpState::FinWait2]);
        }
    }

    #[tokio::test]
    async fn an_attempt_under_way_is_counted() {
        let deaf = Deaf::start().await;
        let address = deaf.address();
        let attempt = tokio::spawn(tokio::net::TcpStream::connect(address));
        blocking(move || {
            while !sockets_to(address.port()).iter().any(|socket| socket.state == TcpState::SynSent) {
                thread::yield_now();
            }
        })
        .await;
        attempt.abort();
    }

    #[test]
    fn a_watcher_remembers_the_highest_counts() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let watcher = watch(address.port(), Duration::from_millis(1));
        let clients: Vec<_> = (0..5).map(|_| TcpStream::connect(address).unwrap()).collect();
        until(|| watcher.max_owned() == 5);
        drop(clients);
        let client = TcpStream::connect(address).unwrap();
        for _ in 0..6 {
            drop(listener.accept().unwrap());
        }
        until(|| watcher.max_close_wait() == 1);
        drop(client);
        assert_eq!((watcher.max_owned(), watcher.max_close_wait()), (5, 1));
        assert_eq!(sockets_to(address.port()), []);
    }

    #[test]
    fn another_process_can_be_watched() {
        let me = std::process::id();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address).unwrap();
        let found = sockets_of(me, address.port());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].local_port, client.local_addr().unwrap().port());
    }
}
