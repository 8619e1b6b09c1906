//! Which URLs there have been.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use url::Url;

/// The URLs of lines that are kept and of pages that were begun, each as 128 bits: 40 MB for a million, however long they are.
#[derive(Default)]
pub(crate) struct Seen {
    keys: [RandomState; 2],
    hashes: HashSet<u128>,
}

impl Seen {
    /// Whether it is new. Fragments make no difference, nor does how a URL is written: `HTTP://a` is `http://a/`.
    pub(crate) fn insert(&mut self, text: &str) -> bool {
        let url = Url::parse(text).map(|mut url| {
            url.set_fragment(None);
            String::from(url)
        });
        let url = url.as_deref().unwrap_or(text);
        let [high, low] = self.keys.each_ref().map(|key| u128::from(key.hash_one(url)));
        self.hashes.insert(high << 64 | low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_seen_once_however_it_is_written() {
        let mut seen = Seen::default();
        for (text, new) in [
            ("http://a/", true),
            ("HTTP://A:80#top", false),
            ("http://a/?", true),
            ("http://a/b/../", false),
            ("https://a/", true),
            ("no url", true),
            ("no url", false),
            ("", true),
        ] {
            assert_eq!(seen.insert(text), new, "{text}");
        }
    }
}
