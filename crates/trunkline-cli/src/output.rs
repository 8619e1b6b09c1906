//! Output of a run, and the thread that writes it.
//!
//! Writing may block (a pager, a stopped terminal). The fetch loop therefore gathers lines and
//! hands them over when the writer has room. A full output stops new pages, while the loop still
//! reacts to signals.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::sync::{mpsc, oneshot};

use crate::error_text::without_credentials;
use crate::json_output::JsonSink;
use crate::page::{Page, PageOutcome};
use crate::progress::{Progress, ProgressUpdate};

/// Longest time between two hand-overs of lines.
pub(crate) const FLUSH_INTERVAL: Duration = Duration::from_millis(50);

/// Size of a full batch, in bytes.
const FULL: usize = 64 * 1024;

/// Gathering end of the output.
pub(crate) struct Output {
    batch: OutputBatch,
    /// Write the line `status bytes url` for each page.
    plain: bool,
    json: Option<Sink>,
    /// `None` after the last hand-over.
    writer: Option<mpsc::Sender<OutputBatch>>,
    end: oneshot::Receiver<anyhow::Result<()>>,
    due: bool,
    ignores_closed_stdout: bool,
}

#[derive(Clone, Copy)]
enum Sink {
    Stdout,
    File,
}

#[derive(Default)]
struct OutputBatch {
    stdout: Vec<u8>,
    file: Vec<u8>,
    stderr: Vec<u8>,
    progress: Option<ProgressUpdate>,
    /// A closed standard output is not an error.
    ignores_closed_stdout: bool,
    /// Notified when the batch is written.
    written: Option<oneshot::Sender<()>>,
}

/// Error: the writer ended early. [`Output::finish`] returns the reason.
#[derive(Debug)]
pub(crate) struct WriterEnded;

impl Output {
    /// Starts the writing thread.
    ///
    /// # Errors
    ///
    /// The system has no thread left.
    pub(crate) fn start(json: JsonSink) -> io::Result<Self> {
        let (writer, batches) = mpsc::channel(1);
        let (ended, end) = oneshot::channel();
        let (plain, json, file) = match json {
            JsonSink::None => (true, None, None),
            JsonSink::Stdout => (false, Some(Sink::Stdout), None),
            JsonSink::File(path, file) => (true, Some(Sink::File), Some((path, file))),
        };
        thread::Builder::new().name("output".into()).spawn(move || {
            // Sending fails if the program ends without waiting for its output.
            let _ = ended.send(write_all(batches, file));
        })?;
        Ok(Self {
            batch: OutputBatch::default(),
            plain,
            json,
            writer: Some(writer),
            end,
            due: false,
            ignores_closed_stdout: false,
        })
    }

    /// Adds the line of a page. A page that was given up has none.
    ///
    /// # Errors
    ///
    /// The page cannot be written as JSON.
    pub(crate) fn page(&mut self, page: &Page) -> anyhow::Result<()> {
        if page.outcome == PageOutcome::GivenUp {
            return Ok(());
        }
        if self.plain {
            plain_line(&mut self.batch.stdout, page)?;
        }
        let json = match self.json {
            Some(Sink::Stdout) => Some(&mut self.batch.stdout),
            Some(Sink::File) => Some(&mut self.batch.file),
            None => None,
        };
        if let Some(json) = json {
            serde_json::to_writer(&mut *json, page)?;
            json.push(b'\n');
        }
        if let Some(notice) = &page.notice {
            self.note(notice);
        }
        Ok(())
    }

    /// Adds a line to standard error.
    pub(crate) fn note(&mut self, text: &str) {
        push_escaped(&mut self.batch.stderr, text);
        self.batch.stderr.push(b'\n');
    }

    pub(crate) fn progress(&mut self, update: ProgressUpdate) {
        self.batch.progress = Some(update);
    }

    /// Makes the next hand-over due, if there is something to hand over.
    pub(crate) fn flush_soon(&mut self) {
        self.due = !self.batch.is_empty();
    }

    /// Ignores a closed standard output from now on: the Ctrl-C that ends this program has ended
    /// its reader too, and the files still have to be complete.
    pub(crate) fn ignore_closed_stdout(&mut self) {
        self.ignores_closed_stdout = true;
        self.batch.ignores_closed_stdout = true;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// True if nothing should be added before the next hand-over.
    pub(crate) fn is_full(&self) -> bool {
        self.batch.len() >= FULL
    }

    pub(crate) fn is_due(&self) -> bool {
        self.due || self.is_full()
    }

    /// Hands over the batch as soon as the writer has room. The receiver resolves when the batch is
    /// written to the file or to standard output.
    ///
    /// # Errors
    ///
    /// The writer ended early.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(crate) async fn hand_over(&mut self) -> Result<oneshot::Receiver<()>, WriterEnded> {
        let writer = self.writer.as_ref().ok_or(WriterEnded)?;
        let room = writer.reserve().await.map_err(|_| WriterEnded)?;
        let (written, when_written) = oneshot::channel();
        let next = OutputBatch { ignores_closed_stdout: self.ignores_closed_stdout, ..OutputBatch::default() };
        room.send(OutputBatch { written: Some(written), ..std::mem::replace(&mut self.batch, next) });
        self.due = false;
        Ok(when_written)
    }

    /// Waits until everything is written. Returns false if the reader of standard output has closed
    /// it.
    ///
    /// # Errors
    ///
    /// The output could not be written.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: call it again.
    pub(crate) async fn finish(&mut self) -> anyhow::Result<bool> {
        // If the writer has ended, `end` has the reason.
        let _ = self.hand_over().await;
        self.writer = None;
        let end = (&mut self.end).await.map_err(|_| anyhow!("the writing thread ended early"))?;
        match end {
            Err(error) if error.root_cause().downcast_ref().is_some_and(is_broken_pipe) => Ok(false),
            end => end.map(|()| true),
        }
    }
}

fn is_broken_pipe(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

impl OutputBatch {
    fn len(&self) -> usize {
        self.stdout.len() + self.file.len() + self.stderr.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0 && self.progress.is_none()
    }
}

/// Appends the line `status bytes url`.
fn plain_line(line: &mut Vec<u8>, page: &Page) -> io::Result<()> {
    match page.status.filter(|_| page.outcome != PageOutcome::Failed) {
        Some(status) => write!(line, "{status} {} ", page.bytes)?,
        None => write!(line, "ERR {} ", page.bytes)?,
    }
    push_escaped(line, &without_credentials(&page.url));
    line.push(b'\n');
    Ok(())
}

/// Prints a line to standard error. A closed standard error is not an error.
pub(crate) fn print_note(text: &str) {
    let mut line = Vec::new();
    push_escaped(&mut line, text);
    line.push(b'\n');
    let _ = io::stderr().write_all(&line);
}

/// Appends text with its control characters escaped: foreign text can neither start a line nor
/// control the terminal.
pub(crate) fn push_escaped(line: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return line.extend_from_slice(text.as_bytes());
    }
    for letter in text.chars() {
        if letter.is_control() {
            line.extend(letter.escape_default().map(|letter| letter as u8));
        } else {
            line.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

/// Body of the writing thread: writes batches until the last one, or until an error.
fn write_all(mut batches: mpsc::Receiver<OutputBatch>, mut file: Option<(PathBuf, File)>) -> anyhow::Result<()> {
    let progress = Progress::new();
    let result = loop {
        let Some(batch) = batches.blocking_recv() else { break Ok(()) };
        if let Err(error) = write(&batch, &mut file, &progress) {
            break Err(error);
        }
        // Sending fails if the receiver was dropped, which most are.
        let _ = batch.written.map(|written| written.send(()));
    };
    progress.clear();
    result
}

fn write(batch: &OutputBatch, file: &mut Option<(PathBuf, File)>, progress: &Progress) -> anyhow::Result<()> {
    let mut stdout = io::stdout();
    let mut to_terminals = || {
        // A closed standard error is not an error.
        let _ = io::stderr().write_all(&batch.stderr);
        match stdout.write_all(&batch.stdout).and_then(|()| stdout.flush()) {
            Err(error) if batch.ignores_closed_stdout && is_broken_pipe(&error) => Ok(()),
            written => written.context("cannot write to standard output"),
        }
    };
    if batch.stderr.is_empty() && (batch.stdout.is_empty() || !io::stdout().is_terminal()) {
        to_terminals()?;
    } else {
        progress.above(to_terminals)?;
    }
    if let Some((path, file)) = file {
        file.write_all(&batch.file).with_context(|| format!("cannot write to {path:?}"))?;
    }
    if let Some(update) = batch.progress {
        progress.show(update);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut line = Vec::new();
        push_escaped(&mut line, text);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn a_url_cannot_break_its_line_or_steer_a_terminal() {
        assert_eq!(escaped("http://a/b c"), "http://a/b c");
        assert_eq!(escaped("http://é/\u{1b}[2J\n\t\u{9b}"), "http://é/\\u{1b}[2J\\n\\t\\u{9b}");
    }
}
