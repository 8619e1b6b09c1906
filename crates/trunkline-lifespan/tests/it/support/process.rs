//! The example `scripted` as a process, with its output line by line.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use super::{PATIENCE, until};

pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    /// Every line of standard output.
    pub(crate) lines: Vec<String>,
    pub(crate) stderr: String,
}

impl Process {
    pub(crate) fn start(words: &str) -> Self {
        let mut child = Command::new(program())
            .args(words.split(' '))
            // Another crate of the workspace turns colours of the log on.
            .env("NO_COLOR", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines, seen: Vec::new() }
    }

    /// Waits for a line with this beginning and returns the rest of it.
    pub(crate) fn line(&mut self, start: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no {start:?} in {:?}", self.seen));
            self.seen.push(line.clone());
            if let Some(rest) = line.strip_prefix(start) {
                return rest.trim().to_owned();
            }
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        self.signal_times(name, 1);
    }

    /// Sends the signal several times at once.
    pub(crate) fn signal_times(&self, name: &str, times: usize) {
        let ids = vec![self.child.id().to_string(); times];
        let sent = Command::new("kill").arg(format!("-{name}")).args(ids).status().unwrap();
        assert!(sent.success());
    }

    /// Repeats the signal until the process has ended: a signal right after another of its kind does
    /// not count.
    pub(crate) fn signal_until_ended(&mut self, name: &str) {
        until("the application ends", || {
            let ended = self.child.try_wait().unwrap().is_some();
            if !ended {
                self.signal(name);
            }
            ended
        });
    }

    /// Sends a line to standard input.
    pub(crate) fn go(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    }

    /// Waits until the process has ended.
    pub(crate) fn finish(mut self) -> Finished {
        let mut code = None;
        until("the application ends", || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        self.seen.extend(self.lines.iter());
        Finished { code: code.unwrap().code(), lines: std::mem::take(&mut self.seen), stderr }
    }

    /// The states of the TCP sockets that the process owns.
    pub(crate) fn sockets(&self) -> Vec<String> {
        let directory = format!("/proc/{}/fd", self.child.id());
        let own: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .filter_map(|fd| {
                fs::read_link(fd.ok()?.path())
                    .ok()?
                    .to_str()?
                    .strip_prefix("socket:[")?
                    .strip_suffix(']')
                    .map(str::to_owned)
            })
            .collect();
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        let rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
        rows.filter(|row| own.iter().any(|inode| inode == row[9])).map(|row| row[3].to_owned()).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The example, which `cargo test` builds beside this test's binary.
fn program() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples/scripted");
    assert!(
        path.exists(),
        "{} is missing: cargo build -p trunkline-lifespan --all-features --examples",
        path.display()
    );
    path
}
