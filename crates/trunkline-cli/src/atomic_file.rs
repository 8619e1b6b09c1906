//! A file written beside its target under a temporary name, which takes the target's place in one
//! step.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

/// Unpublished file. Dropped, it is removed from the disk.
#[derive(Debug)]
pub(crate) struct AtomicFile(NamedTempFile);

impl AtomicFile {
    /// Creates the file `name` in `dir`, with the permissions of a new file. An existing file of
    /// that name is removed first: a killed process that had the same id left it. A link of that
    /// name is removed as well, never followed.
    ///
    /// # Errors
    ///
    /// The file system's.
    pub(crate) fn create(dir: &Path, name: &str) -> io::Result<Self> {
        let _ = fs::remove_file(dir.join(name));
        let mut builder = tempfile::Builder::new();
        builder.prefix(name).rand_bytes(0);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        builder.tempfile_in(dir).map(Self)
    }

    /// Creates a file that only its owner can read, under a random name.
    ///
    /// # Errors
    ///
    /// The file system's.
    pub(crate) fn create_private(dir: &Path) -> io::Result<Self> {
        tempfile::Builder::new().prefix(".trunkline-").suffix(".part").tempfile_in(dir).map(Self)
    }

    pub(crate) fn file(&self) -> &File {
        self.0.as_file()
    }

    /// Renames the file to `target`, which replaces a file of that name.
    ///
    /// # Errors
    ///
    /// The file system's. The target is unchanged then.
    pub(crate) fn publish(self, target: &Path) -> io::Result<File> {
        Ok(self.0.persist(target)?)
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.as_file_mut().flush()
    }
}

/// Checks that files can be created in `dir`: creates one and removes it.
///
/// # Errors
///
/// The reason why no file can be created.
pub(crate) fn check_writable(dir: &Path) -> io::Result<()> {
    AtomicFile::create(dir, &format!(".trunkline-{}.part", std::process::id())).map(drop)
}
