//! Saving of a response's body: written under a temporary name, renamed when it is complete.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::Response;
use crate::error::{Error, Kind, Phase, RequestSent, Result};

/// The size of a write: each is a trip to a blocking thread.
const BLOCK: usize = 256 * 1024;

impl Response {
    /// Writes the body to a file and returns its size in bytes. The body may be of any size:
    /// `max_body_size` does not hold here, and about 256 KiB of it are held at a time. For a
    /// long download set [`Timeouts::total`](crate::Timeouts::total) accordingly.
    ///
    /// The file appears whole or not at all. Until then it has another name in the same directory
    /// (`.trunkline-…part`), which is gone again if anything fails; a file that was there
    /// before stays as it was. One that is replaced passes on its permissions, a link to one is
    /// followed, and what may not be written to is not replaced. What is written is not synced to
    /// the disk.
    ///
    /// ```no_run
    /// # async fn run(session: trunkline::Session) -> trunkline::Result<()> {
    /// let response = session.get("https://example.com/image.iso").error_for_status(true).await?;
    /// let size = response.save_to("image.iso").await?;
    /// # let _ = size;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// A body that breaks off or cannot be decoded; a passed deadline; a closed session; and one
    /// that [`is_file`](Error::is_file) and names the path: its directory is not there or not
    /// writable, it is not a regular file, the disk is full.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves no half of a file behind: nothing, or all of it if nothing was left but
    /// to rename it. The connection is closed, unless the rest has already arrived.
    pub async fn save_to(mut self, path: impl AsRef<Path>) -> Result<u64> {
        let target = path.as_ref().to_owned();
        let saved = save(&mut self, target).await;
        saved.map_err(|error| self.name(error))
    }
}

async fn save(response: &mut Response, target: PathBuf) -> Result<u64> {
    let mut partial = blocking(move || PartialFile::create(target)).await?;
    let (mut held, mut size) = (Vec::new(), 0);
    while let Some(chunk) = response.chunk().await? {
        size += chunk.len() as u64;
        held.extend_from_slice(&chunk);
        if held.len() >= BLOCK {
            (partial, held) = blocking(move || partial.append(held)).await?;
        }
    }
    blocking(move || partial.append(held)?.0.publish()).await?;
    Ok(size)
}

/// File systems may block, so their work runs on a blocking thread.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let stopped = |error| Error::new(Kind::File).detail("the runtime is shutting down").because(error);
    tokio::task::spawn_blocking(work).await.map_err(stopped)?
}

/// A file under a temporary name beside its target. Its drop removes the file, unless it was
/// published.
struct PartialFile {
    file: NamedTempFile,
    target: PathBuf,
}

impl PartialFile {
    fn create(path: PathBuf) -> Result<Self> {
        let target = resolved(path);
        let failed = |error| unwritable(&target, error);
        let permissions = replaceable(&target).map_err(failed)?;
        let dir = target.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        builder.prefix(".trunkline-").suffix(".part");
        // The permissions of a new file, less the process's umask.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.tempfile_in(dir).map_err(failed)?;
        if let Some(permissions) = permissions {
            file.as_file().set_permissions(permissions).map_err(failed)?;
        }
        Ok(Self { file, target })
    }

    /// Returns the buffer as well, to be filled again.
    fn append(mut self, mut bytes: Vec<u8>) -> Result<(Self, Vec<u8>)> {
        self.file.as_file_mut().write_all(&bytes).map_err(|error| unwritable(&self.target, error))?;
        bytes.clear();
        Ok((self, bytes))
    }

    fn publish(self) -> Result<()> {
        let Self { file, target } = self;
        file.persist(&target).map_err(|failed| unwritable(&target, failed.error))?;
        Ok(())
    }
}

/// The absolute path with links resolved: the same file if the process changes its directory.
fn resolved(path: PathBuf) -> PathBuf {
    fs::canonicalize(&path).or_else(|_| std::path::absolute(&path)).unwrap_or(path)
}

/// The permissions of the file to be replaced, if it exists. A rename would replace anything, also
/// a device.
fn replaceable(target: &Path) -> io::Result<Option<Permissions>> {
    let found = match fs::metadata(target) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !found.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it exists and is not a regular file"));
    }
    File::options().write(true).open(target)?;
    Ok(Some(found.permissions()))
}

fn unwritable(target: &Path, error: io::Error) -> Error {
    let detail = format!("cannot write {target:?}");
    Error::new(Kind::File).at(Phase::Body).sent(RequestSent::Yes).detail(detail).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_resolved_before_its_file_exists() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(resolved("is not here".into()), here.join("is not here"));
    }
}
