//! The cookie file of `--cookies`: read before the first page, written after the last.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use tokio::time::timeout;
use trunkline::CookieJar;

use crate::bodies::try_writing;
use crate::count::Count;

/// Only a disk that does not answer takes longer.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct CookieFile {
    /// As it was given.
    path: PathBuf,
    /// Where it is.
    target: PathBuf,
    /// The session's.
    pub(crate) jar: CookieJar,
}

impl CookieFile {
    /// With what the file has, or empty if there is none yet.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let unusable = || format!("cannot use the cookie file {path:?}");
        ensure!(
            path != Path::new("-"),
            "{}: it is read and written, which standard input and output are not for",
            unusable()
        );
        let target = target(path);
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
        // It is replaced at the end, by one that is made beside it.
        try_writing(dir).with_context(|| format!("{}: the directory {dir:?} has to be writable", unusable()))?;
        Ok(Self { path: path.to_owned(), target, jar })
    }

    /// Says how many it has saved.
    ///
    /// # Errors
    ///
    /// The file cannot be written; it is then as it was.
    pub(crate) async fn save(self) -> anyhow::Result<String> {
        match timeout(PATIENCE, self.jar.save(&self.target)).await {
            Ok(saved) => {
                saved?;
                Ok(format!("{} in {:?}", Count(self.jar.len() as u64, "cookie"), self.path))
            }
            Err(_) => Err(anyhow!("the cookie file {:?} could not be written within {PATIENCE:?}", self.path)),
        }
    }
}

/// Where links lead. The file is written beside itself, and would take the place of a link
/// otherwise.
fn target(path: &Path) -> PathBuf {
    let mut target = path.to_owned();
    // As many as the system follows.
    for _ in 0..40 {
        let Ok(link) = std::fs::read_link(&target) else { break };
        target = target.parent().unwrap_or(Path::new("")).join(link);
    }
    target
}
