//! The storage model (RFC 6265bis sections 5.7 and 5.8). No clock and no lock: it is handed `now`.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use super::cookie::{Cookie, SameSite};
use super::refused::Refused;
use super::scope::{Origin, above, canonical, domain_match, is_public, path_match};
use super::set_cookie::{LONGEST_ATTRIBUTE, MaxAge, SetCookie, check_characters, check_pair};

/// The least numbers that section 6.1 asks for.
pub(super) const MOST_OF_A_DOMAIN: usize = 50;
pub(super) const MOST: usize = 3000;
/// No cookie lives longer (section 5.5).
pub(super) const LONGEST_LIFE: Duration = Duration::from_secs(400 * 24 * 60 * 60);

#[derive(Default)]
pub(super) struct Store {
    domains: HashMap<Box<str>, Vec<Entry>>,
    len: usize,
    /// Counts what happens. It gives the order of creation and of use: the clock may be set back,
    /// and is too coarse.
    ticks: u64,
    /// Nothing expires before.
    next_expiry: Option<SystemTime>,
}

struct Entry {
    cookie: Cookie,
    created: u64,
    used: u64,
}

impl Store {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Takes what a response from there has set. An expired cookie is how a server removes one.
    pub(super) fn receive(&mut self, set: &SetCookie<'_>, from: &Origin<'_>, now: SystemTime) -> Result<(), Refused> {
        self.drop_expired(now);
        let cookie = admit(set, from, now)?;
        if !cookie.secure && !from.secure && self.has_secure_over(&cookie) {
            return Err(Refused::OverlaysSecure);
        }
        self.put(cookie, now)
    }

    /// Puts a cookie in, in the place of the same one if there is one; an expired cookie only
    /// removes that one.
    pub(super) fn put(&mut self, cookie: Cookie, now: SystemTime) -> Result<(), Refused> {
        let tick = self.tick();
        // Step 23: a cookie keeps its place in the order.
        let created = self.take(&cookie).map_or(tick, |old| old.created);
        if cookie.has_expired(now) {
            return Ok(());
        }
        self.next_expiry = [self.next_expiry, cookie.expires].into_iter().flatten().min();
        self.len += 1;
        let of_domain = self.domains.entry(cookie.domain.clone()).or_default();
        of_domain.push(Entry { cookie, created, used: tick });
        let evicted = if of_domain.len() > MOST_OF_A_DOMAIN { evict(of_domain) } else { None };
        if let Some(evicted) = evicted {
            self.len -= 1;
            return if evicted.created == created { Err(Refused::NoRoom) } else { Ok(()) };
        }
        if self.len > MOST {
            self.evict_any();
        }
        Ok(())
    }

    /// The cookies of a request to this origin: longer paths first, then in the order of creation
    /// (section 5.8.3).
    pub(super) fn matching(&mut self, to: &Origin<'_>, now: SystemTime) -> Vec<&Cookie> {
        self.drop_expired(now);
        let tick = self.tick();
        let hosts = std::iter::once(to.host).chain(above(to.host)).filter(|host| self.domains.contains_key(*host));
        let hosts: Vec<_> = hosts.collect();
        for host in &hosts {
            for entry in self.domains.get_mut(*host).into_iter().flatten().filter(|entry| entry.goes_to(to)) {
                entry.used = tick;
            }
        }
        let entries = hosts.iter().filter_map(|host| self.domains.get(*host)).flatten();
        let mut found: Vec<_> = entries.filter(|entry| entry.goes_to(to)).collect();
        found.sort_by_key(|entry| (Reverse(entry.cookie.path.len()), entry.created));
        found.into_iter().map(|entry| &entry.cookie).collect()
    }

    /// All, in the order of their creation.
    pub(super) fn all(&mut self, now: SystemTime) -> Vec<&Cookie> {
        self.drop_expired(now);
        let mut all: Vec<_> = self.domains.values().flatten().collect();
        all.sort_by_key(|entry| entry.created);
        all.into_iter().map(|entry| &entry.cookie).collect()
    }

    pub(super) fn remove(&mut self, cookie: &Cookie) -> bool {
        self.take(cookie).is_some()
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Cookie) -> bool) {
        for entries in self.domains.values_mut() {
            entries.retain(|entry| keep(&entry.cookie));
        }
        self.domains.retain(|_, entries| !entries.is_empty());
        self.len = self.domains.values().map(Vec::len).sum();
    }

    pub(super) fn drop_expired(&mut self, now: SystemTime) {
        if self.next_expiry.is_some_and(|first| first <= now) {
            self.retain(|cookie| !cookie.has_expired(now));
            self.next_expiry = self.domains.values().flatten().filter_map(|entry| entry.cookie.expires).min();
        }
    }

    /// Step 16, "leave secure cookies alone": one of that name that the new one would hide or
    /// replace.
    fn has_secure_over(&self, new: &Cookie) -> bool {
        let related = |domain: &str| domain_match(domain, &new.domain) || domain_match(&new.domain, domain);
        let mut entries = self.domains.iter().filter(|(domain, _)| related(domain)).flat_map(|(_, entries)| entries);
        entries
            .any(|Entry { cookie, .. }| cookie.secure && cookie.name == new.name && path_match(&new.path, &cookie.path))
    }

    fn take(&mut self, cookie: &Cookie) -> Option<Entry> {
        let of_domain = self.domains.get_mut(&cookie.domain)?;
        let at = of_domain.iter().position(|entry| entry.cookie.is_same(cookie))?;
        let entry = of_domain.swap_remove(at);
        if of_domain.is_empty() {
            self.domains.remove(&cookie.domain);
        }
        self.len -= 1;
        Some(entry)
    }

    /// No domain has too many, so the one used longest ago goes, whosever it is.
    fn evict_any(&mut self) {
        let oldest = self.domains.values().flatten().min_by_key(|entry| (entry.used, entry.created));
        if let Some(oldest) = oldest.map(|entry| entry.cookie.clone()) {
            self.take(&oldest);
        }
    }

    fn tick(&mut self) -> u64 {
        self.ticks += 1;
        self.ticks
    }
}

impl Entry {
    fn goes_to(&self, to: &Origin<'_>) -> bool {
        let Self { cookie, .. } = self;
        // Its domain is the host or one above it.
        (!cookie.host_only || *cookie.domain == *to.host)
            && path_match(to.path, &cookie.path)
            && (!cookie.secure || to.secure)
    }
}

/// Of a domain that has too many: first what is not secure, then what was used longest ago.
fn evict(entries: &mut Vec<Entry>) -> Option<Entry> {
    let order = |entry: &Entry| (entry.cookie.secure, entry.used, entry.created);
    let first = entries.iter().enumerate().min_by_key(|(_, entry)| order(entry))?.0;
    Some(entries.swap_remove(first))
}

/// Section 5.7, but for what depends on the other cookies.
fn admit(set: &SetCookie<'_>, from: &Origin<'_>, now: SystemTime) -> Result<Cookie, Refused> {
    let domain = domain(set, from)?;
    let path = match set.path {
        Some(path) if path.starts_with(b"/") => String::from_utf8_lossy(path).into(),
        _ => match from.default_path() {
            path if path.len() > LONGEST_ATTRIBUTE => return Err(Refused::LongPath),
            path => path.into(),
        },
    };
    if set.secure && !from.secure {
        return Err(Refused::InsecureOrigin);
    }
    let cookie = Cookie {
        name: set.name.into(),
        value: set.value.into(),
        host_only: domain.is_none(),
        domain: domain.unwrap_or_else(|| from.host.into()),
        path,
        expires: expires(set, now),
        secure: set.secure,
        http_only: set.http_only,
        same_site: set.same_site,
    };
    check_prefix(&cookie, set.path.is_some())?;
    Ok(cookie)
}

/// Steps 7 to 10. `None` is for that host alone.
fn domain(set: &SetCookie<'_>, from: &Origin<'_>) -> Result<Option<Box<str>>, Refused> {
    let domain = match std::str::from_utf8(set.domain) {
        Ok(domain) if domain.is_ascii() => domain.to_ascii_lowercase(),
        _ => return Err(Refused::BadDomain),
    };
    // An IPv6 address is written as in an address.
    let domain = domain.trim_start_matches('[').trim_end_matches(']');
    match domain {
        "" => Ok(None),
        // With an empty label before it `.com` would pass for more than the public suffix of
        // `a..com`, and fit into no file.
        domain if domain.starts_with('.') || !domain_match(from.host, domain) => Err(Refused::ForeignDomain),
        domain if !is_public(domain, from.host) => Ok(Some(domain.into())),
        domain if domain == from.host => Ok(None),
        _ => Err(Refused::PublicSuffix),
    }
}

/// Step 6, and the most that section 5.5 allows.
fn expires(set: &SetCookie<'_>, now: SystemTime) -> Option<SystemTime> {
    match (set.max_age, set.expires) {
        (Some(MaxAge::Over), _) => Some(SystemTime::UNIX_EPOCH),
        (Some(MaxAge::For(age)), _) => now.checked_add(age.min(LONGEST_LIFE)),
        (None, Some(at)) => Some(no_later(at, now)),
        (None, None) => None,
    }
}

fn no_later(at: SystemTime, now: SystemTime) -> SystemTime {
    now.checked_add(LONGEST_LIFE).map_or(at, |last| at.min(last))
}

/// Steps 19 to 22. Servers may read names without regard to case, so it is not regarded here
/// either.
fn check_prefix(cookie: &Cookie, has_path: bool) -> Result<(), Refused> {
    let begins =
        |text: &[u8], prefix: &[u8]| text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let (secure, host) = (b"__Secure-".as_slice(), b"__Host-".as_slice());
    if cookie.same_site == Some(SameSite::None) && !cookie.secure {
        return Err(Refused::SameSiteNone);
    }
    if begins(&cookie.name, secure) && !cookie.secure {
        return Err(Refused::SecurePrefix);
    }
    if begins(&cookie.name, host) && !(cookie.secure && cookie.host_only && has_path && &*cookie.path == "/") {
        return Err(Refused::HostPrefix);
    }
    if cookie.name.is_empty() && (begins(&cookie.value, secure) || begins(&cookie.value, host)) {
        return Err(Refused::NamelessPrefix);
    }
    Ok(())
}

/// A cookie that comes from a file is held to the same rules.
pub(super) fn readmit(mut cookie: Cookie, now: SystemTime) -> Result<Cookie, Refused> {
    check_characters(&cookie.name)?;
    check_characters(&cookie.value)?;
    check_characters(cookie.path.as_bytes())?;
    check_pair(&cookie.name, &cookie.value)?;
    // No server could have set it, and none would get back what stands there.
    if cookie.name.contains(&b'=') || [&cookie.name, &cookie.value].iter().any(|text| text.contains(&b';')) {
        return Err(Refused::Separator);
    }
    cookie.domain = canonical(&cookie.domain).filter(|domain| !domain.starts_with('.')).ok_or(Refused::BadDomain)?;
    // As in step 9: only the host itself may get it.
    cookie.host_only |= is_public(&cookie.domain, &cookie.domain);
    cookie.expires = cookie.expires.map(|at| no_later(at, now));
    check_prefix(&cookie, true)?;
    Ok(cookie)
}
