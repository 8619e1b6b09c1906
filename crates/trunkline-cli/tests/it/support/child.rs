//! The program as a child process, which is killed at the end of its test.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};

use super::until;

/// Result of a run.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Running program, killed when dropped.
pub(crate) struct Running {
    child: Child,
    stderr: Option<JoinHandle<String>>,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
}

/// Runs `trunkline fetch` to its end, with `input` on standard input.
pub(crate) fn fetch<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>, input: impl AsRef<[u8]>) -> Finished {
    let mut running = Running::start(arguments);
    // Writing fails if the program ends before it has read everything.
    let _ = running.stdin.take().unwrap().write_all(input.as_ref());
    running.finish()
}

impl Running {
    /// `trunkline fetch`
    pub(crate) fn start<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Self {
        Self::command("fetch", arguments, [])
    }

    /// Starts a command with these environment variables.
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

    /// Writes lines to standard input until the iterator or the program ends.
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
        // It fails if the program has ended.
        let _ = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).stderr(Stdio::null()).status();
    }

    /// Peak memory in bytes.
    pub(crate) fn most_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Reads the rest of the output until the program ends.
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
    /// Sorted lines of standard output.
    pub(crate) fn lines(&self) -> Vec<&str> {
        let mut lines: Vec<_> = self.stdout.lines().collect();
        lines.sort_unstable();
        lines
    }

    /// JSON lines of standard output.
    pub(crate) fn json(&self) -> Vec<serde_json::Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Last line of standard error: the summary.
    pub(crate) fn last(&self) -> &str {
        self.stderr.lines().last().unwrap_or_default()
    }
}
