//! A response's body written to a file: under a temporary name beside it, renamed when it is whole.

use std::fs::{self, File, Permissions};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

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
    /// writable, it is no ordinary file, the disk is full.
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
    let mut part = blocking(move || Part::create(target)).await?;
    let (mut held, mut size) = (Vec::new(), 0);
    while let Some(chunk) = response.chunk().await? {
        size += chunk.len() as u64;
        held.extend_from_slice(&chunk);
        if held.len() >= BLOCK {
            (part, held) = blocking(move || part.append(held)).await?;
        }
    }
    blocking(move || part.append(held)?.0.publish()).await?;
    Ok(size)
}

/// File systems may block, so their work runs on a blocking thread.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let stopped = |error| Error::new(Kind::File).detail("the runtime is shutting down").because(error);
    tokio::task::spawn_blocking(work).await.map_err(stopped)?
}

/// A file in the making. Unless it was published, it is removed when this is dropped.
struct Part {
    /// Until it is published.
    file: Option<File>,
    temporary: PathBuf,
    target: PathBuf,
}

impl Part {
    fn create(path: PathBuf) -> Result<Self> {
        let target = settled(path);
        let failed = |error| unwritable(&target, error);
        let permissions = replaceable(&target).map_err(failed)?;
        let dir = target.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let temporary = dir.join(format!(".trunkline-{:016x}.part", RandomState::new().hash_one(&target)));
        let file = File::create_new(&temporary).map_err(failed)?;
        let part = Self { file: Some(file), temporary, target };
        if let (Some(permissions), Some(file)) = (permissions, &part.file) {
            file.set_permissions(permissions).map_err(|error| unwritable(&part.target, error))?;
        }
        Ok(part)
    }

    /// Returns the bytes' room as well, to be filled again.
    fn append(mut self, mut bytes: Vec<u8>) -> Result<(Self, Vec<u8>)> {
        if let Some(file) = &mut self.file {
            file.write_all(&bytes).map_err(|error| unwritable(&self.target, error))?;
        }
        bytes.clear();
        Ok((self, bytes))
    }

    fn publish(mut self) -> Result<()> {
        fs::rename(&self.temporary, &self.target).map_err(|error| unwritable(&self.target, error))?;
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

/// The file that a link leads to, and the same wherever the process goes meanwhile.
fn settled(path: PathBuf) -> PathBuf {
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
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is there already and no ordinary file"));
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
    fn where_it_goes_is_settled_before_it_is_there() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(settled("is not here".into()), here.join("is not here"));
    }
}
