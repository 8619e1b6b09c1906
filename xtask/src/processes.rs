//! Commands whose output is shown and kept, and the processes they leave running.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::Step;

/// The environment variable that marks every process of one run.
const MARK: &str = "TRUNKLINE_TEST_RUN";
/// A killed test's servers end by themselves within this time.
const ENDING: Duration = Duration::from_secs(5);

/// The mark of this run: inherited from `./test`, or made here.
pub(crate) struct TestRun {
    mark: String,
}

/// The output of a command, and whether it succeeded.
pub(crate) struct Finished {
    pub(crate) output: String,
    pub(crate) succeeded: bool,
    /// The processes that were left running.
    pub(crate) left: Step,
}

impl TestRun {
    pub(crate) fn new() -> Self {
        let mark = std::env::var(MARK).unwrap_or_else(|_| format!("xtask.{}", std::process::id()));
        Self { mark }
    }

    /// Runs the command, shows its output and keeps it, in the file `log` as well.
    pub(crate) fn logged(&self, command: &mut Command, log: &Path) -> Step<Finished> {
        let (reader, writer) = std::io::pipe().map_err(|error| error.to_string())?;
        let errors = writer.try_clone().map_err(|error| error.to_string())?;
        command.env(MARK, &self.mark).stdout(writer).stderr(errors);
        let mut child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        // The command holds the writing ends; with them the reader would wait for this process.
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let log = log.to_owned();
        let copy = thread::spawn(move || copy_output(BufReader::new(reader), &log));
        let status = child.wait().map_err(|error| error.to_string())?;
        // A process that was left running may hold the output open: end it before waiting for that.
        let left = self.none_left();
        self.kill_left();
        let output = copy.join().expect("the copying thread does not panic")?;
        Ok(Finished { output, succeeded: status.success(), left })
    }

    /// # Errors
    ///
    /// Processes of this run that are still there after 5 s.
    pub(crate) fn none_left(&self) -> Step {
        let begun = std::time::Instant::now();
        loop {
            let left = self.left_running();
            if left.is_empty() {
                return Ok(());
            }
            if begun.elapsed() > ENDING {
                let lines: Vec<String> =
                    left.iter().map(|&id| format!("left running: {id} {}", arguments(id))).collect();
                return Err(lines.join("\n"));
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn kill_left(&self) {
        let left = self.left_running();
        if !left.is_empty() {
            // Fails for processes that ended meanwhile.
            let _ = Command::new("kill").arg("-KILL").args(left.iter().map(u32::to_string)).status();
        }
    }

    /// The processes with this run's mark, except this one and its ancestors.
    fn left_running(&self) -> Vec<u32> {
        let marked = format!("{MARK}={}", self.mark);
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        let ancestors = ancestors(std::process::id());
        ids.filter(|id| !ancestors.contains(id))
            .filter(|id| {
                let environment = fs::read(format!("/proc/{id}/environ")).unwrap_or_default();
                environment.split(|&byte| byte == 0).any(|variable| variable == marked.as_bytes())
            })
            .collect()
    }
}

fn copy_output(mut reader: impl BufRead, log: &Path) -> Step<String> {
    let mut file = fs::File::create(log).map_err(|error| format!("{}: {error}", log.display()))?;
    let (mut output, mut line) = (String::new(), Vec::new());
    while reader.read_until(b'\n', &mut line).map_err(|error| error.to_string())? > 0 {
        // A closed terminal does not end the checks.
        let _ = std::io::stdout().write_all(&line);
        file.write_all(&line).map_err(|error| format!("{}: {error}", log.display()))?;
        output.push_str(&String::from_utf8_lossy(&line));
        line.clear();
    }
    Ok(output)
}

fn arguments(id: u32) -> String {
    let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

/// The process, its parent, and so on.
fn ancestors(mut id: u32) -> Vec<u32> {
    let mut found = Vec::new();
    while id > 1 && !found.contains(&id) {
        found.push(id);
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        id = parent.and_then(|parent| parent.trim().parse().ok()).unwrap_or_default();
    }
    found
}
