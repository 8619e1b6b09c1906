//! Cookie file of `--cookies`: read before the first page, written after the last.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use tokio::time::timeout;
use trunkline::CookieJar;

use crate::atomic_file::check_writable;
use crate::exit::Exit;
use crate::summary::Count;

/// Time limit of writing the file. Only a disk that does not respond takes longer.
const WRITE_WITHIN: Duration = Duration::from_secs(5);

/// Cookie file, with the jar of the session.
pub(crate) struct CookieFile {
    /// Path as given in the arguments.
    path: PathBuf,
    /// Path with links resolved.
    target: PathBuf,
    pub(crate) jar: CookieJar,
}

impl CookieFile {
    /// Reads the file. The jar is empty if there is none yet.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is not a cookie file, or could not be replaced later.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let unusable = || format!("cannot use the cookie file {path:?}");
        ensure!(
            path != Path::new("-"),
            "{}: it is read and written, so it cannot be standard input or output",
            unusable()
        );
        let target = resolve_links(path);
        let dir = target.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let jar = match std::fs::metadata(path) {
            Ok(kind) => {
                ensure!(kind.is_file(), "{}: it has to be a regular file", unusable());
                let text = std::fs::read(path).with_context(unusable)?;
                CookieJar::from_netscape(text).with_context(unusable)?
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                ensure!(dir.is_dir(), "{}: it has to be in a directory that exists", unusable());
                CookieJar::new()
            }
            Err(error) => return Err(error).with_context(unusable),
        };
        // The new file is made beside the old one, and then replaces it.
        check_writable(dir).with_context(|| format!("{}: the directory {dir:?} has to be writable", unusable()))?;
        Ok(Self { path: path.to_owned(), target, jar })
    }

    /// Writes the file, and returns a description such as `3 cookies in "jar.txt"`.
    ///
    /// # Errors
    ///
    /// The file cannot be written; the old one is unchanged.
    pub(crate) async fn save(self) -> anyhow::Result<String> {
        match timeout(WRITE_WITHIN, self.jar.save(&self.target)).await {
            Ok(saved) => {
                saved?;
                Ok(format!("{} in {:?}", Count(self.jar.len() as u64, "cookie"), self.path))
            }
            Err(_) => Err(anyhow!("the cookie file {:?} could not be written within {WRITE_WITHIN:?}", self.path)),
        }
    }

    /// Writes the file at the end of a run, also of a failed one.
    ///
    /// # Errors
    ///
    /// The run's error, or else the error of writing the file.
    pub(crate) async fn save_after(file: Option<Self>, exit: anyhow::Result<Exit>) -> anyhow::Result<Exit> {
        let Some(file) = file else { return exit };
        match (exit, file.save().await) {
            (Err(error), Err(also)) => Err(error.context(also)),
            (Ok(_), Err(error)) => Err(error),
            (exit, Ok(_)) => exit,
        }
    }
}

/// Follows links to the file itself: replacing the path would replace the link.
fn resolve_links(path: &Path) -> PathBuf {
    let mut target = path.to_owned();
    // Linux follows 40 links at most.
    for _ in 0..40 {
        let Ok(link) = std::fs::read_link(&target) else { break };
        target = target.parent().unwrap_or(Path::new("")).join(link);
    }
    target
}
