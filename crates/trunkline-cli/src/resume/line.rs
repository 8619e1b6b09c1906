//! A line of an earlier output, as far as it matters: whether its page is done.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use serde::Deserialize;

/// Of the members that [`Page`](crate::page::Page) writes, those that are told apart by, and those
/// that are looked at.
#[derive(Deserialize)]
pub(super) struct Line<'a> {
    #[serde(borrow)]
    pub(super) url: Cow<'a, str>,
    bytes: u64,
    #[serde(rename = "elapsed")]
    _elapsed: f64,
    error: Option<Cow<'a, str>>,
    file: Option<Cow<'a, str>>,
}

impl<'a> Line<'a> {
    /// Nothing, if it is none of ours.
    pub(super) fn parse(text: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// Whether its page came, and has its whole file if it is to have one.
    pub(super) fn is_done(&self, bodies: Option<&Path>) -> bool {
        // It was whole when the line was written; a power failure may have left less.
        let whole = |file: &str, dir: &Path| {
            fs::metadata(dir.join(file)).is_ok_and(|there| there.is_file() && there.len() == self.bytes)
        };
        let kept = |dir: &Path| self.file.as_deref().is_some_and(|file| whole(file, dir));
        self.error.is_none() && bodies.is_none_or(kept)
    }
}
