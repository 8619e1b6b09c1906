//! The `Content-Type` header: media type and parameters (RFC 9110 section 8.3.1).

use std::borrow::Cow;

use http::header::{CONTENT_TYPE, HeaderMap};

/// A `Content-Type` header: the media type and its parameters (RFC 9110 section 8.3.1).
///
/// ```
/// use trunkline::ContentType;
///
/// let content_type = ContentType::parse("Text/HTML; charset=\"utf-8\"");
/// assert!(content_type.is("text/html"));
/// assert_eq!(content_type.charset().as_deref(), Some("utf-8"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentType<'a>(Cow<'a, str>);

impl<'a> ContentType<'a> {
    /// The header's value as given. Nothing is refused: a malformed value has the type or the
    /// parameters that can be read from it.
    pub fn parse(value: &'a str) -> Self {
        Self(value.into())
    }

    /// The first `Content-Type` of the headers. None if there is none.
    pub fn of(headers: &'a HeaderMap) -> Option<Self> {
        headers.get(CONTENT_TYPE).map(|value| Self(String::from_utf8_lossy(value.as_bytes())))
    }

    /// The media type as it was written, without parameters: `text/html`.
    pub fn media_type(&self) -> &str {
        self.0.split(';').next().unwrap_or_default().trim()
    }

    /// True if this is the media type, in any case.
    pub fn is(&self, media_type: &str) -> bool {
        self.media_type().eq_ignore_ascii_case(media_type)
    }

    /// The value of the first parameter of this name, in any case, without its quotes.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let (_, mut rest) = self.0.split_once(';')?;
        loop {
            let (found, value, following) = split_parameter(rest)?;
            if found.eq_ignore_ascii_case(name) {
                return Some(value);
            }
            rest = following;
        }
    }

    /// The `charset` parameter.
    pub fn charset(&self) -> Option<String> {
        self.parameter("charset")
    }
}

/// Name and value of the first parameter, and the text after it (RFC 9110 section 5.6.6). Text
/// between a quoted value and the next `;` is skipped, as in the MIME Sniffing standard.
fn split_parameter(text: &str) -> Option<(&str, String, &str)> {
    let (name, text) = text.split_at(text.find(['=', ';'])?);
    let name = name.trim();
    let Some(text) = text.strip_prefix('=') else { return Some((name, String::new(), &text[1..])) };
    let Some(quoted) = text.trim_start().strip_prefix('"') else {
        let (value, rest) = text.split_once(';').unwrap_or((text, ""));
        return Some((name, value.trim().to_owned(), rest));
    };
    let (mut value, mut rest) = (String::new(), quoted.chars());
    while let Some(char) = rest.next().filter(|&char| char != '"') {
        // A backslash escapes the next character.
        value.extend(if char == '\\' { rest.next() } else { Some(char) });
    }
    Some((name, value, rest.as_str().split_once(';').map_or("", |(_, rest)| rest)))
}
