//! The URLs to fetch, read only as they are needed.
//!
//! Reading may block for as long as it likes (a pipe, a terminal, a network's file): it is done by
//! a thread of its own, which the end of the program does not wait for. Lines travel in chunks, so
//! that a fast input wakes nobody for each of them; a chunk is never held back for more
//! lines to come.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::Context as _;
use tokio::sync::mpsc;

use crate::lines::{Line, Lines, Step};

/// The most entries of a chunk: what is read ahead is two chunks, and one more being made.
const CHUNK: usize = 64;
/// The most bytes of a chunk, give or take a line.
const CHUNK_BYTES: usize = 64 * 1024;

/// Something to fetch, or a line that is no such thing.
pub(crate) enum Entry {
    Url(Url),
    Bad { place: Place, reason: String },
}

/// A URL as it was given.
pub(crate) struct Url {
    /// The how many-th of the input it is, from 1.
    pub(crate) ordinal: u64,
    pub(crate) text: String,
    /// Where it was read, unless it was an argument.
    pub(crate) place: Option<Place>,
}

/// A line of a file.
#[derive(Clone)]
pub(crate) struct Place {
    source: Arc<str>,
    line: u64,
}

/// An opened source of URLs.
pub(crate) struct InputFile {
    /// What messages call it.
    pub(crate) name: String,
    pub(crate) reader: Box<dyn Read + Send>,
    /// The same file once more, if it has an end: its URLs can be counted ahead.
    pub(crate) countable: Option<Box<dyn Read + Send>>,
}

/// The receiving end.
pub(crate) struct Input {
    chunks: mpsc::Receiver<Vec<Entry>>,
    current: std::vec::IntoIter<Entry>,
    taken: u64,
    ended: bool,
    total: Arc<AtomicU64>,
}

impl InputFile {
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self { name: "stdin".into(), reader: Box::new(io::stdin()), countable: None });
        }
        let unreadable = || format!("cannot read the input {path:?}");
        let unusable = || format!("{}: it has to be a file of URLs, one a line, or - for standard input", unreadable());
        let file = match File::open(path) {
            // There, and perhaps such a file.
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

/// No count: the input is endless, or not counted yet.
const UNKNOWN: u64 = u64::MAX;

impl Input {
    /// Starts to read. `count` asks for a look ahead at how many there are, where that can be
    /// known.
    ///
    /// # Errors
    ///
    /// The system's, if it has no thread to give.
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
            // It ends when the input does, or when nobody wants more.
            let mut feed = Feed { sender, chunk: Vec::new(), bytes: 0, ordinal: 0 };
            let _ = feed.run(urls, file);
        })?;
        Ok(Self { chunks, current: Vec::new().into_iter(), taken: 0, ended: false, total })
    }

    /// The next entry, `None` at the end.
    ///
    /// # Cancel safety
    ///
    /// No entry is lost.
    pub(crate) async fn next(&mut self) -> Option<Entry> {
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

    /// How many entries there are in all, once that is known.
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
            Step::Line(_) => count += 1,
            Step::Skipped => {}
            Step::End => return Ok(count),
        }
    }
}

/// The reading thread's side.
struct Feed {
    sender: mpsc::Sender<Vec<Entry>>,
    chunk: Vec<Entry>,
    bytes: usize,
    ordinal: u64,
}

/// Nobody wants more.
struct Unwanted;

impl Feed {
    fn run(&mut self, urls: Vec<String>, file: Option<(String, Box<dyn Read + Send>)>) -> Result<(), Unwanted> {
        for text in urls {
            self.add_url(text, None)?;
        }
        match file {
            Some((name, reader)) => self.read(&name.into(), Lines::new(reader)),
            None => self.send(),
        }
    }

    fn read(&mut self, source: &Arc<str>, mut lines: Lines<impl Read>) -> Result<(), Unwanted> {
        loop {
            if !lines.has_one_ready() {
                self.send()?;
            }
            let step = lines.step();
            let place = Place { source: source.clone(), line: lines.number() };
            match step {
                Ok(Step::Line(Line { text: Ok(text), .. })) => self.add_url(text, Some(place))?,
                Ok(Step::Line(Line { text: Err(fault), .. })) => {
                    self.add(Entry::Bad { place, reason: fault.to_string() }, 0)?;
                }
                Ok(Step::Skipped) => {}
                Ok(Step::End) => return self.send(),
                Err(error) => {
                    self.add(Entry::Bad { place, reason: format!("reading ended here: {error}") }, 0)?;
                    return self.send();
                }
            }
        }
    }

    fn add_url(&mut self, text: String, place: Option<Place>) -> Result<(), Unwanted> {
        self.ordinal += 1;
        let (ordinal, length) = (self.ordinal, text.len());
        self.add(Entry::Url(Url { ordinal, text, place }), length)
    }

    fn add(&mut self, entry: Entry, length: usize) -> Result<(), Unwanted> {
        self.chunk.push(entry);
        self.bytes += length;
        if self.chunk.len() < CHUNK && self.bytes < CHUNK_BYTES {
            return Ok(());
        }
        self.send()
    }

    /// Waits until there is room for it.
    fn send(&mut self) -> Result<(), Unwanted> {
        self.bytes = 0;
        if self.chunk.is_empty() {
            return Ok(());
        }
        self.sender.blocking_send(std::mem::take(&mut self.chunk)).map_err(|_| Unwanted)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source, self.line)
    }
}
