//! What is said of the pages, and the one thread that says it.
//!
//! Writing may block (a pager, a stopped terminal): the loop gathers lines and hands them over when
//! the writer has room. When it has none for long, no more pages are begun, and the loop still
//! hears signals.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::sync::{mpsc, oneshot};

use crate::failure::named;
use crate::page::{Fate, Page};
use crate::progress::{Figures, Progress};
use crate::results::Json;

/// How often lines are to be handed over, if not sooner.
pub(crate) const BEAT: Duration = Duration::from_millis(50);

/// How much is gathered at most.
const FULL: usize = 64 * 1024;

/// The gathering end.
pub(crate) struct Output {
    batch: Batch,
    plain: bool,
    json: Option<Sink>,
    /// None when all has been handed over.
    writer: Option<mpsc::Sender<Batch>>,
    end: oneshot::Receiver<anyhow::Result<()>>,
    due: bool,
    winding_down: bool,
}

#[derive(Clone, Copy)]
enum Sink {
    Stdout,
    File,
}

#[derive(Default)]
struct Batch {
    stdout: Vec<u8>,
    file: Vec<u8>,
    stderr: Vec<u8>,
    figures: Option<Figures>,
    /// A closed standard output does not end what is left to do.
    winding_down: bool,
    /// Who wants to know when it is written.
    written: Option<oneshot::Sender<()>>,
}

/// The writer has ended early: [`Output::finish`] tells why.
#[derive(Debug)]
pub(crate) struct WriterEnded;

impl Output {
    /// # Errors
    ///
    /// The system's, if it has no thread to give.
    pub(crate) fn start(json: Json) -> io::Result<Self> {
        let (writer, batches) = mpsc::channel(1);
        let (ended, end) = oneshot::channel();
        let (plain, json, file) = match json {
            Json::None => (true, None, None),
            Json::Stdout => (false, Some(Sink::Stdout), None),
            Json::File(path, file) => (true, Some(Sink::File), Some((path, file))),
        };
        thread::Builder::new().name("output".into()).spawn(move || {
            // Nobody listens when the program ends without waiting for its output.
            let _ = ended.send(write_all(batches, file));
        })?;
        Ok(Self { batch: Batch::default(), plain, json, writer: Some(writer), end, due: false, winding_down: false })
    }

    /// Adds a page. One that was given up is not spoken of.
    pub(crate) fn page(&mut self, page: &Page) -> anyhow::Result<()> {
        if page.fate == Fate::GivenUp {
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
        push_harmless(&mut self.batch.stderr, text);
        self.batch.stderr.push(b'\n');
    }

    pub(crate) fn figures(&mut self, figures: Figures) {
        self.batch.figures = Some(figures);
    }

    /// What there is is handed over next.
    pub(crate) fn beat(&mut self) {
        self.due = !self.batch.is_empty();
    }

    /// From now on a closed standard output is taken in silence: the Ctrl-C that ends this program
    /// ended its reader too, and what goes to files is to be whole.
    pub(crate) fn wind_down(&mut self) {
        self.winding_down = true;
        self.batch.winding_down = true;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// No more can be added until it has been handed over.
    pub(crate) fn is_full(&self) -> bool {
        self.batch.len() >= FULL
    }

    pub(crate) fn is_due(&self) -> bool {
        self.due || self.is_full()
    }

    /// Hands over what there is as soon as the writer has room. What comes out ends when that is
    /// written: in the file, or at the other end of standard output.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(crate) async fn hand_over(&mut self) -> Result<oneshot::Receiver<()>, WriterEnded> {
        let writer = self.writer.as_ref().ok_or(WriterEnded)?;
        let room = writer.reserve().await.map_err(|_| WriterEnded)?;
        let (written, when_written) = oneshot::channel();
        let next = Batch { winding_down: self.winding_down, ..Batch::default() };
        room.send(Batch { written: Some(written), ..std::mem::replace(&mut self.batch, next) });
        self.due = false;
        Ok(when_written)
    }

    /// Waits until everything is written. False if standard output was closed at its other end,
    /// which is no error.
    ///
    /// # Errors
    ///
    /// What could not be written.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: call it again.
    pub(crate) async fn finish(&mut self) -> anyhow::Result<bool> {
        // If the writer has ended, its reason follows.
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

impl Batch {
    fn len(&self) -> usize {
        self.stdout.len() + self.file.len() + self.stderr.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0 && self.figures.is_none()
    }
}

/// `status bytes url`
fn plain_line(line: &mut Vec<u8>, page: &Page) -> io::Result<()> {
    match page.status.filter(|_| page.fate != Fate::Failed) {
        Some(status) => write!(line, "{status} {} ", page.bytes)?,
        None => write!(line, "ERR {} ", page.bytes)?,
    }
    push_harmless(line, &named(&page.url));
    line.push(b'\n');
    Ok(())
}

/// What came from elsewhere can neither begin a line of its own nor steer a terminal.
pub(crate) fn push_harmless(line: &mut Vec<u8>, text: &str) {
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

/// The writing thread: until there is no more, or something cannot be written.
fn write_all(mut batches: mpsc::Receiver<Batch>, mut file: Option<(PathBuf, File)>) -> anyhow::Result<()> {
    let progress = Progress::new();
    let result = loop {
        let Some(batch) = batches.blocking_recv() else { break Ok(()) };
        if let Err(error) = write(&batch, &mut file, &progress) {
            break Err(error);
        }
        // Few want to know.
        let _ = batch.written.map(|written| written.send(()));
    };
    progress.clear();
    result
}

fn write(batch: &Batch, file: &mut Option<(PathBuf, File)>, progress: &Progress) -> anyhow::Result<()> {
    let mut stdout = io::stdout();
    let mut to_terminals = || {
        // Whoever closed standard error wants no messages.
        let _ = io::stderr().write_all(&batch.stderr);
        match stdout.write_all(&batch.stdout).and_then(|()| stdout.flush()) {
            Err(error) if batch.winding_down && is_broken_pipe(&error) => Ok(()),
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
    if let Some(figures) = batch.figures {
        progress.show(figures);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn harmless(text: &str) -> String {
        let mut line = Vec::new();
        push_harmless(&mut line, text);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn a_url_cannot_break_its_line_or_steer_a_terminal() {
        assert_eq!(harmless("http://a/b c"), "http://a/b c");
        assert_eq!(harmless("http://é/\u{1b}[2J\n\t\u{9b}"), "http://é/\\u{1b}[2J\\n\\t\\u{9b}");
    }
}
