//! A file for each page: written under a temporary name, renamed when it is whole.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// How much of a body is held before it is written: one trip to a thread that may block for each.
const BLOCK: usize = 64 * 1024;

/// The most bytes of a file's name that come from the URL. File systems take 255 in all.
const LONGEST_NAME: usize = 150;

/// The directory of the bodies.
#[derive(Debug)]
pub(crate) struct Bodies {
    dir: PathBuf,
}

/// A page's file in the making.
#[derive(Debug)]
pub(crate) struct BodyFile {
    held: Vec<u8>,
    part: Part,
    name: String,
}

/// What is on disk of it. Unless it was renamed, it is removed when this is dropped.
#[derive(Debug)]
struct Part {
    file: Option<File>,
    temporary: PathBuf,
    target: PathBuf,
}

impl Bodies {
    /// Makes the directory, if need be, and tries whether files can be written there.
    ///
    /// # Errors
    ///
    /// It cannot be made or written to.
    pub(crate) fn open(dir: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&dir).and_then(|()| try_writing(&dir)).with_context(|| {
            format!("cannot write to {dir:?}: --bodies has to be a directory, or a name for a new one")
        })?;
        Ok(Self { dir })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Removes what runs that were killed have left of files in the making.
    ///
    /// # Errors
    ///
    /// The directory cannot be read.
    pub(crate) fn sweep(&self) -> anyhow::Result<()> {
        let entries = fs::read_dir(&self.dir).with_context(|| format!("cannot read {:?}", self.dir))?;
        for entry in entries.filter_map(Result::ok) {
            if entry.file_name().to_str().and_then(maker).is_some_and(has_ended) {
                // Then somebody else has.
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    /// A file for that page. Nothing is on disk yet.
    pub(crate) fn begin(&self, ordinal: u64, url: &str) -> BodyFile {
        let name = name(ordinal, url);
        let temporary = self.dir.join(format!(".{ordinal:06}-{}.part", std::process::id()));
        let part = Part { file: None, temporary, target: self.dir.join(&name) };
        BodyFile { held: Vec::new(), part, name }
    }
}

impl BodyFile {
    /// Adds to it.
    ///
    /// # Errors
    ///
    /// The disk's, with the file's name.
    pub(crate) async fn write(&mut self, chunk: &[u8]) -> anyhow::Result<()> {
        self.held.extend_from_slice(chunk);
        if self.held.len() < BLOCK {
            return Ok(());
        }
        let (mut part, held) = (self.part.take(), std::mem::take(&mut self.held));
        self.part = blocking(move || part.append(&held).map(|()| part)).await?;
        Ok(())
    }

    /// The page is whole: its file appears. Returns the file's name in the directory.
    ///
    /// # Errors
    ///
    /// The disk's, with the file's name.
    pub(crate) async fn finish(mut self) -> anyhow::Result<String> {
        let mut part = self.part.take();
        blocking(move || part.append(&self.held).and_then(|()| part.publish())).await?;
        Ok(self.name)
    }
}

/// File systems may block: their work is done where that harms nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await?
}

impl Part {
    /// The part itself; what stays behind owns no file.
    fn take(&mut self) -> Self {
        Self { file: self.file.take(), temporary: self.temporary.clone(), target: self.target.clone() }
    }

    fn append(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(create(&self.temporary).with_context(|| unwritable(&self.target))?),
        };
        file.write_all(bytes).with_context(|| unwritable(&self.target))
    }

    fn publish(&mut self) -> anyhow::Result<()> {
        fs::rename(&self.temporary, &self.target).with_context(|| unwritable(&self.target))?;
        self.file = None;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // If even that fails, its name tells what it is.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Whether files can be made in that directory: one is, and is removed again.
///
/// # Errors
///
/// Why they cannot.
pub(crate) fn try_writing(dir: &Path) -> io::Result<()> {
    let probe = dir.join(format!(".trunkline-{}.part", std::process::id()));
    create(&probe).and_then(|_| fs::remove_file(&probe))
}

/// Never through a link that somebody put there.
fn create(path: &Path) -> io::Result<File> {
    // Left by a killed program that had the same process id.
    let _ = fs::remove_file(path);
    File::create_new(path)
}

/// The id of the process that a file in the making has in its name.
fn maker(name: &str) -> Option<i32> {
    let (ordinal, process) = name.strip_prefix('.')?.strip_suffix(".part")?.split_once('-')?;
    ordinal.bytes().all(|byte| byte.is_ascii_digit()).then(|| process.parse().ok())?
}

#[cfg(unix)]
fn has_ended(process: i32) -> bool {
    use rustix::process::{Pid, test_kill_process};

    Pid::from_raw(process).is_some_and(|process| test_kill_process(process) == Err(rustix::io::Errno::SRCH))
}

/// Elsewhere nobody knows.
#[cfg(not(unix))]
fn has_ended(_process: i32) -> bool {
    false
}

fn unwritable(target: &Path) -> String {
    format!("cannot write {target:?}")
}

/// The page's place in the input makes the name unique, whatever the URL and the file system; the
/// URL makes it readable.
fn name(ordinal: u64, url: &str) -> String {
    let url = url.split_once("://").map_or(url, |(_, rest)| rest);
    let url = url.split('#').next().unwrap_or_default();
    let mut name = format!("{ordinal:06}-");
    for byte in url.bytes().take(LONGEST_NAME) {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => name.push(char::from(byte)),
            _ => name.push('_'),
        }
    }
    let trimmed = name.trim_end_matches(['.', '_']).len();
    name.truncate(trimmed);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_of_harmless_letters_and_tells_the_page() {
        assert_eq!(name(1, "http://example.com/"), "000001-example.com");
        assert_eq!(name(17, "https://example.com:81/a/b.html?x=%2F#top"), "000017-example.com_81_a_b.html_x__2F");
        assert_eq!(name(1_234_567, "http://[::1]/\u{e9}.."), "1234567-___1");
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_written_through_a_link_that_somebody_put_there() {
        let dir = std::env::temp_dir().join(format!("trunkline-bodies-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let (precious, probe) = (dir.join("precious"), dir.join(format!(".trunkline-{}.part", std::process::id())));
        fs::write(&precious, "precious").unwrap();
        std::os::unix::fs::symlink(&precious, &probe).unwrap();
        Bodies::open(dir.clone()).unwrap();
        assert_eq!(
            (fs::read_to_string(&precious).unwrap().as_str(), fs::symlink_metadata(&probe).is_err()),
            ("precious", true)
        );
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_name_has_an_end() {
        let long = format!("http://example.com/{}", "x/".repeat(5_000));
        assert!(name(u64::MAX, &long).len() <= 255);
    }
}
