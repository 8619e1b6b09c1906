//! Output file of an earlier run, which `--resume` and the workers of the frontier continue.
//!
//! Only complete lines count, so that a file can be continued after any crash. It is read before
//! anything is fetched, and changed only when everything else is ready.

mod recorded_page;

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use trunkline_scrape::SeenUrls;
use url::Url;

use self::recorded_page::RecordedPage;
use crate::atomic_file::AtomicFile;

/// Longest line of an output, in bytes: the longest URL, escaped, twice and in an error.
const LONGEST: u64 = 2 * 1024 * 1024;

/// Start of each line.
const BEGINNING: &[u8] = br#"{"url":""#;
/// Text after the URL of a line.
const SECOND: &[u8] = br#","final_url":"#;

/// Checked output of an earlier run. The file is unchanged so far.
pub(crate) struct EarlierOutput {
    path: PathBuf,
    file: File,
    length: u64,
    /// Byte ranges of the lines that stay.
    kept: Vec<Range<u64>>,
    seen: SeenUrls,
}

impl EarlierOutput {
    /// Reads the file, or creates an empty one. Failed pages and repeated lines do not stay. If
    /// `bodies` is given, a page without its file in that directory does not stay either.
    ///
    /// # Errors
    ///
    /// The file is not an output of `trunkline fetch`, another run is writing it, or it cannot be
    /// read or written.
    pub(crate) fn read(path: &Path, bodies: Option<&Path>) -> anyhow::Result<Self> {
        let mut earlier = Self::open(path)?;
        let mut seen = SeenUrls::default();
        earlier.read_lines(|line| line.is_done(bodies) && Url::parse(&line.url).is_ok_and(|url| seen.insert(&url)))?;
        earlier.seen = seen;
        Ok(earlier)
    }

    /// Reads the file and keeps all complete lines: the frontier knows which pages are done.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub(crate) fn read_all(path: &Path) -> anyhow::Result<Self> {
        let mut earlier = Self::open(path)?;
        earlier.read_lines(|_| true)?;
        Ok(earlier)
    }

    fn open(path: &Path) -> anyhow::Result<Self> {
        let unusable = || format!("cannot go on from {path:?}");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.with_context(unusable)?;
        lock_existing(&file, path).with_context(unusable)?;
        let metadata = file.metadata().with_context(unusable)?;
        ensure!(metadata.is_file(), "{}: --resume needs a regular file, which can be read again", unusable());
        Ok(Self { path: path.to_owned(), file, length: metadata.len(), kept: Vec::new(), seen: SeenUrls::default() })
    }

    fn read_lines(&mut self, stays: impl FnMut(&RecordedPage<'_>) -> bool) -> anyhow::Result<()> {
        let kept = self.find_lines(stays).with_context(|| format!("cannot go on from {:?}", self.path));
        self.kept = kept?;
        Ok(())
    }

    fn find_lines(&self, mut stays: impl FnMut(&RecordedPage<'_>) -> bool) -> anyhow::Result<Vec<Range<u64>>> {
        let mut kept = Vec::<Range<u64>>::new();
        let mut reader = BufReader::with_capacity(256 * 1024, &self.file);
        let (mut number, mut at, mut text) = (1_u64, 0, Vec::new());
        loop {
            text.clear();
            let length = reader.by_ref().take(LONGEST).read_until(b'\n', &mut text)? as u64;
            let Some(whole) = text.strip_suffix(b"\n") else {
                let torn = length < LONGEST && (number > 1 || is_beginning(&text));
                ensure!(torn, "line {number} is not a line of `trunkline fetch --output`: use another file");
                return Ok(kept);
            };
            let Some(line) = RecordedPage::parse(whole) else {
                bail!("line {number} is not a line of `trunkline fetch --output`: use another file");
            };
            if stays(&line) {
                match kept.last_mut() {
                    Some(last) if last.end == at => last.end += length,
                    _ => kept.push(at..at + length),
                }
            }
            (number, at) = (number + 1, at + length);
        }
    }

    /// Removes the lines that do not stay, and returns the file, positioned at its end, with the
    /// URLs that are done.
    ///
    /// # Errors
    ///
    /// The file system's. The file is unchanged then.
    pub(crate) fn resume(mut self) -> anyhow::Result<(PathBuf, File, SeenUrls)> {
        let unusable = || format!("cannot go on from {:?}", self.path);
        match self.kept.as_slice() {
            [] => truncate(&mut self.file, self.length, 0),
            [Range { start: 0, end }] => truncate(&mut self.file, self.length, *end),
            _ => self.copy().map(|file| self.file = file),
        }
        .with_context(unusable)?;
        Ok((self.path, self.file, self.seen))
    }

    /// Copies the lines that stay into a file that replaces the old one in one step: a crash loses
    /// nothing.
    fn copy(&self) -> io::Result<File> {
        let path = self.path.canonicalize()?;
        let dir = path.parent().unwrap_or(Path::new("/"));
        let mut copy = AtomicFile::create_private(dir)?;
        let mut old = &self.file;
        for Range { start, end } in &self.kept {
            old.seek(SeekFrom::Start(*start))?;
            io::copy(&mut old.take(end - start), &mut copy)?;
        }
        copy.file().set_permissions(fs::metadata(&path)?.permissions())?;
        lock(copy.file())?;
        copy.file().sync_all()?;
        copy.publish(&path)
    }
}

/// True if an output line may begin with this text. After its URL, only one member may follow.
fn is_beginning(text: &[u8]) -> bool {
    let agrees = |text: &[u8], start: &[u8]| text.iter().zip(start).all(|(one, other)| one == other);
    let mut escaped = false;
    let end = text.iter().skip(BEGINNING.len()).position(|&byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    agrees(text, BEGINNING) && end.is_none_or(|end| agrees(&text[BEGINNING.len() + end + 1..], SECOND))
}

fn truncate(file: &mut File, length: u64, end: u64) -> io::Result<()> {
    if length != end {
        file.set_len(end)?;
    }
    file.seek(SeekFrom::Start(end)).map(drop)
}

/// Locks an output file against other runs, which would tear the lines of this one. The lock ends
/// with the file handle or the process.
///
/// # Errors
///
/// Another run holds the lock.
pub(crate) fn lock(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(io::Error::other("another run is writing it")),
        // Some file systems do not support locks.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// Locks a file that existed before.
///
/// # Errors
///
/// Another run holds the lock, or has replaced or removed the file since this run opened it.
pub(crate) fn lock_existing(file: &File, path: &Path) -> anyhow::Result<()> {
    lock(file)?;
    ensure!(is_at(&file.metadata()?, path), "another run has just replaced it: try again");
    Ok(())
}

/// True if the opened file is the one at the path.
#[cfg(unix)]
fn is_at(opened: &Metadata, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    fs::metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == (opened.dev(), opened.ino()))
}

#[cfg(not(unix))]
fn is_at(_: &Metadata, _: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(url: &str, error: &str) -> String {
        format!(
            r#"{{"url":"{url}","final_url":null,"status":200,"bytes":1,"elapsed":0.1,"reused":null,"error":{error}}}"#
        ) + "\n"
    }

    fn resumed(content: &str) -> Result<String, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.jsonl");
        fs::write(&path, content).unwrap();
        let done = EarlierOutput::read(&path, None).and_then(EarlierOutput::resume);
        let now = fs::read_to_string(&path).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        match done {
            Ok((_, mut file, _)) => {
                assert_eq!(file.stream_position().unwrap(), now.len() as u64);
                Ok(now)
            }
            Err(error) => {
                assert_eq!(now, content, "the file is unchanged");
                Err(format!("{error:#}"))
            }
        }
    }

    #[test]
    fn complete_lines_of_fetched_pages_stay() {
        let (one, two, bad) =
            (line("http://a/1", "null"), line("http://a/2", "null"), line("http://a/3", "\"status 500\""));
        for (content, left) in [
            (String::new(), String::new()),
            (one.clone(), one.clone()),
            (format!("{one}{two}"), format!("{one}{two}")),
            (format!("{one}{bad}{two}"), format!("{one}{two}")),
            (format!("{bad}{one}"), one.clone()),
            (format!("{one}{two}{bad}{bad}"), format!("{one}{two}")),
            (format!("{one}{two}{one}"), format!("{one}{two}")),
            (bad, String::new()),
        ] {
            assert_eq!(resumed(&content), Ok(left), "{content}");
        }
    }

    #[test]
    fn all_complete_lines_stay_for_a_worker() {
        let (one, bad) = (line("http://a/1", "null"), line("http://a/1", "\"status 500\""));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.jsonl");
        fs::write(&path, format!("{bad}{one}{one}{{\"url")).unwrap();
        EarlierOutput::read_all(&path).and_then(EarlierOutput::resume).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{bad}{one}{one}"));
    }

    #[test]
    fn a_torn_last_line_is_cut_off_at_any_byte() {
        let (one, two) = (line("http://a/1", "null"), line("http://a/2", "null"));
        for end in 0..two.len() {
            assert_eq!(resumed(&two[..end]), Ok(String::new()), "{end}");
            assert_eq!(resumed(&format!("{one}{}", &two[..end])), Ok(one.clone()), "{end}");
        }
    }

    #[test]
    fn a_foreign_file_is_refused_and_unchanged() {
        let one = line("http://a/1", "null");
        for (content, number) in [
            ("my notes", 1),
            ("my notes\n", 1),
            ("{\"url\":7}\n", 1),
            ("{\"url\":\"http://a\"}\n", 1),
            ("[]\n", 1),
            ("{\"url\" and the rest", 1),
            (r#"{"url":"http://a"}"#, 1),
            (r#"{"url":"http://a\"b","title":"more"#, 1),
            (&format!("{one}\n{one}"), 2),
            (&format!("{one}my notes\n"), 2),
            (&"x".repeat(3 << 20), 1),
            (&format!("{one}{}", "\0".repeat(3 << 20)), 2),
        ] {
            let message = resumed(content).unwrap_err();
            assert!(message.contains(&format!("line {number} is not a line of")), "{message}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_replaced_file_is_detected() {
        let dir = tempfile::tempdir().unwrap();
        let (path, copy) = (dir.path().join("out.jsonl"), dir.path().join("copy"));
        fs::write(&path, line("http://a/1", "null")).unwrap();
        let opened = File::open(&path).unwrap().metadata().unwrap();
        assert!(is_at(&opened, &path));
        fs::copy(&path, &copy).unwrap();
        fs::rename(&copy, &path).unwrap();
        assert!(!is_at(&opened, &path));
    }

    #[test]
    fn a_file_that_another_run_writes_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.jsonl");
        let first = EarlierOutput::read(&path, None).unwrap();
        let Err(error) = EarlierOutput::read(&path, None) else { panic!("both would write it") };
        assert!(format!("{error:#}").contains("another run is writing it"), "{error:#}");
        drop(first);
        EarlierOutput::read(&path, None).unwrap();
    }
}
