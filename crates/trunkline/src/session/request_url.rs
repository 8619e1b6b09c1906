//! The target of a request, in every form that a request needs. An application requests the same
//! few URLs again and again, and parsing one costs as much as the rest of a small request: the
//! session caches the last ones.

use std::str::FromStr as _;
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderValue, Uri};
use url::{Position, Url};

use crate::error::{Error, Result};
use crate::pool::Target;
use crate::redact::redact_url;

/// An http or https address.
pub(super) struct RequestUrl {
    pub(super) url: Url,
    /// A name or a password is part of the address.
    pub(super) has_credentials: bool,
    pub(super) target: Target,
    /// Path and query, as they are sent (RFC 9112 section 3.2.1).
    pub(super) path: Uri,
    /// The `Host` header (RFC 9110 section 7.2).
    pub(super) host: HeaderValue,
}

impl RequestUrl {
    pub(super) fn new(url: Url) -> Result<Arc<Self>> {
        let unusable = || Error::input(format!("{} cannot be asked for over HTTP", redact_url(&url)));
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(unusable)?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let port = url.port_or_known_default().ok_or_else(unusable)?;
        let target = Target { https: url.scheme() == "https", host: bare.into(), port };
        let path = &url[Position::BeforePath..Position::AfterQuery];
        let path = Uri::from_str(path).map_err(|error| unusable().because(error))?;
        let host = HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort])
            .map_err(|error| unusable().because(error))?;
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        Ok(Arc::new(Self { url, has_credentials, target, path, host }))
    }
}

const REMEMBERED: usize = 32;
const LONGEST: usize = 256;

/// The last addresses, each where its hash puts it.
#[derive(Default)]
pub(super) struct UrlCache(Mutex<[Option<Entry>; REMEMBERED]>);

/// The URL's text, and its parsed forms.
type Entry = (Box<str>, Arc<RequestUrl>);

impl UrlCache {
    pub(super) fn find(&self, text: &str) -> Option<Arc<RequestUrl>> {
        if !is_worthwhile(text) {
            return None;
        }
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries[place(text)].as_ref().filter(|(known, _)| **known == *text).map(|(_, request_url)| request_url.clone())
    }

    pub(super) fn remember(&self, text: &str, request_url: &Arc<RequestUrl>) {
        if is_worthwhile(text) {
            let entry = Some((text.into(), request_url.clone()));
            self.0.lock().unwrap_or_else(PoisonError::into_inner)[place(text)] = entry;
        }
    }
}

/// Index by a fast hash, eight bytes at a time. It need not resist collisions: one costs a parse.
fn place(text: &str) -> usize {
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    let hash = words.iter().fold(text.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    (mix(hash, u64::from_le_bytes(last)) >> 32) as usize % REMEMBERED
}

/// A query is seldom asked twice, and it or credentials may be secrets, which are not to be kept
/// for longer than they are needed.
fn is_worthwhile(text: &str) -> bool {
    // To its end even when one is found, which the compiler turns into a few wide comparisons.
    let odd = text.bytes().fold(false, |odd, byte| odd | (byte == b'?') | (byte == b'@'));
    text.len() <= LONGEST && !odd
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request_url(text: &str) -> Arc<RequestUrl> {
        RequestUrl::new(Url::parse(text).unwrap()).unwrap()
    }

    #[test]
    fn an_address_is_taken_apart() {
        let plain = request_url("http://EXAMPLE.com/a%20b/../c?d=e#f");
        assert_eq!((&*plain.target.host, plain.target.port, plain.target.https), ("example.com", 80, false));
        assert_eq!((plain.path.to_string().as_str(), plain.host.to_str().unwrap()), ("/c?d=e", "example.com"));
        let literal = request_url("https://[::1]:8443");
        assert_eq!((&*literal.target.host, literal.target.port, literal.target.https), ("::1", 8443, true));
        assert_eq!((literal.path.to_string().as_str(), literal.host.to_str().unwrap()), ("/", "[::1]:8443"));
    }

    #[test]
    fn what_was_asked_last_is_remembered_and_secrets_are_not() {
        let recent = UrlCache::default();
        for text in ["http://a.test/", "http://a.test/?token=x", "http://u:p@a.test/"] {
            recent.remember(text, &request_url(text));
        }
        assert!(recent.find("http://a.test/").is_some());
        assert!(recent.find("http://a.test").is_none());
        assert!(recent.find("http://a.test/?token=x").is_none());
        assert!(recent.find("http://u:p@a.test/").is_none());
    }
}
