//! Test server with many hosts, 127.0.0.x on one port, that records its requests.
//!
//! | in the query | |
//! |---|---|
//! | `ms=5` | milliseconds before the answer |
//! | `status=404` | the status |
//! | `busy=2` | the first time: 503, come again in 2 seconds |
//! | `broken` | the first time: the connection is closed instead of an answer |

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::time::sleep;

pub(super) struct Hosts {
    port: u16,
    inner: Arc<Inner>,
    runtime: Option<Runtime>,
}

#[derive(Default)]
struct Inner {
    /// Percentage of requests that fail at random.
    failing: u64,
    /// While true, requests with `hold` wait for their answer.
    holding: Mutex<bool>,
    released: Notify,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    random: u64,
    paths: HashSet<String>,
    hosts: HashMap<IpAddr, HostRequests>,
    requests: HashMap<String, usize>,
}

/// Requests of a host.
#[derive(Clone, Debug, Default)]
pub(super) struct HostRequests {
    pub(super) under_way: usize,
    pub(super) most: usize,
    /// Arrival times of the requests.
    pub(super) arrivals: Vec<Instant>,
}

impl Hosts {
    pub(super) fn start() -> Self {
        Self::failing(0)
    }

    pub(super) fn failing(per_cent: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Mutex::new(Seen { random: 0x9E37_79B9_7F4A_7C15, ..Seen::default() });
        let inner = Arc::new(Inner { failing: per_cent, holding: Mutex::new(true), seen, ..Inner::default() });
        let serving = inner.clone();
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let inner = serving.clone();
                // An error of the connection is the client's to report.
                tokio::spawn(async move { inner.serve(stream).await });
            }
        });
        Self { port, inner, runtime: Some(runtime) }
    }

    pub(super) fn url(&self, host: usize, path: &str) -> String {
        format!("http://127.0.0.{}:{}{path}", host + 1, self.port)
    }

    pub(super) fn host(&self, host: usize) -> HostRequests {
        let address = IpAddr::from([127, 0, 0, u8::try_from(host + 1).unwrap()]);
        self.inner.seen.lock().unwrap().hosts.get(&address).cloned().unwrap_or_default()
    }

    /// The most requests that any host had under way at once.
    pub(super) fn most(&self) -> usize {
        self.inner.seen.lock().unwrap().hosts.values().map(|host| host.most).max().unwrap_or_default()
    }

    /// Number of requests for the path with its query.
    pub(super) fn requests(&self, path: &str) -> usize {
        self.inner.seen.lock().unwrap().requests.get(path).copied().unwrap_or_default()
    }

    pub(super) fn all_requests(&self) -> usize {
        self.inner.seen.lock().unwrap().requests.values().sum()
    }

    /// Answers the held requests, and holds no further ones.
    pub(super) fn release(&self) {
        *self.inner.holding.lock().unwrap() = false;
        self.inner.released.notify_waiters();
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Inner {
    async fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let host = stream.local_addr()?.ip();
        stream.set_nodelay(true)?;
        let mut stream = BufReader::new(stream);
        loop {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if stream.read_line(&mut head).await? == 0 {
                    return Ok(());
                }
            }
            let path = head.split(' ').nth(1).unwrap_or_default();
            let (first, roll) = self.record(host, path);
            let answer = self.answer(path, first, roll).await;
            // Counted before the answer, because the client may send its next request after it.
            self.with_host(host, |host| host.under_way -= 1);
            match answer {
                Some(answer) => stream.write_all(answer.as_bytes()).await?,
                None => return Ok(()),
            }
        }
    }

    /// Records a request. Returns true for the first one of its path, and a random number.
    fn record(&self, host: IpAddr, path: &str) -> (bool, u64) {
        self.with_host(host, |host| {
            host.under_way += 1;
            host.most = host.most.max(host.under_way);
            host.arrivals.push(Instant::now());
        });
        let mut seen = self.seen.lock().unwrap();
        *seen.requests.entry(path.to_owned()).or_default() += 1;
        // xorshift64
        let mut random = seen.random;
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        seen.random = random;
        (seen.paths.insert(path.to_owned()), random)
    }

    fn with_host(&self, host: IpAddr, change: impl FnOnce(&mut HostRequests)) {
        change(self.seen.lock().unwrap().hosts.entry(host).or_default());
    }

    /// Returns the answer; `None` closes the connection.
    async fn answer(&self, path: &str, first: bool, roll: u64) -> Option<String> {
        let option = |name: &str| {
            let pairs = path.split_once('?').map_or("", |(_, query)| query).split('&');
            pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).find(|pair| pair.0 == name).map(|pair| pair.1)
        };
        if let Some(millis) = option("ms") {
            sleep(Duration::from_millis(millis.parse().unwrap())).await;
        }
        if option("hold").is_some() {
            let released = self.released.notified();
            if *self.holding.lock().unwrap() {
                released.await;
            }
        }
        if roll % 100 < self.failing {
            return (roll / 100).is_multiple_of(2).then(|| answer("500", ""));
        }
        match (option("busy").filter(|_| first), option("broken").filter(|_| first)) {
            (Some(seconds), _) => Some(answer("503", &format!("Retry-After: {seconds}\r\n"))),
            (None, Some(_)) => None,
            (None, None) if path == "/robots.txt" => Some(robots()),
            (None, None) => Some(answer(option("status").unwrap_or("200"), "")),
        }
    }
}

fn answer(status: &str, headers: &str) -> String {
    format!("HTTP/1.1 {status} Whatever\r\nContent-Length: 5\r\n{headers}\r\nhello")
}

fn robots() -> String {
    let rules = "User-agent: *\nCrawl-delay: 1\nDisallow: /secret\n";
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{rules}", rules.len())
}
