//! Destination of the JSON lines of `--output`, and the handling of an existing file's lines.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Error};
use trunkline_scrape::SeenUrls;

use crate::resume::{EarlierOutput, lock, lock_existing};

/// Checked destination. An existing file still has its lines.
pub(crate) enum JsonOutput {
    None,
    /// Standard output, instead of the plain lines.
    Stdout,
    /// A file that does not exist and can be created.
    New {
        path: PathBuf,
        resume: bool,
    },
    File(PathBuf, File),
    /// A file whose lines stay.
    Append(EarlierOutput),
}

/// Handling of the lines of an existing file.
#[derive(Clone, Copy)]
pub(crate) enum ExistingFile<'a> {
    /// All lines are removed.
    Emptied,
    /// `--resume`: lines of pages that are done stay. With a directory, a page also needs its file
    /// there.
    Resumed(Option<&'a Path>),
    /// All lines stay.
    Kept,
}

/// Open destination.
pub(crate) enum JsonSink {
    None,
    Stdout,
    File(PathBuf, File),
}

impl JsonOutput {
    /// Checks and opens the destination. An existing file is unchanged; a new file is not created
    /// yet.
    ///
    /// # Errors
    ///
    /// The file cannot be created, opened or resumed.
    pub(crate) fn open(path: &Path, existing: ExistingFile<'_>) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Stdout);
        }
        match create(path) {
            Ok(created) => {
                // The lock tells another run that opens the file meanwhile.
                lock(&created).and_then(|()| fs::remove_file(path)).map_err(|error| unusable(path, error))?;
                return Ok(Self::New { path: path.to_owned(), resume: matches!(existing, ExistingFile::Resumed(_)) });
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(unusable(path, error)),
        }
        match existing {
            ExistingFile::Resumed(bodies) => return EarlierOutput::read(path, bodies).map(Self::Append),
            // A device or a pipe has no lines to keep.
            ExistingFile::Kept if path.is_file() => return EarlierOutput::read_all(path).map(Self::Append),
            ExistingFile::Kept | ExistingFile::Emptied => {}
        }
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|error| unusable(path, error))?;
        lock_existing(&file, path).with_context(|| format!("cannot write to {path:?}"))?;
        Ok(Self::File(path.to_owned(), file))
    }

    /// Prepares the destination for new lines. With `--resume`, the second value has the URLs that
    /// are done.
    ///
    /// # Errors
    ///
    /// The file system's.
    pub(crate) fn begin(self) -> anyhow::Result<(JsonSink, Option<SeenUrls>)> {
        Ok(match self {
            Self::None => (JsonSink::None, None),
            Self::Stdout => (JsonSink::Stdout, None),
            Self::New { path, resume } => {
                let file = create(&path).and_then(|file| lock(&file).map(|()| file));
                let file = file.with_context(|| format!("cannot write to {path:?}"))?;
                (JsonSink::File(path, file), resume.then(SeenUrls::default))
            }
            Self::File(path, file) => {
                // A device or a pipe cannot be emptied.
                let kind = file.metadata().map(|kind| kind.is_file());
                let emptied = kind.and_then(|regular| if regular { file.set_len(0) } else { Ok(()) });
                emptied.with_context(|| format!("cannot write to {path:?}"))?;
                (JsonSink::File(path, file), None)
            }
            Self::Append(earlier) => {
                let (path, file, seen) = earlier.resume()?;
                (JsonSink::File(path, file), Some(seen))
            }
        })
    }
}

/// Error with advice on the path, unless the path is not at fault.
fn unusable(path: &Path, error: io::Error) -> Error {
    let message = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::Other => format!("cannot write to {path:?}"),
        _ => format!(
            "cannot write to {path:?}: --output has to be a file in a directory that exists, or - for standard output"
        ),
    };
    Error::new(error).context(message)
}

/// Creates a new file; fails if the file exists.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_path_is_advised_only_if_this_one_is_wrong() {
        for (kind, advises) in [(io::ErrorKind::PermissionDenied, false), (io::ErrorKind::NotFound, true)] {
            let message = unusable(Path::new("out"), kind.into()).to_string();
            assert!(
                message.starts_with("cannot write to \"out\"") && message.contains("directory") == advises,
                "{message}"
            );
        }
    }
}
