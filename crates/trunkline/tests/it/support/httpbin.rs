//! httpbin, run by gunicorn: one for the whole test binary, started by the first test that asks for
//! it.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::process::{Guarded, blocking};
use super::temp_dir::TempDir;

/// The running httpbin. A static is never dropped: its watchdog ends it with the test process.
#[derive(Debug)]
pub struct Httpbin {
    process: Guarded,
    port: u16,
}

impl Httpbin {
    pub async fn shared() -> &'static Self {
        static SHARED: OnceLock<Httpbin> = OnceLock::new();
        blocking(|| SHARED.get_or_init(Self::start)).await
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// gunicorn's log, with a line per request.
    pub fn log(&self) -> String {
        self.process.output()
    }

    fn start() -> Self {
        let command = [
            gunicorn().to_str().unwrap().to_owned(),
            "--bind=127.0.0.1:0".into(),
            // Threads, so that delays do not hold up other tests.
            "--worker-class=gthread".into(),
            "--threads=16".into(),
            "--keep-alive=5".into(),
            "--no-control-socket".into(),
            "--access-logfile=-".into(),
            "httpbin:app".into(),
        ];
        let mut process = Guarded::start(TempDir::new("httpbin"), command);
        let ready = process.until(|process| {
            let port = bound_port(&process.output())?;
            // Bound by gunicorn before it has loaded httpbin: the kernel takes connections from
            // here on.
            process.output().contains("Booting worker").then(|| TcpStream::connect(("127.0.0.1", port)).ok())??;
            Some(port)
        });
        let port = ready.unwrap_or_else(|error| panic!("httpbin: {error}"));
        Self { process, port }
    }
}

/// From gunicorn's `Listening at: http://127.0.0.1:46357 (3774)`.
pub(super) fn bound_port(output: &str) -> Option<u16> {
    let (_, address) = output.split_once("Listening at: http://127.0.0.1:")?;
    address.split_once(' ')?.0.parse().ok()
}

/// In the environment that `./test` makes.
pub(super) fn gunicorn() -> PathBuf {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-env/venv");
    let venv = std::env::var_os("TRUNKLINE_TEST_ENV").map_or(made, PathBuf::from);
    let gunicorn = venv.join("bin/gunicorn");
    assert!(gunicorn.is_file(), "{} is missing: run ./test once, it installs what tests need", gunicorn.display());
    gunicorn
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[tokio::test]
    async fn httpbin_is_one_and_answers() {
        let httpbin = Httpbin::shared().await;
        assert_eq!(httpbin.port(), Httpbin::shared().await.port());
        let answer = blocking(|| {
            let mut stream = TcpStream::connect(("127.0.0.1", httpbin.port())).unwrap();
            stream.write_all(b"GET /get?a=b HTTP/1.1\r\nHost: httpbin\r\nConnection: close\r\n\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        })
        .await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains(r#""a": "b""#), "{answer}");
    }
}
