//! Set of the URLs seen so far.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};

use url::{Position, Url};

/// URLs that there have been: what [`Fetch::once`](super::Fetch::once) begins with. It remembers 16
/// bytes of each, give or take a factor of two, however long they are.
#[derive(Default)]
pub struct SeenUrls {
    hashes: HashSet<u128>,
    /// With random keys, so that URLs cannot be made to collide.
    keys: [RandomState; 2],
}

impl SeenUrls {
    /// Says whether it is new. Fragments make no difference.
    pub fn insert(&mut self, url: &Url) -> bool {
        let url = &url[..Position::AfterQuery];
        let [high, low] = self.keys.each_ref().map(|key| u128::from(key.hash_one(url)));
        self.hashes.insert(high << 64 | low)
    }
}

impl fmt::Debug for SeenUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeenUrls").field("len", &self.hashes.len()).finish_non_exhaustive()
    }
}
