//! Directory of `--bodies`: one file per page, which appears when the page is complete.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::atomic_file::{AtomicFile, check_writable};

/// Size of the buffer of a body, in bytes. Each write to the disk is one trip to a blocking thread.
const BLOCK: usize = 64 * 1024;

/// Most bytes of a file name that come from the URL. File systems allow 255 bytes in all.
const MAX_URL_BYTES: usize = 150;

/// Directory that holds the bodies.
#[derive(Debug)]
pub(crate) struct BodyDirectory {
    dir: PathBuf,
}

/// File of a page that is being received.
#[derive(Debug)]
pub(crate) struct BodyFile {
    buffer: Vec<u8>,
    partial: PartialFile,
    name: String,
}

/// Part of a body on the disk. Unless published, it is removed when dropped.
#[derive(Debug)]
struct PartialFile {
    file: Option<AtomicFile>,
    temporary_name: String,
    target: PathBuf,
}

impl BodyDirectory {
    /// Creates the directory if it does not exist, and checks that it is writable.
    ///
    /// # Errors
    ///
    /// The directory cannot be created or written to.
    pub(crate) fn open(dir: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&dir)
            .and_then(|()| check_writable(&dir))
            .with_context(|| format!("cannot write to {dir:?}: --bodies needs a directory, or a name for a new one"))?;
        Ok(Self { dir })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Removes the partial files of earlier runs that were killed.
    ///
    /// # Errors
    ///
    /// The directory cannot be read.
    pub(crate) fn sweep(&self) -> anyhow::Result<()> {
        let entries = fs::read_dir(&self.dir).with_context(|| format!("cannot read {:?}", self.dir))?;
        for entry in entries.filter_map(Result::ok) {
            if entry.file_name().to_str().and_then(process_id).is_some_and(has_ended) {
                // It fails if another run has removed the file.
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    /// Begins the file of a page. Nothing is on the disk yet.
    pub(crate) fn begin(&self, ordinal: u64, url: &str) -> BodyFile {
        let name = file_name(ordinal, url);
        let temporary_name = format!(".{ordinal:06}-{}.part", std::process::id());
        let partial = PartialFile { file: None, temporary_name, target: self.dir.join(&name) };
        BodyFile { buffer: Vec::new(), partial, name }
    }
}

impl BodyFile {
    /// Appends a chunk of the body.
    ///
    /// # Errors
    ///
    /// The file system's, with the name of the file.
    pub(crate) async fn write(&mut self, chunk: &[u8]) -> anyhow::Result<()> {
        self.buffer.extend_from_slice(chunk);
        if self.buffer.len() < BLOCK {
            return Ok(());
        }
        let (mut partial, buffer) = (self.partial.take(), std::mem::take(&mut self.buffer));
        self.partial = blocking(move || partial.append(&buffer).map(|()| partial)).await?;
        Ok(())
    }

    /// Publishes the complete page, and returns the name of its file in the directory.
    ///
    /// # Errors
    ///
    /// The file system's, with the name of the file.
    pub(crate) async fn finish(mut self) -> anyhow::Result<String> {
        let mut partial = self.partial.take();
        blocking(move || partial.append(&self.buffer).and_then(|()| partial.publish())).await?;
        Ok(self.name)
    }
}

/// Runs file system calls on a thread that may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await?
}

impl PartialFile {
    /// Moves the file out. The value that stays behind owns none.
    fn take(&mut self) -> Self {
        Self { file: self.file.take(), temporary_name: self.temporary_name.clone(), target: self.target.clone() }
    }

    fn append(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let dir = self.target.parent().unwrap_or(Path::new("."));
                let created = AtomicFile::create(dir, &self.temporary_name);
                self.file.insert(created.with_context(|| cannot_write(&self.target))?)
            }
        };
        file.write_all(bytes).with_context(|| cannot_write(&self.target))
    }

    fn publish(&mut self) -> anyhow::Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        file.publish(&self.target).map(drop).with_context(|| cannot_write(&self.target))
    }
}

/// Id of the process in the name of a partial file.
fn process_id(name: &str) -> Option<i32> {
    let (ordinal, process) = name.strip_prefix('.')?.strip_suffix(".part")?.split_once('-')?;
    ordinal.bytes().all(|byte| byte.is_ascii_digit()).then(|| process.parse().ok())?
}

#[cfg(unix)]
fn has_ended(process: i32) -> bool {
    use rustix::process::{Pid, test_kill_process};

    Pid::from_raw(process).is_some_and(|process| test_kill_process(process) == Err(rustix::io::Errno::SRCH))
}

/// Other systems give no answer.
#[cfg(not(unix))]
fn has_ended(_process: i32) -> bool {
    false
}

fn cannot_write(target: &Path) -> String {
    format!("cannot write {target:?}")
}

/// Name of a page's file. The ordinal makes it unique on every file system; the URL makes it
/// readable.
fn file_name(ordinal: u64, url: &str) -> String {
    let url = url.split_once("://").map_or(url, |(_, rest)| rest);
    let url = url.split('#').next().unwrap_or_default();
    let mut name = format!("{ordinal:06}-");
    for byte in url.bytes().take(MAX_URL_BYTES) {
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
    fn a_file_name_has_safe_characters_and_shows_the_page() {
        assert_eq!(file_name(1, "http://example.com/"), "000001-example.com");
        assert_eq!(file_name(17, "https://example.com:81/a/b.html?x=%2F#top"), "000017-example.com_81_a_b.html_x__2F");
        assert_eq!(file_name(1_234_567, "http://[::1]/\u{e9}.."), "1234567-___1");
    }

    #[cfg(unix)]
    #[test]
    fn a_planted_link_is_removed_and_not_written_through() {
        let dir = std::env::temp_dir().join(format!("trunkline-bodies-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let (precious, probe) = (dir.join("precious"), dir.join(format!(".trunkline-{}.part", std::process::id())));
        fs::write(&precious, "precious").unwrap();
        std::os::unix::fs::symlink(&precious, &probe).unwrap();
        BodyDirectory::open(dir.clone()).unwrap();
        assert_eq!(
            (fs::read_to_string(&precious).unwrap().as_str(), fs::symlink_metadata(&probe).is_err()),
            ("precious", true)
        );
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_file_name_is_at_most_255_bytes_long() {
        let long = format!("http://example.com/{}", "x/".repeat(5_000));
        assert!(file_name(u64::MAX, &long).len() <= 255);
    }
}
