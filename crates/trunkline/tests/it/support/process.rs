//! A server process that cannot outlive the test process, however that ends.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::temp_dir::TempDir;

/// Time limit for a server to be ready.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Runs the server until it ends or the watchdog's input does: the test process holds the other end
/// of that pipe, so even its SIGKILL ends the server. `$0` is the server's directory, which then
/// goes with it; at last whatever is left of the process group (gunicorn's workers, the reader) is
/// killed.
const WATCHDOG: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
(read -r _ <&3; : >"$0/over"; kill -KILL $child) &
wait $child
[ -e "$0/over" ] && rm -rf "$0"
kill -KILL -$$
"#;

/// A running server with its directory; both go when it is dropped.
#[derive(Debug)]
pub(super) struct Guarded {
    watchdog: Child,
    lifeline: Option<ChildStdin>,
    dir: TempDir,
}

impl Guarded {
    /// Starts `command` with `dir` as its current directory and its output in `dir/output`.
    pub(super) fn start<A: AsRef<OsStr>>(dir: TempDir, command: impl IntoIterator<Item = A>) -> Self {
        let output = File::create(dir.join("output")).unwrap();
        let mut watchdog = Command::new("/bin/sh")
            .arg("-c")
            .arg(WATCHDOG)
            .arg(dir.path())
            .args(command)
            .current_dir(dir.path())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let lifeline = watchdog.stdin.take();
        Self { watchdog, lifeline, dir }
    }

    pub(super) fn dir(&self) -> &TempDir {
        &self.dir
    }

    /// The server's output so far.
    pub(super) fn output(&self) -> String {
        fs::read_to_string(self.dir.join("output")).unwrap_or_default()
    }

    /// Asks `ready` again and again until it answers with something.
    ///
    /// # Errors
    /// The server's output, if it ended before.
    pub(super) fn until<T>(&mut self, mut ready: impl FnMut(&Self) -> Option<T>) -> Result<T, String> {
        let started = Instant::now();
        loop {
            if let Some(answer) = ready(self) {
                return Ok(answer);
            }
            if self.watchdog.try_wait().unwrap().is_some() {
                return Err(format!("it ended: {}", self.output()));
            }
            if started.elapsed() > START_LIMIT {
                return Err(format!("not ready after {START_LIMIT:?}: {}", self.output()));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let _ = self.watchdog.wait();
    }
}

/// Finds a program in `PATH`, or where Debian keeps servers, which an ordinary user's `PATH`
/// lacks.
pub(super) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    places.map(|place| place.join(name)).find(|file| file.is_file())
}

/// Does something slow and blocking without holding up the test's runtime.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[test]
fn a_guarded_process_ends_with_its_guard() {
    let mut guarded = Guarded::start(TempDir::new("guarded"), ["sh", "-c", "echo $$; exec sleep 1000"]);
    let pid = guarded.until(|g| g.output().trim().parse::<u32>().ok()).unwrap();
    let (proc, dir) = (PathBuf::from(format!("/proc/{pid}/exe")), guarded.dir().path().to_owned());
    assert!(proc.exists());
    drop(guarded);
    assert!(!proc.exists() && !dir.exists());
}

#[test]
fn a_process_that_ends_early_tells_what_it_said() {
    let mut guarded = Guarded::start(TempDir::new("guarded"), ["sh", "-c", "echo no luck; exit 3"]);
    let error = guarded.until(|_| None::<()>).unwrap_err();
    assert!(error.contains("no luck"), "{error}");
}
