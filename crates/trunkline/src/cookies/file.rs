//! The cookie file on disk: readable by its owner only, and never half written.

use std::io::{self, Write as _};
use std::path::Path;

/// The content of the file. A pipe or device is not read: it may have no end.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(special());
    }
    std::fs::read(path)
}

/// Replaces the file in one step: at any moment a reader finds the old or the new content.
///
/// It is written under another name in the same directory, where from the first byte only its owner
/// may read it, and then renamed. A symbolic link of that name is replaced, not followed.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    if std::fs::symlink_metadata(path).is_ok_and(|there| !there.is_file() && !there.is_symlink()) {
        return Err(special());
    }
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    // The temporary file has mode 0600, is created exclusively under a random name, and is removed
    // if dropped before the end.
    let mut file = tempfile::Builder::new().prefix(".cookies-").tempfile_in(dir)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync(dir);
    Ok(())
}

fn special() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")
}

/// A rename is on the disk once its directory is. Where directories cannot be synced, the system
/// sees to it.
fn sync(dir: &Path) {
    if let Ok(dir) = std::fs::File::open(dir) {
        let _ = dir.sync_all();
    }
}
