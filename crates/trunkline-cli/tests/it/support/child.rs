//! The program as a child process that does not outlive its test.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};

use super::until;

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A run under way; killed when dropped.
pub(crate) struct Running {
    child: Child,
    stderr: Option<JoinHandle<String>>,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
}

/// Runs it to its end, with that on its standard input.
pub(crate) fn fetch<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>, input: impl AsRef<[u8]>) -> Finished {
    let mut running = Running::start(arguments);
    // A program that does not read it all is none of the tests that look at what it says.
    let _ = running.stdin.take().unwrap().write_all(input.as_ref());
    running.finish()
}

impl Running {
    /// `trunkline fetch`
    pub(crate) fn start<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Self {
        Self::command("fetch", arguments, [])
    }

    /// One of its commands, with these variables in its environment.
    pub(crate) fn command<A: AsRef<OsStr>, const N: usize>(
        command: &str,
        arguments: impl IntoIterator<Item = A>,
        variables: [(&str, &str); N],
    ) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_trunkline"))
            .arg(command)
            .args(arguments)
            .envs(variables)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let mut errors = child.stderr.take().unwrap();
        let stderr = thread::spawn(move || {
            let mut text = String::new();
            errors.read_to_string(&mut text).unwrap();
            text
        });
        Self { child, stderr: Some(stderr), stdin, stdout }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Feeds it lines for as long as it takes them. The thread ends with the input, or with the
    /// program.
    pub(crate) fn feed(&mut self, lines: impl Iterator<Item = String> + Send + 'static) {
        let mut input = std::io::BufWriter::new(self.stdin.take().unwrap());
        thread::spawn(move || {
            for line in lines {
                if writeln!(input, "{line}").is_err() {
                    return;
                }
            }
        });
    }

    pub(crate) fn signal(&self, name: &str) {
        // It may have ended meanwhile.
        let _ = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).stderr(Stdio::null()).status();
    }

    /// The most memory it has had at once, in bytes.
    pub(crate) fn most_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Reads what is left of its output until it ends.
    pub(crate) fn finish(mut self) -> Finished {
        let reading = self.stdout.take().map(|mut stdout| {
            thread::spawn(move || {
                let mut text = String::new();
                stdout.read_to_string(&mut text).unwrap();
                text
            })
        });
        let code = self.wait().code();
        let stdout = reading.map(|reading| reading.join().unwrap()).unwrap_or_default();
        let stderr = self.stderr.take().unwrap().join().unwrap();
        Finished { code, stdout, stderr }
    }

    fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        until("the program ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Finished {
    /// The lines of standard output, in an order that does not depend on which page was faster.
    pub(crate) fn lines(&self) -> Vec<&str> {
        let mut lines: Vec<_> = self.stdout.lines().collect();
        lines.sort_unstable();
        lines
    }

    /// The JSON lines of standard output.
    pub(crate) fn json(&self) -> Vec<serde_json::Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The summary.
    pub(crate) fn last(&self) -> &str {
        self.stderr.lines().last().unwrap_or_default()
    }
}
