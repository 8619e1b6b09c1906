//! A process that cannot outlive the test process, however that ends.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::temp_dir::TempDir;

const START_LIMIT: Duration = Duration::from_secs(120);

/// Runs the rest of its arguments until the process ends or its own input does, of which the test
/// process holds the other end; then whatever is left of the process group is killed.
const WATCHDOG: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
(read -r _ <&3; kill -KILL $child) &
wait $child
rm -rf "$0"
kill -KILL -$$
"#;

/// A running process with its directory; both go when it is dropped.
pub(crate) struct Guarded {
    watchdog: Child,
    lifeline: Option<ChildStdin>,
    dir: TempDir,
}

impl Guarded {
    /// Starts `command` in `dir`, which also has its temporary files and its output.
    pub(crate) fn start(dir: TempDir, command: &[&str]) -> Self {
        let output = File::create(dir.path().join("output")).unwrap();
        let mut watchdog = Command::new("/bin/sh")
            .args(["-c", WATCHDOG])
            .arg(dir.path())
            .args(command)
            .current_dir(dir.path())
            .env("TMPDIR", dir.path())
            // Without a locale Chromium finds no file whose name is not ASCII.
            .env("LC_ALL", "C.UTF-8")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let lifeline = watchdog.stdin.take();
        Self { watchdog, lifeline, dir }
    }

    /// Waits until its output says at which port it listens, the number behind `words`, and it does
    /// so: some say it in advance.
    pub(crate) async fn port_behind(&mut self, words: &str) -> u16 {
        let started = Instant::now();
        loop {
            let output = fs::read_to_string(self.dir.path().join("output")).unwrap_or_default();
            let port = output.split_once(words).and_then(|(_, rest)| {
                let end = rest.find(|letter: char| !letter.is_ascii_digit())?;
                rest[..end].parse().ok()
            });
            if let Some(port) = port
                && TcpStream::connect(("127.0.0.1", port)).await.is_ok()
            {
                return port;
            }
            let ended = self.watchdog.try_wait().unwrap().is_some();
            assert!(!ended && started.elapsed() < START_LIMIT, "it is not ready: {output}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let _ = self.watchdog.wait();
    }
}

/// A program in the Python environment that `./test` makes.
pub(crate) fn python(program: &str) -> String {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-env/venv");
    let venv = std::env::var_os("TRUNKLINE_TEST_ENV").map_or(made, PathBuf::from);
    let file = venv.join("bin").join(program);
    assert!(file.is_file(), "{} is missing: run ./test once, it installs what tests need", file.display());
    file.to_str().unwrap().to_owned()
}
