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
    path: PathBuf,
    /// The session's.
    pub(crate) jar: CookieJar,
}

impl CookieFile {
    /// With what the file has, or empty if there is none yet.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let unusable = || format!("cannot use the cookie file {path:?}");
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
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
        Ok(Self { path: path.to_owned(), jar })
    }

    /// Says how many it has saved.
    ///
    /// # Errors
    ///
    /// The file cannot be written; it is then as it was.
    pub(crate) async fn save(self) -> anyhow::Result<String> {
        match timeout(PATIENCE, self.jar.save(&self.path)).await {
            Ok(saved) => {
                saved?;
                Ok(format!("{} in {:?}", Count(self.jar.len() as u64, "cookie"), self.path))
            }
            Err(_) => Err(anyhow!("the cookie file {:?} could not be written within {PATIENCE:?}", self.path)),
        }
    }
}
