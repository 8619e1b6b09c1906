//! Cookies of a request, from the session's jar, and of its response, into it.

use bytes::Bytes;
use http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use url::Url;

use crate::cookies::CookieJar;

/// Adds the jar's cookies for this address to what was set by hand, which goes first and, name by
/// name, instead of the jar's.
pub(super) fn add(jar: &CookieJar, url: &Url, headers: &mut HeaderMap) {
    let mut line = Vec::new();
    jar.for_each(url, |name, value| {
        if is_set(headers, name) {
            return;
        }
        if line.is_empty() {
            let by_hand = headers.get_all(COOKIE).iter().filter(|value| !value.is_empty());
            by_hand.for_each(|value| join(&mut line, &[value.as_bytes()]));
        }
        // A cookie without a name is sent without the sign after it.
        let sign: &[u8] = if name.is_empty() { b"" } else { b"=" };
        join(&mut line, &[name, sign, value]);
    });
    if line.is_empty() {
        return;
    }
    // A cookie has no character that a header cannot hold: the jar refuses it.
    if let Ok(mut value) = HeaderValue::from_maybe_shared(Bytes::from(line)) {
        value.set_sensitive(true);
        headers.insert(COOKIE, value);
    }
}

/// Hands what the response sets to the jar.
pub(super) fn keep(jar: &CookieJar, url: &Url, headers: &HeaderMap) {
    if jar.is_disabled() {
        return;
    }
    for set_cookie in headers.get_all(SET_COOKIE) {
        if let Err(error) = jar.set(url, set_cookie) {
            tracing::debug!(target: "trunkline::session", %error, "set-cookie");
        }
    }
}

fn is_set(headers: &HeaderMap, name: &[u8]) -> bool {
    let pairs = headers.get_all(COOKIE).iter().flat_map(|value| value.as_bytes().split(|&byte| byte == b';'));
    let mut names = pairs.filter_map(|pair| {
        let sign = pair.iter().position(|&byte| byte == b'=');
        // A pair without the sign is a value; one without anything is none.
        if pair.trim_ascii().is_empty() { None } else { Some(pair[..sign.unwrap_or(0)].trim_ascii()) }
    });
    names.any(|set| set == name)
}

fn join(line: &mut Vec<u8>, parts: &[&[u8]]) {
    if !line.is_empty() {
        line.extend_from_slice(b"; ");
    }
    for part in parts {
        line.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(by_hand: &[&str]) -> HeaderMap {
        by_hand.iter().map(|value| (COOKIE, value.parse().unwrap())).collect()
    }

    fn jar(cookies: &[&str]) -> (CookieJar, Url) {
        let (jar, url) = (CookieJar::new(), Url::parse("http://example.com/").unwrap());
        for cookie in cookies {
            jar.set(&url, cookie).unwrap();
        }
        (jar, url)
    }

    #[test]
    fn what_is_set_by_hand_goes_first_and_instead() {
        for (by_hand, sent) in [
            (vec![], vec!["a=1; b=2; nameless"]),
            (vec!["x=y"], vec!["x=y; a=1; b=2; nameless"]),
            (vec!["x=y; a=0", "z"], vec!["x=y; a=0; z; b=2"]),
            (vec!["b=;a"], vec!["b=;a; a=1"]),
            (vec![" b = x ;"], vec![" b = x ;; a=1; nameless"]),
            (vec!["a=;b=", "value"], vec!["a=;b=", "value"]),
            (vec![""], vec!["a=1; b=2; nameless"]),
        ] {
            let (jar, url) = jar(&["a=1", "b=2", "nameless"]);
            let mut headers = headers(&by_hand);
            add(&jar, &url, &mut headers);
            let added: Vec<_> = headers.get_all(COOKIE).iter().map(|value| value.to_str().unwrap()).collect();
            assert_eq!(added, sent, "{by_hand:?}");
            assert_eq!(headers[COOKIE].is_sensitive(), by_hand != added);
        }
    }
}
