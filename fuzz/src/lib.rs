//! Harness of the fuzz targets: one session in a runtime that lives as long as the process, and
//! loopback servers that respond as each input demands. The session can reach no other address.

pub mod cookies;

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use trunkline::{Pool, Resolve, Resolving, Session, Timeouts};

/// Address of the servers. The resolver and the filter of the session allow no other one.
pub const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 84, 75, 1));
/// Limit on the sockets of the pool.
pub const LIMIT: usize = 2;
/// Timeout of each request.
pub const REQUEST_TIMEOUT: Duration = Duration::from_millis(50);
/// Limit of the session on a body.
pub const MAX_BODY: usize = 1 << 20;
/// Time after which an input counts as hanging.
const HANG_TIMEOUT: Duration = Duration::from_secs(10);

/// Response of a server to one request, and its action afterwards.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub pieces: Vec<Vec<u8>>,
    pub then: Then,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Then {
    /// Waits for another request.
    Keep,
    #[default]
    Close,
    Reset,
}

type Script = Box<dyn Fn(&str) -> Answer + Send>;

/// Server that responds to each request by its current script.
pub struct Site {
    pub port: u16,
    shared: Arc<Mutex<ServerState>>,
}

#[derive(Default)]
struct ServerState {
    script: Option<Script>,
    heads: Vec<String>,
}

impl Site {
    async fn start() -> Self {
        let listener = TcpListener::bind((HOST, 0)).await.expect("the loopback interface has 127.0.0.0/8");
        let port = listener.local_addr().expect("it is bound").port();
        let shared = Arc::<Mutex<ServerState>>::default();
        let site = Self { port, shared: shared.clone() };
        tokio::spawn(async move {
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    let shared = shared.clone();
                    tokio::spawn(async move { serve(stream, &shared).await });
                }
            }
        });
        site
    }

    /// Sets the script, which gets the head of each request, and clears the recorded heads.
    pub fn answer(&self, script: impl Fn(&str) -> Answer + Send + 'static) {
        let mut shared = self.shared.lock().unwrap();
        shared.script = Some(Box::new(script));
        shared.heads.clear();
    }

    /// Heads of the requests since the script was set.
    pub fn heads(&self) -> Vec<String> {
        self.shared.lock().unwrap().heads.clone()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.authority())
    }

    pub fn authority(&self) -> String {
        format!("{HOST}:{}", self.port)
    }
}

async fn serve(mut stream: TcpStream, shared: &Mutex<ServerState>) -> Option<()> {
    let _ = stream.set_nodelay(true);
    let mut unread = Vec::new();
    loop {
        let head = read_request(&mut stream, &mut unread).await?;
        let answer = {
            let mut shared = shared.lock().unwrap();
            let answer = shared.script.as_ref().map(|script| script(&head)).unwrap_or_default();
            shared.heads.push(head);
            answer
        };
        for piece in answer.pieces {
            stream.write_all(&piece).await.ok()?;
            // Lets the client read each piece separately.
            tokio::task::yield_now().await;
        }
        match answer.then {
            Then::Keep => {}
            Then::Close => return None,
            Then::Reset => {
                let _ = stream.set_zero_linger();
                return None;
            }
        }
    }
}

/// Reads one request and returns its head; the body is discarded.
async fn read_request(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<String> {
    let end = loop {
        if let Some(at) = unread.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        read_more(stream, unread).await?;
    };
    let head = String::from_utf8_lossy(&unread.drain(..end).collect::<Vec<_>>()).into_owned();
    let length = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while unread.len() < length {
        read_more(stream, unread).await?;
    }
    unread.drain(..length);
    Some(head)
}

async fn read_more(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<()> {
    (stream.read_buf(unread).await.ok()? > 0).then_some(())
}

/// The first header of this name in the head of a request.
pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let named = |line: &'a str| line.split_once(':').filter(|(other, _)| other.eq_ignore_ascii_case(name));
    head.split("\r\n").skip(1).find_map(named).map(|(_, value)| value.trim())
}

/// Session for all inputs, and two servers as two origins.
pub struct Harness {
    runtime: Runtime,
    pub session: Session,
    pub first: Site,
    pub second: Site,
}

impl Harness {
    /// # Panics
    ///
    /// Panics without a loopback interface.
    pub fn new(max_redirects: usize) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (first, second) = runtime.block_on(async { (Site::start().await, Site::start().await) });
        let pool = Pool::builder().limit(LIMIT).resolver(LoopbackResolver).address_filter(|ip| ip == HOST);
        let session = Session::builder()
            .pool(pool.build().expect("valid settings"))
            .timeouts(Timeouts::new().total(REQUEST_TIMEOUT))
            .max_redirects(max_redirects)
            .max_body_size(MAX_BODY)
            .build()
            .expect("valid settings");
        Self { runtime, session, first, second }
    }

    /// Runs an input and checks that it leaves no connection behind.
    ///
    /// # Panics
    ///
    /// Panics if the input hangs, leaves a connection in use, or makes the statistics inconsistent.
    pub fn run(&self, input: impl Future<Output = ()>) {
        self.runtime.block_on(async {
            tokio::time::timeout(HANG_TIMEOUT, input).await.expect("a request outlives its deadline");
            self.audit();
            // Connections of one input must not serve the next one.
            self.session.pool().refresh();
            self.settle().await;
        });
    }

    /// Waits until no connection is open, and checks the statistics.
    async fn settle(&self) {
        let all_closed = async {
            while self.session.stats().open > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        if tokio::time::timeout(HANG_TIMEOUT, all_closed).await.is_err() {
            panic!("connections are still open: {:?}", self.session.stats());
        }
        self.audit();
    }

    fn audit(&self) {
        let stats = self.session.stats();
        assert!(stats.open <= LIMIT, "over the limit: {stats:?}");
        assert_eq!((stats.in_use, stats.waiting), (0, 0), "left over: {stats:?}");
        assert_eq!(stats.open, stats.idle + stats.in_use + stats.dialing, "{stats:?}");
        assert_eq!(stats.open as u64, stats.created - stats.closed.total(), "{stats:?}");
    }

    /// Fails if the kernel lists more sockets to the servers than the pool's limit. It costs more
    /// than an input.
    pub fn count_sockets(&self) {
        let owned = owned_sockets([self.first.port, self.second.port]).unwrap_or(0);
        assert!(owned <= LIMIT, "{owned} sockets are open, the limit is {LIMIT}");
    }
}

/// Counts the client sockets to these ports of [`HOST`] that a process still owns.
fn owned_sockets(ports: [u16; 2]) -> io::Result<usize> {
    let IpAddr::V4(host) = HOST else { unreachable!("it is a version 4 address") };
    let host = u32::from_ne_bytes(host.octets());
    let remote = ports.map(|port| format!("{host:08X}:{port:04X}"));
    let table = std::fs::read_to_string("/proc/net/tcp")?;
    let ours = |line: &&str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        // The kernel keeps closed sockets for a while, without an inode.
        fields.len() > 9 && remote.iter().any(|remote| *remote == fields[2]) && fields[9] != "0"
    };
    Ok(table.lines().skip(1).filter(ours).count())
}

/// Resolver of every name to the servers.
struct LoopbackResolver;

impl Resolve for LoopbackResolver {
    fn resolve(&self, _: &str) -> Resolving {
        Box::pin(async { Ok(vec![HOST]) })
    }
}
