//! The end of a file of lines that an earlier worker has left: what was done is not fetched again, so its lines stay.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::results::{Json, Results};

/// How much is looked at in one step.
const BLOCK: u64 = 64 * 1024;

/// Where the lines go: after those that are there.
///
/// # Errors
///
/// The disk's.
pub(super) fn json(results: Results) -> anyhow::Result<Json> {
    match results {
        Results::File(path, file) => {
            continued(&path, &file).with_context(|| format!("cannot write to {path:?}"))?;
            Ok(Json::File(PathBuf::clone(&path), file))
        }
        others => Ok(others.begin()?.0),
    }
}

/// Cuts off a line that was not written to its end: its page was not done, and is fetched again.
fn continued(path: &Path, mut file: &File) -> io::Result<()> {
    let kind = file.metadata()?;
    if kind.is_file() && kind.len() > 0 {
        file.set_len(whole_lines(&mut File::open(path)?, kind.len())?)?;
        file.seek(SeekFrom::End(0))?;
    }
    Ok(())
}

/// How long it is up to its last line break.
fn whole_lines(file: &mut File, length: u64) -> io::Result<u64> {
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        let mut block = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        file.by_ref().take(end - start).read_to_end(&mut block)?;
        if let Some(at) = block.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}
