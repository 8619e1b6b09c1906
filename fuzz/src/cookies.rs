//! Invariants of the cookies in a jar.

use std::time::{Duration, SystemTime};

use trunkline::{Cookie, CookieJar, SameSite};

/// Checks the limits of the jar and each cookie.
///
/// # Panics
///
/// Panics if an invariant is violated. The message contains the cookie, whose value comes from the
/// fuzzer and is no secret.
pub fn audit(jar: &CookieJar) {
    let all = jar.all();
    assert!(all.len() <= 3000 && all.len() == jar.len(), "{} cookies, said to be {}", all.len(), jar.len());
    for cookie in &all {
        let violation = violation(cookie);
        assert!(violation.is_none(), "{}: {cookie:?} {:?}", violation.unwrap_or_default(), cookie.value_bytes());
        let siblings = all.iter().filter(|other| other.domain() == cookie.domain()).count();
        assert!(siblings <= 50, "{siblings} cookies for {}", cookie.domain());
        let same = |other: &&Cookie| {
            (other.name(), other.domain(), other.path(), other.host_only())
                == (cookie.name(), cookie.domain(), cookie.path(), cookie.host_only())
        };
        // Different names that are not UTF-8 may have the same lossy text.
        let lossy = cookie.name().contains('\u{fffd}') || cookie.path().contains('\u{fffd}');
        assert!(lossy || all.iter().filter(same).count() == 1, "duplicate cookie: {cookie:?}");
    }
}

fn violation(cookie: &Cookie) -> Option<&'static str> {
    let (name, value) = (cookie.name(), cookie.value_bytes());
    let control = |byte: u8| byte != b'\t' && byte.is_ascii_control();
    let longest = SystemTime::now() + Duration::from_secs(401 * 86_400);
    let lower = name.to_ascii_lowercase();
    let violations = [
        (!name.contains('\u{fffd}') && name.len() + value.len() > 4096, "too long"),
        (name.bytes().any(control) || value.iter().copied().any(control), "control characters"),
        (name.contains([';', '=']) || value.contains(&b';'), "it would be sent as something else"),
        (cookie.domain().is_empty() || cookie.domain() != cookie.domain().to_ascii_lowercase(), "no canonical domain"),
        (cookie.domain().starts_with('.'), "no canonical domain"),
        (!cookie.host_only() && ["com", "uk", "co.uk", "test"].contains(&cookie.domain()), "a public suffix's cookie"),
        (!cookie.path().starts_with('/'), "no path"),
        (cookie.expires().is_some_and(|end| end > longest), "it outlives 400 days"),
        (lower.starts_with("__secure-") && !cookie.secure(), "not what its name promises"),
        (
            lower.starts_with("__host-") && !(cookie.secure() && cookie.host_only() && cookie.path() == "/"),
            "not what its name promises",
        ),
        (cookie.same_site() == Some(SameSite::None) && !cookie.secure(), "SameSite=None without Secure"),
    ];
    violations.into_iter().find_map(|(violated, rule)| violated.then_some(rule))
}
