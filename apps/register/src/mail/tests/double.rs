//! Fake SES of another project, run as a process that cannot outlive the test.

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Time limit for the start of a server.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Runs the server until it or the watchdog's input ends. The test process holds the other end of
/// that pipe, so even SIGKILL of the test ends the server and its process group.
const WATCHDOG: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- 2>&1 &
child=$!
exec >/dev/null 2>&1
(read -r _ <&3; kill -KILL $child) &
wait $child
kill -KILL -$$
"#;

/// Running server, ended on drop.
#[derive(Debug)]
pub(super) struct Double {
    watchdog: Child,
    lifeline: Option<ChildStdin>,
    /// Endpoint announced by the server.
    pub(super) endpoint: String,
}

impl Double {
    /// Starts the program, and waits until it announces its address.
    pub(super) async fn start(command: Command) -> Self {
        tokio::task::spawn_blocking(move || Self::start_blocking(&command)).await.unwrap()
    }

    fn start_blocking(command: &Command) -> Self {
        let mut watchdog = Command::new("/bin/sh");
        watchdog.arg("-c").arg(WATCHDOG).arg("sh").arg(command.get_program()).args(command.get_args());
        watchdog.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let watchdog = watchdog.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut double = Self { watchdog: watchdog.spawn().unwrap(), lifeline: None, endpoint: String::new() };
        double.lifeline = double.watchdog.stdin.take();
        let output = BufReader::new(double.watchdog.stdout.take().unwrap());
        let (say, said) = mpsc::channel();
        // Reads to the end, so that the server never blocks on its output.
        thread::spawn(move || output.lines().map_while(Result::ok).for_each(|line| drop(say.send(line))));

        let mut all = String::new();
        while let Ok(line) = said.recv_timeout(START_LIMIT) {
            if let Some(endpoint) = address(&line) {
                double.endpoint = endpoint;
                return double;
            }
            all += &line;
            all.push('\n');
        }
        panic!("{command:?} is not ready; it said: {all}");
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let _ = self.watchdog.wait();
    }
}

/// Parses ` * Running on http://127.0.0.1:37841`, with any name of this machine.
fn address(line: &str) -> Option<String> {
    let (_, port) = line.rsplit_once(':')?;
    let port: u16 = port.trim().parse().ok()?;
    line.contains("http://").then(|| format!("http://127.0.0.1:{port}"))
}

/// Program of the test environment that `./test` creates and this variable names.
pub(super) fn installed(variable: &str, otherwise: &str, program: impl AsRef<OsStr>) -> PathBuf {
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-env").join(otherwise);
    let program = env::var_os(variable).map_or(made, PathBuf::from).join(program.as_ref());
    assert!(program.is_file(), "{} is missing: run ./test once, it installs what tests need", program.display());
    program
}
