//! Scope of a cookie: hosts, paths, and secure origins (RFC 6265bis section 5.1).

use std::net::IpAddr;

use psl::Psl as _;
use url::{Host, Url};

/// The parts of a URL that select its cookies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    /// Canonical: lower case, A-labels, an IPv6 address without brackets.
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    pub(super) secure: bool,
}

/// A longer one is no host name (RFC 1035 section 2.3.4), and would make work in proportion to its
/// square.
pub(super) const LONGEST_HOST: usize = 253;

impl<'a> Origin<'a> {
    pub(super) fn of(url: &'a Url) -> Option<Self> {
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']');
        // A root's dot is not part of the length.
        let fits = !host.is_empty() && host.len() <= LONGEST_HOST + 1;
        // "localhost" and the machine's own addresses are trusted hosts, as section 5.8.3 suggests
        // and browsers and curl have it.
        let local = || match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        fits.then(|| Self { host, path: url.path(), secure: https || local() })
    }

    /// Section 5.1.4.
    pub(super) fn default_path(&self) -> &'a str {
        match self.path.rfind('/') {
            Some(end) if end > 0 && self.path.starts_with('/') => &self.path[..end],
            _ => "/",
        }
    }
}

/// Section 5.1.3. Both are canonical.
pub(super) fn domain_match(host: &str, domain: &str) -> bool {
    let below = || {
        let rest = host.strip_suffix(domain);
        rest.is_some_and(|rest| rest.ends_with('.')) && !is_ip(host)
    };
    host == domain || below()
}

/// The domains above a host, from near to far: those whose cookies it may see.
pub(super) fn above(host: &str) -> impl Iterator<Item = &str> {
    let dots = host.match_indices('.').map(|(at, _)| &host[at + 1..]);
    let is_name = !is_ip(host);
    dots.filter(move |domain| is_name && !domain.is_empty())
}

/// Section 5.1.4.
pub(super) fn path_match(path: &str, cookie_path: &str) -> bool {
    let rest = path.strip_prefix(cookie_path);
    rest.is_some_and(|rest| rest.is_empty() || cookie_path.ends_with('/') || rest.starts_with('/'))
}

/// True if the domain, which is the host or above it, is the host's public suffix or above that: it
/// then includes hosts of strangers.
///
/// It is the host's suffix that counts, not whether the domain is one: with the rule `*.kobe.jp` no
/// such domain is wider than `c.kobe.jp`, though `kobe.jp` itself falls under the rule `jp`.
pub(super) fn is_public(domain: &str, host: &str) -> bool {
    if is_ip(host) {
        return false;
    }
    // The list's rules are in Unicode.
    let unicode;
    let host = if host.contains("xn--") {
        unicode = idna::domain_to_unicode(host).0;
        &unicode
    } else {
        host
    };
    let labels = |name: &[u8]| name.split(|&byte| byte == b'.').count();
    let suffix = psl::List.suffix(host.as_bytes());
    suffix.is_some_and(|suffix| labels(domain.as_bytes()) <= labels(suffix.as_bytes()))
}

/// A host as it stands in a file, in canonical form.
pub(super) fn canonical(host: &str) -> Option<Box<str>> {
    let canonical = match host.parse::<IpAddr>() {
        Ok(ip) => ip.to_string(),
        Err(_) => match Host::parse(host).ok()? {
            Host::Domain(name) => name,
            Host::Ipv4(ip) => ip.to_string(),
            Host::Ipv6(ip) => ip.to_string(),
        },
    };
    (!canonical.is_empty() && canonical.len() <= LONGEST_HOST + 1).then(|| canonical.into())
}

fn is_ip(host: &str) -> bool {
    // The last label of an address begins with a digit, that of a name never: url sees to that.
    let last = host.rsplit(['.', ':']).next().unwrap_or_default();
    (host.contains(':') || last.starts_with(|first: char| first.is_ascii_digit())) && host.parse::<IpAddr>().is_ok()
}
