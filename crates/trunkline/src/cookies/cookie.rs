//! A cookie as the jar keeps it.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

/// A cookie of a [`CookieJar`](crate::CookieJar), as it was when the jar was asked.
#[derive(Clone, PartialEq, Eq)]
pub struct Cookie {
    /// Bytes, as they came: servers get back what they sent, whatever its encoding.
    pub(super) name: Box<[u8]>,
    pub(super) value: Box<[u8]>,
    /// Canonical: lower case, A-labels, an IPv6 address without brackets.
    pub(super) domain: Box<str>,
    pub(super) host_only: bool,
    pub(super) path: Box<str>,
    pub(super) expires: Option<SystemTime>,
    pub(super) secure: bool,
    pub(super) http_only: bool,
    pub(super) same_site: Option<SameSite>,
}

/// The `SameSite` attribute: the rule for requests that another site causes.
///
/// It is kept and sent nothing for: a client has no pages, so every request of a session is its own
/// site's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SameSite {
    /// Never with a request that another site causes.
    Strict,
    /// Sent only if the user follows a link.
    Lax,
    /// With all of them.
    None,
}

impl Cookie {
    /// The name; empty for a cookie that has none. What is not UTF-8 in it becomes U+FFFD.
    pub fn name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.name)
    }

    /// The value. What is not UTF-8 in it becomes U+FFFD; [`value_bytes`](Self::value_bytes) has it
    /// as it was sent.
    pub fn value(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.value)
    }

    /// The value, byte for byte.
    pub fn value_bytes(&self) -> &[u8] {
        &self.value
    }

    /// The host it is for, in lower case and without a leading dot; see
    /// [`host_only`](Self::host_only).
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// True if the cookie is for its host alone, false if it is for the hosts below it as well.
    pub fn host_only(&self) -> bool {
        self.host_only
    }

    /// The path it is for, with all below it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The end of the cookie. None for a session cookie, which
    /// [`CookieJar::clear_session`](crate::CookieJar::clear_session) removes.
    pub fn expires(&self) -> Option<SystemTime> {
        self.expires
    }

    /// True if the cookie is kept from connections without encryption.
    pub fn secure(&self) -> bool {
        self.secure
    }

    /// True if a browser would hide the cookie from scripts. Programs see it all the same.
    pub fn http_only(&self) -> bool {
        self.http_only
    }

    /// The `SameSite` attribute. None if the server sent none.
    pub fn same_site(&self) -> Option<SameSite> {
        self.same_site
    }

    /// True if the other cookie replaces this one (RFC 6265bis section 5.7, step 23).
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.name == other.name
            && self.host_only == other.host_only
            && self.domain == other.domain
            && self.path == other.path
    }

    pub(super) fn has_expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }
}

impl fmt::Debug for Cookie {
    /// Without the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cookie")
            .field("name", &self.name())
            .field("domain", &self.domain)
            .field("host_only", &self.host_only)
            .field("path", &self.path)
            .field("expires", &self.expires)
            .field("secure", &self.secure)
            .field("http_only", &self.http_only)
            .field("same_site", &self.same_site)
            .finish_non_exhaustive()
    }
}
