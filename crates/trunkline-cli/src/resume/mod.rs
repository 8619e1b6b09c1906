//! The file of an earlier run, read, put in order, and gone on with: by `--resume`, and by a worker
//! of the frontier.
//!
//! A line counts once it is whole, so whatever ended the earlier run, and wherever in a line, its
//! file can be gone on with. It is read before anything is fetched, and changed only when all else
//! is ready.

mod line;

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use trunkline_scrape::SeenUrls;
use url::Url;

use self::line::Line;

/// The longest line that can be one of ours: the longest URL, escaped, twice and in an error.
const LONGEST: u64 = 2 * 1024 * 1024;

/// What each line of ours begins with.
const BEGINNING: &[u8] = br#"{"url":""#;
/// What follows its URL.
const SECOND: &[u8] = br#","final_url":"#;

/// The output of an earlier run, found to be one. Nothing of it is changed yet.
pub(crate) struct Earlier {
    path: PathBuf,
    file: File,
    length: u64,
    /// Where the lines are that stay.
    kept: Vec<Range<u64>>,
    seen: SeenUrls,
}

impl Earlier {
    /// Reads it; one that is not there yet is begun. What failed does not stay, nor what is there
    /// twice. `bodies` is where its pages have their files: without its file, a page is not
    /// done.
    ///
    /// # Errors
    ///
    /// It is something else than an output of ours, another run is writing it, or it cannot be read
    /// or written.
    pub(crate) fn read(path: &Path, bodies: Option<&Path>) -> anyhow::Result<Self> {
        let mut earlier = Self::open(path)?;
        let mut seen = SeenUrls::default();
        earlier.read_lines(|line| line.is_done(bodies) && Url::parse(&line.url).is_ok_and(|url| seen.insert(&url)))?;
        earlier.seen = seen;
        Ok(earlier)
    }

    /// The same, but all its whole lines stay: what is done is somebody else's to know.
    ///
    /// # Errors
    ///
    /// As those of [`read`](Self::read).
    pub(crate) fn read_all(path: &Path) -> anyhow::Result<Self> {
        let mut earlier = Self::open(path)?;
        earlier.read_lines(|_| true)?;
        Ok(earlier)
    }

    fn open(path: &Path) -> anyhow::Result<Self> {
        let unusable = || format!("cannot go on from {path:?}");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.with_context(unusable)?;
        take(&file, path).with_context(unusable)?;
        let there = file.metadata().with_context(unusable)?;
        ensure!(there.is_file(), "{}: --resume needs a regular file, which can be read again", unusable());
        Ok(Self { path: path.to_owned(), file, length: there.len(), kept: Vec::new(), seen: SeenUrls::default() })
    }

    fn read_lines(&mut self, stays: impl FnMut(&Line<'_>) -> bool) -> anyhow::Result<()> {
        let kept = self.lines_that(stays).with_context(|| format!("cannot go on from {:?}", self.path));
        self.kept = kept?;
        Ok(())
    }

    fn lines_that(&self, mut stays: impl FnMut(&Line<'_>) -> bool) -> anyhow::Result<Vec<Range<u64>>> {
        let mut kept = Vec::<Range<u64>>::new();
        let mut reader = BufReader::with_capacity(256 * 1024, &self.file);
        let (mut number, mut at, mut text) = (1_u64, 0, Vec::new());
        loop {
            text.clear();
            let length = reader.by_ref().take(LONGEST).read_until(b'\n', &mut text)? as u64;
            let Some(whole) = text.strip_suffix(b"\n") else {
                let torn = length < LONGEST && (number > 1 || is_beginning(&text));
                ensure!(torn, "its line {number} is none that `trunkline fetch --output` writes: use another file");
                return Ok(kept);
            };
            let Some(line) = Line::parse(whole) else {
                bail!("its line {number} is none that `trunkline fetch --output` writes: use another file");
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

    /// Leaves the lines that stay, and nothing behind them: there the next ones follow. What comes
    /// out besides is what need not be fetched again.
    ///
    /// # Errors
    ///
    /// The disk's. The file is then as it was.
    pub(crate) fn go_on(mut self) -> anyhow::Result<(PathBuf, File, SeenUrls)> {
        let unusable = || format!("cannot go on from {:?}", self.path);
        match self.kept.as_slice() {
            [] => cut(&mut self.file, self.length, 0),
            [Range { start: 0, end }] => cut(&mut self.file, self.length, *end),
            _ => self.copy().map(|file| self.file = file),
        }
        .with_context(unusable)?;
        Ok((self.path, self.file, self.seen))
    }

    /// The lines that stay, in a file that takes the place of the old one in one step: a crash
    /// meanwhile loses nothing.
    fn copy(&self) -> io::Result<File> {
        let path = self.path.canonicalize()?;
        let dir = path.parent().unwrap_or(Path::new("/"));
        let mut copy = tempfile::Builder::new().prefix(".trunkline-").suffix(".part").tempfile_in(dir)?;
        let mut old = &self.file;
        for Range { start, end } in &self.kept {
            old.seek(SeekFrom::Start(*start))?;
            io::copy(&mut old.take(end - start), copy.as_file_mut())?;
        }
        copy.as_file().set_permissions(fs::metadata(&path)?.permissions())?;
        lock(copy.as_file())?;
        copy.as_file().sync_all()?;
        Ok(copy.persist(path)?)
    }
}

/// Whether a line of ours may begin so. Behind its URL comes one member alone.
fn is_beginning(text: &[u8]) -> bool {
    let agrees = |text: &[u8], ours: &[u8]| text.iter().zip(ours).all(|(one, other)| one == other);
    let mut escaped = false;
    let end = text.iter().skip(BEGINNING.len()).position(|&byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    agrees(text, BEGINNING) && end.is_none_or(|end| agrees(&text[BEGINNING.len() + end + 1..], SECOND))
}

fn cut(file: &mut File, length: u64, end: u64) -> io::Result<()> {
    if length != end {
        file.set_len(end)?;
    }
    file.seek(SeekFrom::Start(end)).map(drop)
}

/// Two runs that write one file would tear each other's lines. Held until the file is closed,
/// however the program ends.
///
/// # Errors
///
/// Another run holds it.
pub(crate) fn lock(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(io::Error::other("another run is writing it")),
        // Some file systems have no locks.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// The same of a file that was there already.
///
/// # Errors
///
/// Another run has it. Or had it, while this one opened it, and has put another in its place, or
/// none.
pub(crate) fn take(file: &File, path: &Path) -> anyhow::Result<()> {
    lock(file)?;
    ensure!(is_at(&file.metadata()?, path), "another run has just replaced it: try again");
    Ok(())
}

/// Whether this is what the path leads to.
#[cfg(unix)]
fn is_at(opened: &Metadata, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (opened.dev(), opened.ino()))
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

    fn gone_on(content: &str) -> Result<String, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.jsonl");
        fs::write(&path, content).unwrap();
        let done = Earlier::read(&path, None).and_then(Earlier::go_on);
        let now = fs::read_to_string(&path).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        match done {
            Ok((_, mut file, _)) => {
                assert_eq!(file.stream_position().unwrap(), now.len() as u64);
                Ok(now)
            }
            Err(error) => {
                assert_eq!(now, content, "it is as it was");
                Err(format!("{error:#}"))
            }
        }
    }

    #[test]
    fn whole_lines_of_pages_that_came_stay() {
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
            assert_eq!(gone_on(&content), Ok(left), "{content}");
        }
    }

    #[test]
    fn all_whole_lines_stay_if_it_is_known_elsewhere_what_is_done() {
        let (one, bad) = (line("http://a/1", "null"), line("http://a/1", "\"status 500\""));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.jsonl");
        fs::write(&path, format!("{bad}{one}{one}{{\"url")).unwrap();
        Earlier::read_all(&path).and_then(Earlier::go_on).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{bad}{one}{one}"));
    }

    #[test]
    fn a_torn_tail_is_cut_off_wherever_it_was_torn() {
        let (one, two) = (line("http://a/1", "null"), line("http://a/2", "null"));
        for end in 0..two.len() {
            assert_eq!(gone_on(&two[..end]), Ok(String::new()), "{end}");
            assert_eq!(gone_on(&format!("{one}{}", &two[..end])), Ok(one.clone()), "{end}");
        }
    }

    #[test]
    fn what_is_no_output_of_ours_is_refused_and_left_alone() {
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
            let told = gone_on(content).unwrap_err();
            assert!(told.contains(&format!("its line {number} is none that")), "{told}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_file_that_was_replaced_is_not_the_one_at_its_path() {
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
    fn a_file_that_another_run_writes_is_left_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.jsonl");
        let first = Earlier::read(&path, None).unwrap();
        let Err(error) = Earlier::read(&path, None) else { panic!("both would write it") };
        assert!(format!("{error:#}").contains("another run is writing it"), "{error:#}");
        drop(first);
        Earlier::read(&path, None).unwrap();
    }
}
