//! The JSON lines of `--output`: where they go, and whether they go on with what is there.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Error};
use trunkline_scrape::SeenUrls;

use crate::resume::{Earlier, lock, take};

/// Where they will go. It has yesterday's still.
pub(crate) enum Results {
    None,
    /// Instead of the plain lines.
    Stdout,
    /// A file that is not there yet, and can be made.
    New {
        path: PathBuf,
        resume: bool,
    },
    File(PathBuf, File),
    /// After what is in it.
    GoOn(Earlier),
}

/// What becomes of the lines that are there.
#[derive(Clone, Copy)]
pub(crate) enum There<'a> {
    /// They give way.
    Emptied,
    /// `--resume`: those of pages that are done stay. A page has its file in this directory, if
    /// there is one.
    Resumed(Option<&'a Path>),
    /// They all stay.
    Kept,
}

/// Where they go.
pub(crate) enum Json {
    None,
    Stdout,
    File(PathBuf, File),
}

impl Results {
    /// # Errors
    ///
    /// The file cannot be made, opened or gone on with. It is as it was, and if it was not there,
    /// it still is not.
    pub(crate) fn open(path: &Path, there: There<'_>) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Stdout);
        }
        match make(path) {
            Ok(made) => {
                // Who opens it now has no use for it, and is to find that out.
                lock(&made).and_then(|()| fs::remove_file(path)).map_err(|error| unusable(path, error))?;
                return Ok(Self::New { path: path.to_owned(), resume: matches!(there, There::Resumed(_)) });
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(unusable(path, error)),
        }
        match there {
            There::Resumed(bodies) => return Earlier::read(path, bodies).map(Self::GoOn),
            // A device or a pipe has no lines.
            There::Kept if path.is_file() => return Earlier::read_all(path).map(Self::GoOn),
            There::Kept | There::Emptied => {}
        }
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|error| unusable(path, error))?;
        take(&file, path).with_context(|| format!("cannot write to {path:?}"))?;
        Ok(Self::File(path.to_owned(), file))
    }

    /// Makes room for the new ones. What comes out besides is what need not be fetched again.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub(crate) fn begin(self) -> anyhow::Result<(Json, Option<SeenUrls>)> {
        Ok(match self {
            Self::None => (Json::None, None),
            Self::Stdout => (Json::Stdout, None),
            Self::New { path, resume } => {
                let file = make(&path).and_then(|file| lock(&file).map(|()| file));
                let file = file.with_context(|| format!("cannot write to {path:?}"))?;
                (Json::File(path, file), resume.then(SeenUrls::default))
            }
            Self::File(path, file) => {
                // A device or a pipe has nothing to be emptied of.
                let kind = file.metadata().map(|kind| kind.is_file());
                let emptied = kind.and_then(|regular| if regular { file.set_len(0) } else { Ok(()) });
                emptied.with_context(|| format!("cannot write to {path:?}"))?;
                (Json::File(path, file), None)
            }
            Self::GoOn(earlier) => {
                let (path, file, seen) = earlier.go_on()?;
                (Json::File(path, file), Some(seen))
            }
        })
    }
}

/// Where it is not the path that is wrong, no other one is asked for.
fn unusable(path: &Path, error: io::Error) -> Error {
    let told = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::Other => format!("cannot write to {path:?}"),
        _ => format!(
            "cannot write to {path:?}: --output has to be a file in a directory that exists, or - for standard output"
        ),
    };
    Error::new(error).context(told)
}

/// A new file; never one that is there.
fn make(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_path_is_asked_for_only_where_this_one_is_wrong() {
        for (kind, advises) in [(io::ErrorKind::PermissionDenied, false), (io::ErrorKind::NotFound, true)] {
            let told = unusable(Path::new("out"), kind.into()).to_string();
            assert!(told.starts_with("cannot write to \"out\"") && told.contains("directory") == advises, "{told}");
        }
    }
}
