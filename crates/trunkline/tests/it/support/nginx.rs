//! A real nginx with its own configuration, port and directory.
//!
//! | path | answer |
//! |---|---|
//! | `/small` | a file of 6 bytes |
//! | `/page/N` | `page N`, for any number |
//! | `/big` | 64 MiB of zeros |
//! | `/slow` | 128 KiB at 32 KiB a second |
//! | `/status/N` | that status, for those in [`STATUSES`]; redirects lead to `/small` |
//! | `/upload` | `took N bytes`; 413 and a closed connection for a body over 1 MiB |
//! | `/sink` | `ok`, whatever is sent |

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::process::{Guarded, blocking, find_program};
use super::temp_dir::TempDir;
use super::tls::{Identity, TestCa};

/// The length of `/big`.
pub const BIG: u64 = 64 << 20;

/// The statuses of `/status/N`.
pub const STATUSES: [u16; 22] =
    [200, 201, 202, 204, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 409, 410, 429, 500, 501, 502, 503, 504];

/// A running nginx, of one process; it is gone when this is dropped.
#[derive(Debug)]
pub struct Nginx {
    process: Guarded,
    scheme: &'static str,
    ips: Vec<String>,
    port: u16,
    /// Questions asked over the inner socket, to be left out of the figures.
    asked: AtomicUsize,
}

/// A line of the access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// nginx's number of the connection.
    pub connection: u64,
    /// The how many-th request on its connection, from 1.
    pub number: u64,
    pub status: u16,
    /// `GET /small HTTP/1.1`
    pub request: String,
}

/// nginx's own count of connections, without the one that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StubStatus {
    pub active: usize,
    pub accepts: usize,
    pub handled: usize,
    pub requests: usize,
    pub reading: usize,
    pub writing: usize,
    /// Idle connections kept alive.
    pub waiting: usize,
}

impl Nginx {
    pub fn builder() -> NginxBuilder {
        NginxBuilder::default()
    }

    /// One with all defaults.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// The path's URL at the first address listened on.
    pub fn url(&self, path: &str) -> String {
        self.url_at(&self.ips[0], path)
    }

    /// The path's URL at that host: another address listened on, or `localhost`.
    pub fn url_at(&self, host: &str, path: &str) -> String {
        format!("{}://{host}:{}{path}", self.scheme, self.port)
    }

    /// The same at every address.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `connection number status request`, one line for each request that has been answered to its
    /// end.
    pub fn access_log_lines(&self) -> Vec<String> {
        // nginx does one thing at a time: when it answers this, it has written down what it
        // answered before.
        self.ask("/ready").unwrap();
        let log = fs::read_to_string(self.process.dir().join("access.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    pub fn access_log(&self) -> Vec<Access> {
        self.access_log_lines().iter().map(|line| Access::parse(line).unwrap_or_else(|| panic!("{line}"))).collect()
    }

    /// Warnings and worse.
    pub fn error_log(&self) -> String {
        fs::read_to_string(self.process.dir().join("error.log")).unwrap_or_default()
    }

    /// `/upload` counts twice: nginx passes it on to itself.
    pub fn stub_status(&self) -> StubStatus {
        let answer = self.ask("/stub_status").unwrap();
        let asked = self.asked.load(Ordering::Relaxed);
        let numbers: Vec<usize> = answer.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let &[active, accepts, handled, requests, reading, writing, waiting] = numbers.as_slice() else {
            panic!("not a stub status: {answer}")
        };
        StubStatus {
            active: active - 1,
            accepts: accepts - asked,
            handled: handled - asked,
            requests: requests - asked,
            reading,
            writing: writing - 1,
            waiting,
        }
    }

    /// A question over the inner socket, on a connection of its own.
    fn ask(&self, path: &str) -> std::io::Result<String> {
        let answer = ask(self.process.dir().path(), path)?;
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(answer)
    }
}

impl Access {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.splitn(4, ' ');
        Some(Self {
            connection: fields.next()?.parse().ok()?,
            number: fields.next()?.parse().ok()?,
            status: fields.next()?.parse().ok()?,
            request: fields.next()?.to_owned(),
        })
    }
}

/// Deviations from nginx's defaults.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct NginxBuilder {
    settings: String,
    extra: String,
    ips: Vec<String>,
    limit_conn: Option<usize>,
    identity: Option<Identity>,
    ca: Option<String>,
    ask_client: bool,
}

impl NginxBuilder {
    /// Closes a connection after so many requests (nginx's default: 1000).
    pub fn keepalive_requests(self, requests: usize) -> Self {
        self.setting(&format!("keepalive_requests {requests}"))
    }

    /// `"2s"` closes idle connections after 2 s (nginx's default: 75 s); `"2s 5s"` also sends
    /// `Keep-Alive: timeout=5`.
    pub fn keepalive_timeout(self, timeout: &str) -> Self {
        self.setting(&format!("keepalive_timeout {timeout}"))
    }

    /// Any directive of a `server`, without its semicolon.
    pub fn setting(mut self, directive: &str) -> Self {
        writeln!(self.settings, "    {directive};").unwrap();
        self
    }

    /// Lines for the `server` block, locations for instance.
    pub fn extra(mut self, lines: &str) -> Self {
        writeln!(self.extra, "{lines}").unwrap();
        self
    }

    /// Answers 503 to requests beyond so many at once from one address. Only files are limited:
    /// `/small`, `/big`, `/slow`.
    pub fn limit_conn(mut self, connections: usize) -> Self {
        self.limit_conn = Some(connections);
        self
    }

    /// The addresses to listen on, all with one port; `127.0.0.1` by default.
    pub fn listen_on(mut self, ips: &[&str]) -> Self {
        self.ips = ips.iter().map(|&ip| ip.to_owned()).collect();
        self
    }

    /// HTTPS only, with a certificate for `localhost` and the addresses listened on.
    pub fn tls(mut self, ca: &TestCa) -> Self {
        let ips = self.ips().into_iter();
        let names: Vec<String> = ips.chain(["localhost".to_owned()]).collect();
        self.identity = Some(ca.server_cert(&names.iter().map(String::as_str).collect::<Vec<_>>()));
        self.ca = Some(ca.pem());
        self
    }

    /// After [`tls`](Self::tls): another certificate, an expired one for instance.
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// After [`tls`](Self::tls): answers 400 to clients that show no certificate of that authority.
    pub fn ask_client_certificate(mut self) -> Self {
        self.ask_client = true;
        self
    }

    pub async fn start(self) -> Nginx {
        blocking(move || self.start_blocking()).await
    }

    fn start_blocking(self) -> Nginx {
        let program = find_program("nginx").expect("nginx is missing: run ./test once, it installs what tests need");
        // Another process may take the free port before nginx binds it.
        for attempt in 1.. {
            let port = free_port(&self.ips());
            let dir = TempDir::new("nginx");
            self.write_files(&dir, port);
            let command = [
                program.as_os_str(),
                "-p".as_ref(),
                dir.path().as_os_str(),
                "-e".as_ref(),
                "error.log".as_ref(),
                "-c".as_ref(),
                "nginx.conf".as_ref(),
            ]
            .map(ToOwned::to_owned);
            let mut process = Guarded::start(dir, command);
            match process.until(|process| ask(process.dir().path(), "/ready").ok()) {
                Ok(_) => {
                    let scheme = if self.identity.is_some() { "https" } else { "http" };
                    return Nginx { process, scheme, ips: self.ips(), port, asked: AtomicUsize::new(1) };
                }
                Err(error) if attempt < 5 && error.contains("Address already in use") => {}
                Err(error) => panic!("nginx: {error}"),
            }
        }
        unreachable!("five attempts return or panic")
    }

    fn ips(&self) -> Vec<String> {
        if self.ips.is_empty() { vec!["127.0.0.1".into()] } else { self.ips.clone() }
    }

    fn write_files(&self, dir: &TempDir, port: u16) {
        fs::create_dir(dir.join("html")).unwrap();
        dir.write("html/small", "small\n");
        File::create(dir.join("html/big")).unwrap().set_len(BIG).unwrap();
        File::create(dir.join("html/slow")).unwrap().set_len(128 << 10).unwrap();
        if let Some((certificate, key)) = &self.identity {
            dir.write("server.pem", certificate);
            dir.write("server.key", key);
        }
        if let Some(ca) = &self.ca {
            dir.write("ca.pem", ca);
        }
        dir.write("nginx.conf", self.config(port));
    }

    fn config(&self, port: u16) -> String {
        let tls = if self.identity.is_some() { " ssl" } else { "" };
        let listen = self.ips().iter().fold(String::new(), |all, ip| all + &format!("    listen {ip}:{port}{tls};\n"));
        let certificate = if self.identity.is_some() {
            "    ssl_certificate server.pem;\n    ssl_certificate_key server.key;\n"
        } else {
            ""
        };
        let client =
            if self.ask_client { "    ssl_verify_client on;\n    ssl_client_certificate ca.pem;\n" } else { "" };
        let limit = self.limit_conn.map_or(String::new(), |n| format!("    limit_conn clients {n};\n"));
        let statuses = STATUSES.iter().fold(String::new(), |all, status| {
            let text = if (300..400).contains(status) { "/small" } else { "\"status $uri\\n\"" };
            all + &format!("    location = /status/{status} {{ return {status} {text}; }}\n")
        });
        let Self { settings, extra, .. } = self;
        format!(
            r#"# One process in the foreground: killed, it is gone.
daemon off;
master_process off;
pid nginx.pid;
events {{ worker_connections 4096; }}
http {{
  log_format short "$connection $connection_requests $status $request";
  access_log access.log short;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  limit_conn_zone $binary_remote_addr zone=clients:1m;
  default_type text/plain;
  server {{
{listen}{certificate}{client}{limit}{settings}    root html;
    absolute_redirect off;
    location ~ "^/page/(\d+)$" {{ return 200 "page $1\n"; }}
    location = /slow {{ limit_rate 32k; }}
    location = /upload {{ client_max_body_size 1m; proxy_pass http://unix:inner.socket:/uploaded; }}
    location = /sink {{ client_max_body_size 0; return 200 "ok\n"; }}
{statuses}{extra}
  }}
  server {{
    listen unix:inner.socket;
    access_log off;
    client_max_body_size 0;
    location = /ready {{ return 200 "ready\n"; }}
    location = /uploaded {{ return 200 "took $content_length bytes\n"; }}
    location = /stub_status {{ stub_status; }}
  }}
}}
"#
        )
    }
}

/// A port that is free at each of the addresses.
fn free_port(ips: &[String]) -> u16 {
    let address = |ip: &String, port| SocketAddr::new(ip.parse().unwrap(), port);
    loop {
        let first = TcpListener::bind(address(&ips[0], 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        if ips[1..].iter().all(|ip| TcpListener::bind(address(ip, port)).is_ok()) {
            return port;
        }
    }
}

/// Over the socket in nginx's directory: no port, no TLS, and no other server can answer.
fn ask(dir: &Path, path: &str) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(dir.join("inner.socket"))?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => Ok(body.to_owned()),
        _ => Err(std::io::Error::other(answer)),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    /// Sends a request on a kept-alive connection, reads one answer with a `Content-Length`.
    fn exchange(stream: &mut TcpStream, request: &str) -> (String, Vec<u8>) {
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).unwrap();
        (head, body)
    }

    fn get(path: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nHost: nginx\r\n\r\n")
    }

    #[tokio::test]
    async fn requests_are_counted_per_connection() {
        let nginx = Nginx::builder().keepalive_requests(3).keepalive_timeout("2s 2s").start().await;
        let mut stream = TcpStream::connect(("127.0.0.1", nginx.port())).unwrap();
        let (head, body) = exchange(&mut stream, &get("/small"));
        assert!(head.contains("Keep-Alive: timeout=2"), "{head}");
        assert_eq!(body, b"small\n");
        assert_eq!(exchange(&mut stream, &get("/page/17")).1, b"page 17\n");
        let idle = nginx.stub_status();
        assert_eq!((idle.active, idle.accepts, idle.requests, idle.waiting), (1, 1, 2, 1));
        let (head, _) = exchange(&mut stream, &get("/status/404"));
        assert!(head.starts_with("HTTP/1.1 404 ") && head.contains("Connection: close"), "{head}");

        let log = nginx.access_log();
        let connection = log[0].connection;
        let request =
            |number, status, path: &str| Access { connection, number, status, request: format!("GET {path} HTTP/1.1") };
        assert_eq!(log, [request(1, 200, "/small"), request(2, 200, "/page/17"), request(3, 404, "/status/404")]);
        assert_eq!(nginx.stub_status().active, 0);
    }

    #[tokio::test]
    async fn uploads_over_a_mebibyte_are_refused() {
        let nginx = Nginx::start().await;
        let upload = |length: usize| format!("POST /upload HTTP/1.1\r\nHost: n\r\nContent-Length: {length}\r\n\r\n");
        let mut stream = TcpStream::connect(("127.0.0.1", nginx.port())).unwrap();
        let small = upload(5) + "12345";
        assert_eq!(exchange(&mut stream, &small).1, b"took 5 bytes\n");
        let (head, _) = exchange(&mut stream, &upload(2 << 20));
        assert!(head.starts_with("HTTP/1.1 413 ") && head.contains("Connection: close"), "{head}");
    }

    #[tokio::test]
    async fn it_listens_on_several_addresses_and_is_gone_when_dropped() {
        let nginx = Nginx::builder()
            .listen_on(&["127.0.0.2", "127.0.0.3"])
            .limit_conn(1)
            .extra("location = /more { return 200 more; }")
            .start()
            .await;
        let port = nginx.port();
        assert_eq!(nginx.url_at("127.0.0.3", "/more"), format!("http://127.0.0.3:{port}/more"));
        for ip in ["127.0.0.2", "127.0.0.3"] {
            let mut stream = TcpStream::connect((ip, port)).unwrap();
            assert_eq!(exchange(&mut stream, &get("/more")).1, b"more");
        }
        let mut slow = TcpStream::connect(("127.0.0.2", port)).unwrap();
        slow.write_all(get("/slow").as_bytes()).unwrap();
        slow.read_exact(&mut [0]).unwrap();
        let (head, _) = exchange(&mut TcpStream::connect(("127.0.0.2", port)).unwrap(), &get("/small"));
        assert!(head.starts_with("HTTP/1.1 503 "), "{head}");

        drop(nginx);
        TcpStream::connect(("127.0.0.2", port)).unwrap_err();
    }

    #[tokio::test]
    async fn it_speaks_tls_and_can_ask_for_a_client_certificate() {
        let ca = TestCa::new();
        let nginx = Nginx::builder().tls(&ca).ask_client_certificate().start().await;
        assert_eq!(nginx.url_at("localhost", "/"), format!("https://localhost:{}/", nginx.port()));
        for (identity, status) in [(None, "400"), (Some(ca.client_cert("tester")), "200")] {
            let connector = tokio_rustls::TlsConnector::from(ca.client_config(identity.as_ref()));
            let stream = tokio::net::TcpStream::connect(("127.0.0.1", nginx.port())).await.unwrap();
            let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, get("/small").as_bytes()).await.unwrap();
            let mut head = [0; 12];
            tokio::io::AsyncReadExt::read_exact(&mut stream, &mut head).await.unwrap();
            assert_eq!(head[..], *format!("HTTP/1.1 {status}").as_bytes());
        }
    }
}
