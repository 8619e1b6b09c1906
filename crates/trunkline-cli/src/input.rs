//! URLs of the arguments and the input file, read as they are needed.
//!
//! Reading may block for any time (a pipe, a terminal, a network file system). A thread of its own
//! reads, and the end of the program does not wait for it. Lines travel in chunks, which saves a
//! wake-up for each line of a fast input; a slow input sends each line at once.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::Context as _;
use tokio::sync::mpsc;

use crate::lines::{InputLine, LineRead, Lines};

/// Most entries of a chunk. Up to two chunks are read ahead while the thread fills a third.
const CHUNK: usize = 64;
/// Size at which a chunk is full, in bytes. Its last line may exceed it.
const CHUNK_BYTES: usize = 64 * 1024;

/// A URL to fetch, or a line that cannot be a URL.
pub(crate) enum InputEntry {
    Url(InputUrl),
    Bad { location: LineLocation, reason: String },
}

/// A URL as given.
pub(crate) struct InputUrl {
    /// Position among the URLs of the input, from 1.
    pub(crate) ordinal: u64,
    pub(crate) text: String,
    /// Line of the input file; `None` for an argument.
    pub(crate) location: Option<LineLocation>,
}

/// Location of a line in an input file, shown as `file:line`.
#[derive(Clone)]
pub(crate) struct LineLocation {
    source: Arc<str>,
    line: u64,
}

/// An opened source of URLs.
pub(crate) struct InputFile {
    /// Name in messages.
    pub(crate) name: String,
    pub(crate) reader: Box<dyn Read + Send>,
    /// A second handle of a regular file, to count its URLs ahead.
    pub(crate) countable: Option<Box<dyn Read + Send>>,
}

/// Receiving end of the reading thread.
pub(crate) struct Input {
    chunks: mpsc::Receiver<Vec<InputEntry>>,
    current: std::vec::IntoIter<InputEntry>,
    taken: u64,
    ended: bool,
    total: Arc<AtomicU64>,
}

impl InputFile {
    /// Opens the file, or standard input for `-`.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self { name: "stdin".into(), reader: Box::new(io::stdin()), countable: None });
        }
        let unreadable = || format!("cannot read the input {path:?}");
        let unusable = || format!("{}: it has to be a file of URLs, one a line, or - for standard input", unreadable());
        let file = match File::open(path) {
            // The file exists; the advice below would not help.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error).with_context(unreadable)?,
            opened => opened.with_context(unusable)?,
        };
        let kind = file.metadata().with_context(unusable)?;
        if kind.is_dir() {
            return Err(anyhow::anyhow!("it is a directory")).with_context(unusable);
        }
        let again = if kind.is_file() { File::open(path).ok() } else { None };
        let countable = again.map(|file| Box::new(file) as Box<dyn Read + Send>);
        Ok(Self { name: path.display().to_string(), reader: Box::new(file), countable })
    }
}

/// Total of an input that is endless or not counted yet.
const UNKNOWN: u64 = u64::MAX;

impl Input {
    /// Starts the reading thread. `count` starts a second thread that counts the URLs of a regular
    /// file ahead.
    ///
    /// # Errors
    ///
    /// The system has no thread left.
    pub(crate) fn start(urls: Vec<String>, file: Option<InputFile>, count: bool) -> io::Result<Self> {
        let (sender, chunks) = mpsc::channel(1);
        let arguments = urls.len() as u64;
        let total = Arc::new(AtomicU64::new(if file.is_none() { arguments } else { UNKNOWN }));
        let (file, countable) = match file {
            Some(InputFile { name, reader, countable }) => (Some((name, reader)), countable),
            None => (None, None),
        };
        if let Some(file) = countable.filter(|_| count) {
            let total = total.clone();
            thread::Builder::new().name("count".into()).spawn(move || {
                if let Ok(lines) = count_lines(file) {
                    total.store(arguments + lines, Ordering::Relaxed);
                }
            })?;
        }
        thread::Builder::new().name("input".into()).spawn(move || {
            let mut reading = InputReader { sender, chunk: Vec::new(), bytes: 0, ordinal: 0 };
            // It ends with the input, or when the receiver is dropped.
            let _ = reading.run(urls, file);
        })?;
        Ok(Self { chunks, current: Vec::new().into_iter(), taken: 0, ended: false, total })
    }

    /// Returns the next entry, `None` at the end.
    ///
    /// # Cancel safety
    ///
    /// No entry is lost.
    pub(crate) async fn next(&mut self) -> Option<InputEntry> {
        loop {
            if let Some(entry) = self.current.next() {
                self.taken += 1;
                return Some(entry);
            }
            match self.chunks.recv().await {
                Some(chunk) => self.current = chunk.into_iter(),
                None => {
                    self.ended = true;
                    return None;
                }
            }
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Total number of entries, once known.
    pub(crate) fn total(&self) -> Option<u64> {
        if self.ended {
            return Some(self.taken);
        }
        Some(self.total.load(Ordering::Relaxed)).filter(|&total| total != UNKNOWN)
    }
}

fn count_lines(file: impl Read) -> io::Result<u64> {
    let mut lines = Lines::new(file);
    let mut count = 0;
    loop {
        match lines.step()? {
            LineRead::InputLine(_) => count += 1,
            LineRead::Skipped => {}
            LineRead::End => return Ok(count),
        }
    }
}

/// Sending end, on the reading thread.
struct InputReader {
    sender: mpsc::Sender<Vec<InputEntry>>,
    chunk: Vec<InputEntry>,
    bytes: usize,
    ordinal: u64,
}

/// Error: the receiver was dropped.
struct InputClosed;

impl InputReader {
    fn run(&mut self, urls: Vec<String>, file: Option<(String, Box<dyn Read + Send>)>) -> Result<(), InputClosed> {
        for text in urls {
            self.add_url(text, None)?;
        }
        match file {
            Some((name, reader)) => self.read(&name.into(), Lines::new(reader)),
            None => self.send(),
        }
    }

    fn read(&mut self, source: &Arc<str>, mut lines: Lines<impl Read>) -> Result<(), InputClosed> {
        loop {
            if !lines.has_one_ready() {
                self.send()?;
            }
            let step = lines.step();
            let location = LineLocation { source: source.clone(), line: lines.number() };
            match step {
                Ok(LineRead::InputLine(InputLine { text: Ok(text), .. })) => self.add_url(text, Some(location))?,
                Ok(LineRead::InputLine(InputLine { text: Err(error), .. })) => {
                    self.add(InputEntry::Bad { location, reason: error.to_string() }, 0)?;
                }
                Ok(LineRead::Skipped) => {}
                Ok(LineRead::End) => return self.send(),
                Err(error) => {
                    self.add(InputEntry::Bad { location, reason: format!("reading ended here: {error}") }, 0)?;
                    return self.send();
                }
            }
        }
    }

    fn add_url(&mut self, text: String, location: Option<LineLocation>) -> Result<(), InputClosed> {
        self.ordinal += 1;
        let (ordinal, length) = (self.ordinal, text.len());
        self.add(InputEntry::Url(InputUrl { ordinal, text, location }), length)
    }

    fn add(&mut self, entry: InputEntry, length: usize) -> Result<(), InputClosed> {
        self.chunk.push(entry);
        self.bytes += length;
        if self.chunk.len() < CHUNK && self.bytes < CHUNK_BYTES {
            return Ok(());
        }
        self.send()
    }

    /// Sends the chunk; blocks until the channel has room.
    fn send(&mut self) -> Result<(), InputClosed> {
        self.bytes = 0;
        if self.chunk.is_empty() {
            return Ok(());
        }
        self.sender.blocking_send(std::mem::take(&mut self.chunk)).map_err(|_| InputClosed)
    }
}

impl fmt::Display for LineLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source, self.line)
    }
}
