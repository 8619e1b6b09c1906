//! The charset of a text (the Encoding standard, encoding.spec.whatwg.org).

use bytes::Bytes;
#[cfg(feature = "charset")]
use encoding_rs::Encoding;
use http::header::{CONTENT_TYPE, HeaderMap};

/// A way to read bytes as text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Charset {
    #[cfg(feature = "charset")]
    encoding: &'static Encoding,
}

impl Charset {
    pub(crate) const UTF_8: Self = Self {
        #[cfg(feature = "charset")]
        encoding: encoding_rs::UTF_8,
    };

    /// By a label, `latin1` for instance.
    #[cfg(feature = "charset")]
    pub(crate) fn named(label: &str) -> Option<Self> {
        Encoding::for_label_no_replacement(label.as_bytes()).map(|encoding| Self { encoding })
    }

    /// Nothing but UTF-8 is built in.
    #[cfg(not(feature = "charset"))]
    pub(crate) fn named(label: &str) -> Option<Self> {
        label.eq_ignore_ascii_case("utf-8").then_some(Self::UTF_8)
    }

    /// The one that the headers name, if it is known.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let content_type = String::from_utf8_lossy(headers.get(CONTENT_TYPE)?.as_bytes());
        let (_, mut parameters) = content_type.split_once(';')?;
        loop {
            let (name, value, rest) = parameter(parameters)?;
            if name.eq_ignore_ascii_case("charset") {
                return Self::named(&value);
            }
            parameters = rest;
        }
    }

    /// The text; what is malformed in it becomes U+FFFD. A byte order mark is worth more than any
    /// header, and is no part of the text.
    pub(crate) fn decode(self, bytes: Bytes) -> String {
        #[cfg(feature = "charset")]
        {
            let (encoding, mark) = Encoding::for_bom(&bytes).unwrap_or((self.encoding, 0));
            if encoding != encoding_rs::UTF_8 {
                return encoding.decode_without_bom_handling(&bytes[mark..]).0.into_owned();
            }
        }
        let text = if bytes.starts_with(BOM) { bytes.slice(BOM.len()..) } else { bytes };
        // In the common case the bytes become the text, uncopied.
        String::from_utf8(text.into()).unwrap_or_else(|odd| String::from_utf8_lossy(odd.as_bytes()).into_owned())
    }
}

/// The first parameter of a media type, and the others (RFC 9110 section 5.6.6). What follows a
/// quoted value up to the next `;` is passed over, as the MIME Sniffing standard has it.
fn parameter(text: &str) -> Option<(&str, String, &str)> {
    let (name, text) = text.split_at(text.find(['=', ';'])?);
    let name = name.trim();
    let Some(text) = text.strip_prefix('=') else { return Some((name, String::new(), &text[1..])) };
    let Some(quoted) = text.trim_start().strip_prefix('"') else {
        let (value, rest) = text.split_once(';').unwrap_or((text, ""));
        return Some((name, value.trim().to_owned(), rest));
    };
    let (mut value, mut rest) = (String::new(), quoted.chars());
    while let Some(char) = rest.next().filter(|&char| char != '"') {
        // A backslash stands for what follows it.
        value.extend(if char == '\\' { rest.next() } else { Some(char) });
    }
    Some((name, value, rest.as_str().split_once(';').map_or("", |(_, rest)| rest)))
}

/// UTF-8's byte order mark.
const BOM: &[u8] = &[0xef, 0xbb, 0xbf];

/// Without the mark, which need not be there and may be (RFC 8259 section 8.1).
pub(crate) fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BOM).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_charset_is_a_parameter_and_nothing_that_looks_like_one() {
        let is_known = |content_type: &'static str| {
            Charset::of(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))])).is_some()
        };
        for known in [
            "text/html;charset=utf-8",
            "text/html; CHARSET = \"utf-8\"",
            "text/html; charset=\"ut\\f-8",
            "text/html; x=\"a;charset=b\"; charset=utf-8",
            "text/html; x=\"a\\\";charset=b\" c; charset=utf-8",
            "text/html; ; x; y=; charset=utf-8; charset=b",
        ] {
            assert!(is_known(known), "{known}");
        }
        for unknown in [
            "text/html",
            "charset=utf-8",
            "text/html; charset",
            "text/html; charset=",
            "text/html; charset=none; charset=utf-8",
            "text/html; x=\"a; charset=utf-8",
            "text/html; x=\"a; charset=utf-8\"",
            "text/html; x=charset=utf-8",
        ] {
            assert!(!is_known(unknown), "{unknown}");
        }
        let odd = HeaderValue::from_bytes(b"text/html; title=caf\xe9; charset=utf-8").unwrap();
        assert!(Charset::of(&HeaderMap::from_iter([(CONTENT_TYPE, odd)])).is_some());
    }
}
