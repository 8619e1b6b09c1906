//! Line of an earlier output: which page it records, and whether the page is done.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use serde::Deserialize;

/// Members of a line that identify it as the output of a [`Page`](crate::page::Page), or that
/// decide whether the page is done.
#[derive(Deserialize)]
pub(super) struct RecordedPage<'a> {
    #[serde(borrow)]
    pub(super) url: Cow<'a, str>,
    bytes: u64,
    #[serde(rename = "elapsed")]
    _elapsed: f64,
    error: Option<Cow<'a, str>>,
    file: Option<Cow<'a, str>>,
}

impl<'a> RecordedPage<'a> {
    /// Parses a line; `None` if `trunkline fetch` has not written it.
    pub(super) fn parse(text: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// True if the page was fetched and, with a directory, its complete file is there.
    pub(super) fn is_done(&self, bodies: Option<&Path>) -> bool {
        // The file was complete when the line was written; a power failure may have truncated it.
        let is_complete = |file: &str, dir: &Path| {
            fs::metadata(dir.join(file)).is_ok_and(|file| file.is_file() && file.len() == self.bytes)
        };
        let has_file = |dir: &Path| self.file.as_deref().is_some_and(|file| is_complete(file, dir));
        self.error.is_none() && bodies.is_none_or(has_file)
    }
}
