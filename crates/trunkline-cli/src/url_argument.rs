//! Parser of URLs to fetch, with messages for common mistakes.

use trunkline::redact_url;
use url::{Host, ParseError, Url};

/// Limits of a host name and of a label between its dots (RFC 1035 section 2.3.4). The 255 octets
/// of a name include two that are not letters.
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// Parses an `http` or `https` URL.
///
/// # Errors
///
/// A message that names the text without its secrets.
pub(crate) fn parse(text: &str) -> Result<Url, String> {
    if is_several(text) {
        return Err(format!(
            "{:?} is more than one URL: write each on a line of its own, or as an argument of its own",
            shown(text)
        ));
    }
    // The parser removes some of them, as browsers do: two lines with only a carriage return
    // between them would become one URL.
    if text.contains(char::is_control) {
        return Err(format!("{:?} has a control character in it, as no URL does", shown(text)));
    }
    match Url::parse(text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") => Err(not_a_url(text, None)),
        Ok(url) if url.domain().is_some_and(is_too_long) => Err(format!(
            "the host of {:?} cannot be one: a name has {LONGEST_NAME} letters at most, and {LONGEST_LABEL} between its dots",
            shown(text)
        )),
        Ok(url) => Ok(url),
        Err(error) => Err(not_a_url(text, Some(error))),
    }
}

/// True if a URL begins behind a space or a comma. In a query, a comma is part of the URL.
fn is_several(text: &str) -> bool {
    let begins = |rest: &str| rest.starts_with("http://") || rest.starts_with("https://");
    let place = text.find(['?', '#']).unwrap_or(text.len());
    begins(text)
        && text.match_indices([' ', '\t', ',']).any(|(at, sign)| begins(&text[at + 1..]) && (sign != "," || at < place))
}

fn is_too_long(domain: &str) -> bool {
    let name = domain.strip_suffix('.').unwrap_or(domain);
    name.len() > LONGEST_NAME || name.split('.').any(|label| label.len() > LONGEST_LABEL)
}

fn not_a_url(text: &str, error: Option<ParseError>) -> String {
    let message = format!("{:?} is not an http or https URL", shown(text));
    if let Some(meant) = with_scheme(text) {
        return format!("{message}: did you mean {}?", redact_url(&meant));
    }
    let message = format!("{message}, such as https://example.com/path");
    match error {
        None | Some(ParseError::RelativeUrlWithoutBase) => message,
        Some(error) => format!("{message}: {error}"),
    }
}

/// The text with `http://` in front, if that gives a plausible host.
fn with_scheme(text: &str) -> Option<Url> {
    let place = text.split(['?', '#']).next().unwrap_or_default();
    if place.contains("://") || place.contains('@') {
        return None;
    }
    let url = Url::parse(&format!("http://{}", text.strip_prefix("//").unwrap_or(text))).ok()?;
    let looks_right = match url.host()? {
        Host::Domain(name) => name.contains('.') || name == "localhost",
        // A single number also parses as an IPv4 address.
        Host::Ipv4(_) => text.contains('.'),
        Host::Ipv6(_) => true,
    };
    looks_right.then_some(url)
}

/// The text for a message, without secrets: credentials end at the last `@`, and a query may be a
/// secret.
fn shown(text: &str) -> String {
    let bare = match text.rsplit_once('@') {
        Some((credentials, rest)) => format!("{}…@{rest}", scheme(credentials)),
        None => text.to_owned(),
    };
    bare.split(['?', '#']).next().unwrap_or_default().chars().take(200).collect()
}

/// The scheme with its `://`. Other text before `://` may be a password.
fn scheme(text: &str) -> &str {
    let end = text.find("://").filter(|&end| text[..end].bytes().all(|byte| byte.is_ascii_alphabetic()));
    end.map_or("", |end| &text[..end + 3])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_scheme_is_suggested() {
        for (text, meant) in [
            ("example.com", "http://example.com/"),
            ("example.com/x?token=s3cret&to=http://a@b/", "http://example.com/x"),
            ("//example.com/x", "http://example.com/x"),
            ("localhost:8000/x", "http://localhost:8000/x"),
            ("127.0.0.1:8000", "http://127.0.0.1:8000/"),
            ("[::1]/x", "http://[::1]/x"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.ends_with(&format!(" is not an http or https URL: did you mean {meant}?")), "{message}");
        }
    }

    #[test]
    fn no_suggestion_is_made_for_nonsense() {
        for text in
            ["", "5", "word", "/etc/passwd", "not a url", "ftp://example.com/", "http//example.com", "-x", "http://"]
        {
            let message = parse(text).unwrap_err();
            assert!(message.contains(", such as https://example.com/path"), "{message}");
        }
    }

    #[test]
    fn a_message_has_no_secret() {
        for text in [
            "ann:s3cret@example.com/",
            ".https://ann:s3cret@example.com/",
            "ftp://ann:s3cret@example.com/",
            "ann:s3cret@",
            "http://ann:s3cret@[",
            "x?s3cret",
        ] {
            let message = parse(text).unwrap_err();
            assert!(!message.contains("s3cret"), "{message}");
        }
        let message = parse("postgres://ann:s3cret@db:5433/pages").unwrap_err();
        assert!(message.starts_with("\"postgres://…@db:5433/pages\" is not an http or https URL"), "{message}");
    }

    #[test]
    fn two_lines_are_not_taken_for_one() {
        for text in ["http://a/1\rhttp://a/2", "http://a/\0", "http://a/\t", "http://a/\u{9b}"] {
            assert!(parse(text).unwrap_err().ends_with("has a control character in it, as no URL does"));
        }
    }

    #[test]
    fn several_urls_are_not_taken_for_one() {
        for text in
            ["http://a/1 http://a/2", "http://a/1\thttps://a/2", "http://a/1,http://a/2", "http://a/?b, http://a/"]
        {
            assert!(parse(text).unwrap_err().contains(" is more than one URL: "), "{text}");
        }
        assert!(!parse("http://ann:s3cret@a/ http://ann:s3cret@b/").unwrap_err().contains("s3cret"));
        for text in ["http://a/b c", "http://a/http://b", "http://a/?to=http://b", "http://a/?of=http://b,http://c"] {
            assert!(parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_host_name_has_valid_lengths() {
        let label = "a".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        for (host, fits) in
            [(longest.clone(), true), (longest.clone() + ".", true), (longest + "a", false), (label + "a.b", false)]
        {
            assert_eq!(parse(&format!("http://{host}/")).is_ok(), fits, "{host}");
        }
    }
}
