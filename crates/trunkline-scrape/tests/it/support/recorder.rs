//! A server that shows one page, and records whatever else it is asked.

use std::fmt;
use std::sync::{Arc, Mutex};

use http::HeaderMap;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub(crate) struct Recorder {
    pub(crate) port: u16,
    shown: Arc<Mutex<Shown>>,
    seen: mpsc::UnboundedReceiver<Recorded>,
    serving: JoinHandle<()>,
}

/// The page that is shown: path, head and markup.
#[derive(Default)]
struct Shown {
    path: String,
    headers: HeaderMap,
    html: Vec<u8>,
}

/// The parts of a request that must be equal.
#[derive(PartialEq)]
pub(crate) struct Recorded {
    method: String,
    target: String,
    content_type: Option<String>,
    referer: Option<String>,
    origin: Option<String>,
    body: Vec<u8>,
}

impl Recorder {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shown = Arc::<Mutex<Shown>>::default();
        let (record, seen) = mpsc::unbounded_channel();
        let page = shown.clone();
        let serving = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(converse(socket, page.clone(), record.clone()));
            }
        });
        Self { port, shown, seen, serving }
    }

    /// From now on, this is at `path`.
    pub(crate) fn show(&self, path: &str, headers: HeaderMap, html: Vec<u8>) {
        *self.shown.lock().unwrap() = Shown { path: path.to_owned(), headers, html };
    }

    /// The next request.
    pub(crate) async fn next(&mut self) -> Recorded {
        let waited = tokio::time::timeout(std::time::Duration::from_secs(120), self.seen.recv()).await;
        waited.expect("nothing was sent within 120 s").unwrap()
    }

    /// Asserts that no unexpected request was sent.
    pub(crate) fn assert_silent(&mut self) {
        if let Ok(unexpected) = self.seen.try_recv() {
            panic!("one request too many: {unexpected:?}");
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn converse(socket: TcpStream, shown: Arc<Mutex<Shown>>, record: mpsc::UnboundedSender<Recorded>) {
    let mut socket = BufReader::new(socket);
    // A connection that breaks is over, and so is one whose request cannot be read.
    while let Some((target, request)) = read(&mut socket).await {
        let answer = {
            let shown = shown.lock().unwrap();
            let path = shown.path.split('#').next().unwrap_or_default();
            if request.method == "GET" && target == path {
                page(&shown)
            } else {
                if target != "/favicon.ico" {
                    let _ = record.send(request);
                }
                b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 11\r\n\r\n<p>recorded".to_vec()
            }
        };
        if socket.write_all(&answer).await.is_err() {
            return;
        }
    }
}

fn page(shown: &Shown) -> Vec<u8> {
    let mut answer = b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n".to_vec();
    for (name, value) in &shown.headers {
        answer.extend_from_slice(format!("{name}: {}\r\n", value.to_str().unwrap()).as_bytes());
    }
    answer.extend_from_slice(format!("Content-Length: {}\r\n\r\n", shown.html.len()).as_bytes());
    answer.extend_from_slice(&shown.html);
    answer
}

async fn read(socket: &mut BufReader<TcpStream>) -> Option<(String, Recorded)> {
    let first = line(socket).await?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut recorded =
        Recorded { method, target: target.clone(), content_type: None, referer: None, origin: None, body: Vec::new() };
    let (mut length, mut chunked) = (0, false);
    loop {
        let line = line(socket).await?;
        let Some((name, value)) = line.split_once(':') else { break };
        let value = value.trim().to_owned();
        match name.to_ascii_lowercase().as_str() {
            "content-type" => recorded.content_type = Some(value),
            "referer" => recorded.referer = Some(value),
            "origin" => recorded.origin = Some(value),
            "content-length" => length = value.parse().ok()?,
            "transfer-encoding" => chunked = true,
            _ => {}
        }
    }
    if chunked {
        recorded.body = chunks(socket).await?;
    } else {
        recorded.body.resize(length, 0);
        socket.read_exact(&mut recorded.body).await.ok()?;
    }
    Some((target, recorded.without_boundary()))
}

async fn chunks(socket: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let length = usize::from_str_radix(&line(socket).await?, 16).ok()?;
        let at = body.len();
        body.resize(at + length, 0);
        socket.read_exact(&mut body[at..]).await.ok()?;
        line(socket).await?;
        if length == 0 {
            return Some(body);
        }
    }
}

async fn line(socket: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = Vec::new();
    socket.read_until(b'\n', &mut line).await.ok()?;
    let line = line.strip_suffix(b"\r\n")?;
    Some(line.iter().copied().map(char::from).collect())
}

impl Recorded {
    /// Each client has its own boundary.
    fn without_boundary(mut self) -> Self {
        if let Some((kind, boundary)) = self.content_type.as_deref().and_then(|value| value.split_once("; boundary=")) {
            let body: String = self.body.iter().copied().map(char::from).collect();
            self.body = body.replace(boundary, "BOUNDARY").chars().map(|letter| letter as u8).collect();
            self.content_type = Some(format!("{kind}; boundary=BOUNDARY"));
        }
        self
    }
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, target, content_type, referer, origin, body } = self;
        writeln!(f, "{method} {target}")?;
        writeln!(f, "        type {content_type:?} referer {referer:?} origin {origin:?}")?;
        write!(f, "        {}", body.escape_ascii())
    }
}
