//! Server of the benchmark: an nginx on loopback, on free ports, which ends when dropped.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use bench_tables::parameters::{HOSTS, LIMITED_RATE};

use crate::process::run;

/// Message id in the response of the mail service.
pub(crate) const MESSAGE_ID: &str = "0100019301a2b3c4-5d6e7f80-1122-3344-5566-77889900aabb-000000";

/// Length of `/long` in bytes.
pub(crate) const LONG: u64 = 1 << 30;

pub(crate) struct Nginx {
    child: Child,
    port: u16,
    tls_port: u16,
    ca: PathBuf,
}

impl Nginx {
    /// Starts nginx in its own directory under `work`; `/slow` sends `slow` bytes per second.
    pub(crate) fn start(work: &Path, workers: usize, slow: usize) -> Result<Self> {
        let directory = work.join(format!("nginx-{workers}"));
        fs::create_dir_all(directory.join("pages"))?;
        let (port, tls_port) = free_ports()?;
        let ca = certificate(&directory)?;
        let pages = directory.join("pages");
        fs::write(pages.join("limited"), "hello world\n")?;
        // A sparse file.
        fs::File::create(pages.join("long"))?.set_len(LONG)?;
        let file = directory.join("nginx.conf");
        fs::write(&file, configuration(&directory, workers, slow, port, tls_port)?)?;
        let mut command = Command::new("nginx");
        command.arg("-e").arg(directory.join("error.log")).arg("-p").arg(&directory).arg("-c").arg(&file);
        run(Command::new(command.get_program()).args(command.get_args()).arg("-t"))?;
        let child = command.stdin(Stdio::null()).spawn()?;
        let nginx = Self { child, port, tls_port, ca };
        nginx.wait_until_ready()?;
        Ok(nginx)
    }

    /// URL of a page; `{}` stands for the host's number.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.{{}}:{}{path}", self.port)
    }

    pub(crate) fn tls_url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.tls_port)
    }

    /// URL of a page on the first host.
    pub(crate) fn first(&self, path: &str) -> String {
        self.url(path).replace("{}", "1")
    }

    /// Path of the root certificate.
    pub(crate) fn ca(&self) -> String {
        self.ca.display().to_string()
    }

    fn wait_until_ready(&self) -> Result<()> {
        let start = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            if start.elapsed() > Duration::from_secs(10) {
                bail!("nginx does not accept connections");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // On SIGTERM the master process ends its workers.
        let signalled = Command::new("kill").arg(self.child.id().to_string()).status();
        if !signalled.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

fn configuration(directory: &Path, workers: usize, slow: usize, port: u16, tls_port: u16) -> Result<String> {
    // As root, the workers keep root's permissions, so that they can read the directory.
    let user = if fs::metadata("/proc/self")?.uid() == 0 { "user root;\n" } else { "" };
    let directory = directory.display();
    let mut listen = String::new();
    for host in 1..=HOSTS {
        writeln!(listen, "        listen 127.0.0.{host}:{port} reuseport backlog=4096;")?;
    }
    let page = "x".repeat(1024);
    Ok(format!(
        r#"{user}daemon off;
worker_processes {workers};
worker_rlimit_nofile 32768;
pid "{directory}/nginx.pid";
events {{ worker_connections 16384; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    default_type text/plain;
    client_body_temp_path "{directory}/body";
    proxy_temp_path "{directory}/proxy";
    fastcgi_temp_path "{directory}/fastcgi";
    uwsgi_temp_path "{directory}/uwsgi";
    scgi_temp_path "{directory}/scgi";
    limit_req_zone $server_port zone=all:64k rate={LIMITED_RATE}r/s;
    limit_req_log_level info;
    server {{
{listen}        listen 127.0.0.1:{tls_port} ssl reuseport;
        ssl_certificate "{directory}/server.pem";
        ssl_certificate_key "{directory}/server.key";
        ssl_protocols TLSv1.3;
        ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;
        root "{directory}/pages";
        location / {{ return 200 "hello world\n"; }}
        location = /v2/email/outbound-emails {{ default_type application/json; return 200 '{{"MessageId":"{MESSAGE_ID}"}}'; }}
        location = /limited {{ limit_req zone=all burst=10000; }}
        location = /long {{ }}
        location = /slow {{ limit_rate {slow}; return 200 "hello world\n"; }}
        location /page/ {{ return 200 "{page}"; }}
    }}
}}
"#
    ))
}

/// Finds two free ports.
fn free_ports() -> Result<(u16, u16)> {
    let free = || TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0));
    let (first, second) = (free()?, free()?);
    Ok((first.local_addr()?.port(), second.local_addr()?.port()))
}

/// Writes a certificate for 127.0.0.1 and the root certificate, and returns the path of the root.
fn certificate(directory: &Path) -> Result<PathBuf> {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let mut authority = CertificateParams::new([])?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(rcgen::DnType::CommonName, "benchmark authority");
    let authority_key = KeyPair::generate()?;
    let trusted = authority.self_signed(&authority_key)?.pem();
    let key = KeyPair::generate()?;
    let issuer = Issuer::new(authority, authority_key);
    let server = CertificateParams::new(["127.0.0.1".to_owned()])?.signed_by(&key, &issuer)?.pem();
    let ca = directory.join("ca.pem");
    fs::write(&ca, trusted)?;
    fs::write(directory.join("server.pem"), server)?;
    fs::write(directory.join("server.key"), key.serialize_pem())?;
    Ok(ca)
}
