//! The text of the cookie file that curl, wget and Python's `MozillaCookieJar` read and write.
//!
//! A line for each cookie, of seven fields with tabs between them: domain, whether hosts below it
//! are meant (`TRUE`, and the domain has a leading dot), path, whether it is `Secure`, when it
//! expires in seconds from 1970 (0: a session cookie), name, value. `#HttpOnly_` before the domain
//! marks an `HttpOnly` cookie; any other `#` begins a comment.

use std::time::{Duration, SystemTime};

use super::cookie::Cookie;

const HTTP_ONLY: &[u8] = b"#HttpOnly_";

const HEADER: &str = "\
# Netscape HTTP Cookie File
# Written by trunkline. Anybody who has what is in it is logged in: keep it to yourself.

";

/// The cookies, each with the number of its line, from 1.
///
/// # Errors
///
/// The number of the first line that is none, and what is wrong with it, without what may be a
/// secret.
pub(super) fn read(text: &[u8]) -> impl Iterator<Item = (usize, Result<Cookie, &'static str>)> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let lines = text.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    (1..).zip(lines).filter(|(_, line)| !is_comment(line)).map(|(number, line)| (number, cookie(line)))
}

fn is_comment(line: &[u8]) -> bool {
    line.trim_ascii().is_empty() || (line.starts_with(b"#") && !line.starts_with(HTTP_ONLY))
}

fn cookie(line: &[u8]) -> Result<Cookie, &'static str> {
    let (http_only, line) = match line.strip_prefix(HTTP_ONLY) {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let mut fields = line.splitn(7, |&byte| byte == b'\t');
    let mut field =
        || fields.next().ok_or("it has fewer than the seven fields of a cookie, which have tabs between them");
    let (domain, below, path) = (text(field()?)?, flag(field()?)?, text(field()?)?);
    let (secure, expires, name) = (flag(field()?)?, expires(field()?)?, field()?);
    if !path.starts_with('/') {
        return Err("its path does not begin with /");
    }
    Ok(Cookie {
        name: name.into(),
        // Some programs leave out an empty value, and its tab.
        value: field().unwrap_or_default().into(),
        domain: host(domain.strip_prefix('.').unwrap_or(domain)).into(),
        host_only: !below,
        path: path.into(),
        expires,
        secure,
        http_only,
        same_site: None,
    })
}

fn text(field: &[u8]) -> Result<&str, &'static str> {
    std::str::from_utf8(field).map_err(|_| "its domain or its path is not text")
}

/// Without its port: wget writes one that is not 80 or 443, and to cookies it makes no difference.
fn host(domain: &str) -> &str {
    match domain.rsplit_once(':') {
        // An IPv6 address has colons of its own.
        Some((host, port)) if !host.contains(':') && port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => domain,
    }
}

fn flag(field: &[u8]) -> Result<bool, &'static str> {
    match field {
        field if field.eq_ignore_ascii_case(b"TRUE") => Ok(true),
        field if field.eq_ignore_ascii_case(b"FALSE") => Ok(false),
        _ => Err("its second and fourth fields have to be TRUE or FALSE"),
    }
}

/// `None` for a session cookie, whose expiry Python leaves empty. Some programs write fractions of
/// a second.
fn expires(field: &[u8]) -> Result<Option<SystemTime>, &'static str> {
    if field.is_empty() {
        return Ok(None);
    }
    let wrong = "its expiry is not a number of seconds from 1970, or 0 for a session cookie";
    let text = std::str::from_utf8(field).map_err(|_| wrong)?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let whole = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !whole(seconds) || !whole(fraction) {
        return Err(wrong);
    }
    // A number out of range becomes the latest time.
    let seconds = seconds.parse().unwrap_or(u64::MAX).min(u64::from(u32::MAX) * 100);
    Ok((seconds > 0).then(|| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)))
}

/// The file. What cannot be written in it is left out: a name or a path with a tab in it.
pub(super) fn write<'a>(cookies: impl IntoIterator<Item = &'a Cookie>) -> Vec<u8> {
    let mut file = HEADER.as_bytes().to_vec();
    for cookie in cookies {
        if cookie.name.contains(&b'\t') || cookie.path.contains('\t') {
            tracing::warn!(
                target: "trunkline::session",
                domain = &*cookie.domain,
                "a cookie has a tab in its name or path, and no place in a cookie file"
            );
            continue;
        }
        line(&mut file, cookie);
    }
    file
}

fn line(file: &mut Vec<u8>, cookie: &Cookie) {
    let flag = |set| if set { "TRUE" } else { "FALSE" };
    let expires = match cookie.expires {
        None => 0,
        // 0 would make a session cookie of it.
        Some(at) => at.duration_since(SystemTime::UNIX_EPOCH).map_or(1, |after| after.as_secs().max(1)),
    };
    if cookie.http_only {
        file.extend_from_slice(HTTP_ONLY);
    }
    let dot = if cookie.host_only { "" } else { "." };
    let (below, secure) = (flag(!cookie.host_only), flag(cookie.secure));
    let fields = format!("{dot}{}\t{below}\t{}\t{secure}\t{expires}\t", cookie.domain, cookie.path);
    file.extend_from_slice(fields.as_bytes());
    file.extend_from_slice(&cookie.name);
    file.push(b'\t');
    file.extend_from_slice(&cookie.value);
    file.push(b'\n');
}
