//! Parser of `Set-Cookie` (RFC 6265bis section 5.6). The algorithm there accepts almost anything,
//! byte by byte; so does this.

use std::time::{Duration, SystemTime};

use super::cookie::SameSite;
use super::date;
use super::refused::Refused;

/// Of name and value together.
const LONGEST_PAIR: usize = 4096;
/// Longer ones count as not there.
pub(super) const LONGEST_ATTRIBUTE: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct SetCookie<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: &'a [u8],
    /// Of several attributes of a name the last holds.
    pub(super) expires: Option<SystemTime>,
    pub(super) max_age: Option<MaxAge>,
    /// Without its leading dot; in whatever case.
    pub(super) domain: &'a [u8],
    /// It may be unusable, for what the default path stands then.
    pub(super) path: Option<&'a [u8]>,
    pub(super) secure: bool,
    pub(super) http_only: bool,
    pub(super) same_site: Option<SameSite>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MaxAge {
    /// Zero or less: it ends at once.
    Over,
    For(Duration),
}

impl<'a> SetCookie<'a> {
    pub(super) fn parse(text: &'a [u8]) -> Result<Self, Refused> {
        check_characters(text)?;
        let mut parts = text.split(|&byte| byte == b';');
        let pair = parts.next().unwrap_or_default();
        let (name, value) = split(pair).unwrap_or((b"", trim(pair)));
        check_pair(name, value)?;
        let mut cookie = Self { name, value, ..Self::default() };
        for attribute in parts {
            let (name, value) = split(attribute).unwrap_or((trim(attribute), b""));
            if value.len() <= LONGEST_ATTRIBUTE {
                cookie.take(name, value);
            }
        }
        Ok(cookie)
    }

    fn take(&mut self, name: &[u8], value: &'a [u8]) {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("expires") {
            self.expires = date::parse(value).or(self.expires);
        } else if is("max-age") {
            self.max_age = max_age(value).or(self.max_age);
        } else if is("domain") {
            self.domain = value.strip_prefix(b".").unwrap_or(value);
        } else if is("path") {
            self.path = Some(value);
        } else if is("secure") {
            self.secure = true;
        } else if is("httponly") {
            self.http_only = true;
        } else if is("samesite") {
            self.same_site = same_site(value);
        }
    }
}

/// Refuses characters that no cookie may have, from any source.
pub(super) fn check_characters(text: &[u8]) -> Result<(), Refused> {
    let refused = |&byte: &u8| byte != b'\t' && byte.is_ascii_control();
    if text.iter().any(refused) { Err(Refused::ControlCharacter) } else { Ok(()) }
}

pub(super) fn check_pair(name: &[u8], value: &[u8]) -> Result<(), Refused> {
    match name.len() + value.len() {
        0 => Err(Refused::Empty),
        1..=LONGEST_PAIR => Ok(()),
        length => Err(Refused::TooLong(length)),
    }
}

fn split(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = pair.iter().position(|&byte| byte == b'=')?;
    Some((trim(&pair[..at]), trim(&pair[at + 1..])))
}

/// Spaces and tabs alone, which is what the algorithm calls white space.
fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

fn max_age(value: &[u8]) -> Option<MaxAge> {
    let (negative, digits) = match value {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // More than fits is as good as the most there can be.
    let seconds = std::str::from_utf8(digits).ok()?.parse().unwrap_or(u64::MAX);
    Some(if negative || seconds == 0 { MaxAge::Over } else { MaxAge::For(Duration::from_secs(seconds)) })
}

fn same_site(value: &[u8]) -> Option<SameSite> {
    let known = [("strict", SameSite::Strict), ("lax", SameSite::Lax), ("none", SameSite::None)];
    known.into_iter().find(|(name, _)| value.eq_ignore_ascii_case(name.as_bytes())).map(|(_, site)| site)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> SetCookie<'_> {
        SetCookie::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_pair_ends_at_a_semicolon_and_splits_at_the_first_equals() {
        for (text, name, value) in [
            ("a=b", "a", "b"),
            ("a=b=c;d=e", "a", "b=c"),
            (" \t a b \t=\t b c ; d", "a b", "b c"),
            ("a=", "a", ""),
            ("=b", "", "b"),
            ("b", "", "b"),
            (" b ; Secure", "", "b"),
            ("a=\"b c\"", "a", "\"b c\""),
            ("a=%41%3b", "a", "%41%3b"),
            ("a=b\tc", "a", "b\tc"),
            ("a=\u{a0}b\u{a0}", "a", "\u{a0}b\u{a0}"),
        ] {
            let cookie = parse(text);
            assert_eq!((cookie.name, cookie.value), (name.as_bytes(), value.as_bytes()), "{text:?}");
        }
        assert_eq!(SetCookie::parse(b"a=\xff\xfe").unwrap().value, b"\xff\xfe");
    }

    #[test]
    fn a_cookie_of_nothing_is_refused() {
        for text in ["", "=", " = ", ";", " ;a=b; Path=/"] {
            assert_eq!(SetCookie::parse(text.as_bytes()).unwrap_err(), Refused::Empty, "{text:?}");
        }
    }

    #[test]
    fn control_characters_are_refused_wherever_they_stand() {
        for byte in (0..=0x1f).chain([0x7f]) {
            for text in [[b'a', byte, b'=', b'b'], [b'a', b'=', byte, b'b'], [b'a', b'b', b';', byte]] {
                assert_eq!(SetCookie::parse(&text).is_err(), byte != b'\t', "{text:?}");
            }
        }
        SetCookie::parse(b"a=\x80\x9f").unwrap();
    }

    #[test]
    fn name_and_value_have_4096_bytes_at_most_without_white_space() {
        let fits = format!("  abc =  {}  ; Path=/", "x".repeat(4093));
        SetCookie::parse(fits.as_bytes()).unwrap();
        let longer = format!("abc={}", "x".repeat(4094));
        assert_eq!(SetCookie::parse(longer.as_bytes()).unwrap_err(), Refused::TooLong(4097));
        let nameless = "x".repeat(4097);
        assert_eq!(SetCookie::parse(nameless.as_bytes()).unwrap_err(), Refused::TooLong(4097));
    }

    #[test]
    fn attributes_are_known_in_any_case_and_others_are_ignored() {
        let cookie = parse("a=b; SECURE; hTTPoNLY=whatever ; sameSITE = STRICT;PATH=/x;x=y;; = ;Secure=no");
        assert!(cookie.secure && cookie.http_only);
        assert_eq!((cookie.same_site, cookie.path), (Some(SameSite::Strict), Some(b"/x".as_slice())));
        assert_eq!(parse("a=b; SameSite=Lax").same_site, Some(SameSite::Lax));
        assert_eq!(parse("a=b; SameSite=None").same_site, Some(SameSite::None));
        assert_eq!(parse("a=b; SameSite=Strict; SameSite=else").same_site, None);
    }

    #[test]
    fn the_last_of_an_attribute_holds_unless_it_says_nothing() {
        assert_eq!(parse("a=b; Path=/1; Path=/2").path, Some(b"/2".as_slice()));
        assert_eq!(parse("a=b; Path=/1; Path").path, Some(b"".as_slice()));
        assert_eq!(parse("a=b; Domain=x.com; Domain=.Y.com").domain, b"Y.com");
        assert_eq!(parse("a=b; Domain=x.com; Domain=").domain, b"");
        assert_eq!(parse("a=b; Domain=..x.com").domain, b".x.com");
        let max_age = parse("a=b; Max-Age=1; Max-Age=2; Max-Age=x").max_age;
        assert_eq!(max_age, Some(MaxAge::For(Duration::from_secs(2))));
        let expires = parse("a=b; Expires=1 Jan 70 00:00:00; Expires=never").expires;
        assert_eq!(expires, Some(SystemTime::UNIX_EPOCH));
    }

    #[test]
    fn an_attribute_of_more_than_1024_bytes_is_not_there() {
        let long = |length: usize| format!("a=b; Path=/{}; Domain={}", "x".repeat(length - 1), "y".repeat(length));
        let (fits, longer) = (long(1024), long(1025));
        assert_eq!((parse(&fits).path.unwrap().len(), parse(&fits).domain.len()), (1024, 1024));
        assert_eq!((parse(&longer).path, parse(&longer).domain), (None, b"".as_slice()));
    }

    #[test]
    fn max_age_is_a_whole_number_and_nothing_else() {
        let seconds = |seconds| Some(MaxAge::For(Duration::from_secs(seconds)));
        for (value, expected) in [
            ("10", seconds(10)),
            ("007", seconds(7)),
            ("0", Some(MaxAge::Over)),
            ("-0", Some(MaxAge::Over)),
            ("-10", Some(MaxAge::Over)),
            ("99999999999999999999999999", seconds(u64::MAX)),
            ("-99999999999999999999999999", Some(MaxAge::Over)),
            ("", None),
            ("-", None),
            ("--1", None),
            ("+1", None),
            ("1.5", None),
            ("1s", None),
            ("1 0", None),
            ("\u{661}", None),
        ] {
            assert_eq!(parse(&format!("a=b; Max-Age={value}")).max_age, expected, "{value:?}");
        }
    }
}
