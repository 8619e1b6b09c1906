//! Test server whose answers follow the query of the URL, and that counts requests.
//!
//! | in the query | |
//! |---|---|
//! | `status=404` | the status; 200 by default |
//! | `after=1` | `Retry-After`, in seconds |
//! | `size=1000` | the length of the body; 12 by default |
//! | `delay=5` | milliseconds before the answer |
//! | `hold=head` | answers once [`Site::release`] is called |
//! | `hold=body` | the same, in the middle of the body |
//! | `cut` | closes the connection in the middle of the body |
//! | `to=/path` | a redirect |
//! | `set=name=value` | a cookie, with `Path=/` and a life of an hour |

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// Number of request heads that are recorded.
const MAX_HEADS: usize = 100;

/// Server that runs until the test process ends.
#[derive(Clone)]
pub(crate) struct Site {
    address: SocketAddr,
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    counts: Mutex<Counts>,
    released: Condvar,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Connections: total, open, and most open at once.
    pub(crate) opened: usize,
    pub(crate) open: usize,
    pub(crate) most_open: usize,
    /// Requests: total, unanswered, and most unanswered at once.
    pub(crate) requests: usize,
    pub(crate) under_way: usize,
    pub(crate) most_under_way: usize,
    /// Answers that wait for the release.
    pub(crate) held: usize,
    pub(crate) heads: Vec<String>,
    released: bool,
}

impl Site {
    pub(crate) fn start() -> Self {
        Self::start_at("127.0.0.1")
    }

    pub(crate) fn start_at(host: &str) -> Self {
        let listener = TcpListener::bind((host, 0)).unwrap();
        let site = Self { address: listener.local_addr().unwrap(), inner: Arc::default() };
        let inner = site.inner.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (inner, stream) = (inner.clone(), stream.unwrap());
                thread::spawn(move || inner.serve(&stream));
            }
        });
        site
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn counts(&self) -> Counts {
        self.inner.counts.lock().unwrap().clone()
    }

    /// Releases the held answers, and holds no further ones.
    pub(crate) fn release(&self) {
        self.inner.count(|counts| counts.released = true);
        self.inner.released.notify_all();
    }
}

impl Inner {
    fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts.lock().unwrap());
    }

    fn serve(&self, stream: &TcpStream) {
        self.count(|counts| {
            counts.opened += 1;
            counts.open += 1;
            counts.most_open = counts.most_open.max(counts.open);
        });
        stream.set_nodelay(true).unwrap();
        // An error of the connection is the client's to report.
        let _ = self.exchanges(stream);
        self.count(|counts| counts.open -= 1);
    }

    fn exchanges(&self, stream: &TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if reader.read_line(&mut head)? == 0 {
                    return Ok(());
                }
            }
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            self.count(|counts| {
                counts.requests += 1;
                counts.under_way += 1;
                counts.most_under_way = counts.most_under_way.max(counts.under_way);
                if counts.heads.len() < MAX_HEADS {
                    counts.heads.push(head);
                }
            });
            let answered = self.answer(stream, &AnswerOptions::parse(&path));
            if answered.is_err() {
                self.count(|counts| counts.under_way -= 1);
            }
            answered?;
        }
    }

    fn answer(&self, mut stream: &TcpStream, options: &AnswerOptions<'_>) -> io::Result<()> {
        thread::sleep(Duration::from_millis(options.delay));
        if options.hold == "head" {
            self.hold();
        }
        let mut head = format!("HTTP/1.1 {} Whatever\r\nContent-Length: {}\r\n", options.status, options.size);
        if let Some(cookie) = options.set {
            head += &format!("Set-Cookie: {cookie}; Path=/; Max-Age=3600\r\n");
        }
        if let Some(after) = options.after {
            head += &format!("Retry-After: {after}\r\n");
        }
        if let Some(to) = options.to {
            head += &format!("Location: {to}\r\n");
        }
        head += "\r\n";
        let half = options.size / 2;
        if options.cut || options.hold == "body" {
            stream.write_all(head.as_bytes())?;
            body(stream, half)?;
            if options.cut {
                return Err(io::ErrorKind::Other.into());
            }
            self.hold();
            // Counted before the last byte, because the client may send its next request after it.
            self.count(|counts| counts.under_way -= 1);
            return body(stream, options.size - half);
        }
        self.count(|counts| counts.under_way -= 1);
        let inline = options.size.min(1000);
        head += &"x".repeat(inline);
        stream.write_all(head.as_bytes())?;
        body(stream, options.size - inline)
    }

    fn hold(&self) {
        let mut counts = self.counts.lock().unwrap();
        counts.held += 1;
        let mut counts = self.released.wait_while(counts, |counts| !counts.released).unwrap();
        counts.held -= 1;
    }
}

fn body(mut stream: &TcpStream, mut size: usize) -> io::Result<()> {
    let block = [b'x'; 16 * 1024];
    while size > 0 {
        let next = size.min(block.len());
        stream.write_all(&block[..next])?;
        size -= next;
    }
    Ok(())
}

struct AnswerOptions<'a> {
    status: u16,
    size: usize,
    delay: u64,
    hold: &'a str,
    cut: bool,
    to: Option<&'a str>,
    set: Option<&'a str>,
    after: Option<&'a str>,
}

impl<'a> AnswerOptions<'a> {
    fn parse(path: &'a str) -> Self {
        let mut options =
            Self { status: 200, size: 12, delay: 0, hold: "", cut: false, to: None, set: None, after: None };
        for pair in path.split_once('?').map_or("", |(_, query)| query).split('&') {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("status", value) => options.status = value.parse().unwrap(),
                ("size", value) => options.size = value.parse().unwrap(),
                ("delay", value) => options.delay = value.parse().unwrap(),
                ("hold", value) => options.hold = value,
                ("cut", _) => options.cut = true,
                ("to", value) => (options.status, options.to) = (302, Some(value)),
                ("after", value) => options.after = Some(value),
                ("set", value) => options.set = Some(value),
                _ => {}
            }
        }
        options
    }
}
