//! The rules of RFC 6265bis one by one, the public suffix list's own tests, the file, and anything
//! at all for input.

mod anything;
mod file;
mod rules;
mod scope;
mod suffixes;

use std::time::{Duration, SystemTime};

use url::Url;

use super::refused::Refused;
use super::scope::Origin;
use super::set_cookie::SetCookie;
use super::store::Store;

/// A store, and the time it is told.
struct World {
    store: Store,
    now: SystemTime,
}

impl World {
    fn new() -> Self {
        // 14 November 2023; nothing here asks a clock.
        Self { store: Store::default(), now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) }
    }

    fn set(&mut self, url: &str, cookie: &str) -> Result<(), Refused> {
        let url = Url::parse(url).unwrap();
        let set = SetCookie::parse(cookie.as_bytes())?;
        self.store.receive(&set, &Origin::of(&url).unwrap(), self.now)
    }

    /// Sets what is allowed, and goes on.
    fn with(mut self, url: &str, cookie: &str) -> Self {
        self.set(url, cookie).unwrap_or_else(|refused| panic!("{cookie}: {refused}"));
        self
    }

    /// The `Cookie` header of a request to this URL.
    fn sent(&mut self, url: &str) -> String {
        let url = Url::parse(url).unwrap();
        let cookies = self.store.matching(&Origin::of(&url).unwrap(), self.now);
        let pairs: Vec<_> = cookies.iter().map(|cookie| format!("{}={}", cookie.name(), cookie.value())).collect();
        pairs.join("; ")
    }

    fn later(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn names(&mut self) -> Vec<String> {
        self.store.all(self.now).into_iter().map(|cookie| cookie.name().into_owned()).collect()
    }
}

/// A cookie that is set there is sent to those and not to these.
fn goes(from: &str, cookie: &str, to: &[&str], not_to: &[&str]) {
    let mut world = World::new().with(from, cookie);
    for url in to {
        assert_ne!(world.sent(url), "", "{cookie} of {from} is for {url}");
    }
    for url in not_to {
        assert_eq!(world.sent(url), "", "{cookie} of {from} is not for {url}");
    }
}

fn refused(from: &str, cookie: &str, why: Refused) {
    let mut world = World::new();
    assert_eq!(world.set(from, cookie), Err(why), "{cookie} of {from}");
    assert_eq!(world.store.len(), 0);
}
