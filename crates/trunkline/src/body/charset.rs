//! The charset of a text (the Encoding standard, encoding.spec.whatwg.org).

use bytes::Bytes;
#[cfg(feature = "charset")]
use encoding_rs::Encoding;
use http::header::HeaderMap;

use crate::content_type::ContentType;

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

    /// The charset that `Content-Type` names, if it is known.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        Self::named(&ContentType::of(headers)?.charset()?)
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

/// UTF-8's byte order mark.
const BOM: &[u8] = &[0xef, 0xbb, 0xbf];

/// Without the mark, which need not be there and may be (RFC 8259 section 8.1).
pub(crate) fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BOM).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::CONTENT_TYPE;

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
