//! Charset of a page: the HTML standard's "encoding sniffing algorithm", without guessing.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, X_USER_DEFINED};
use http::header::HeaderMap;
use trunkline::ContentType;

/// An encoding, and how sure that is.
#[derive(Clone, Copy)]
pub(super) struct Charset {
    pub(super) encoding: &'static Encoding,
    /// Something outside of the page says so, and no `<meta>` is asked.
    pub(super) certain: bool,
    /// The length of the byte order mark.
    pub(super) mark: usize,
}

impl Charset {
    /// By the byte order mark, else the header; else it is windows-1252 until the page says
    /// otherwise.
    pub(super) fn of(headers: &HeaderMap, body: &[u8]) -> Self {
        if let Some((encoding, mark)) = Encoding::for_bom(body) {
            return Self { encoding, certain: true, mark };
        }
        match named_by(headers) {
            Some(encoding) => Self { encoding, certain: true, mark: 0 },
            None => Self { encoding: WINDOWS_1252, certain: false, mark: 0 },
        }
    }

    /// A `<meta>` has named this one.
    pub(super) fn changed(self, label: &str) -> Option<Self> {
        if self.certain {
            return None;
        }
        let encoding = Encoding::for_label(label.as_bytes())?;
        // A `<meta>` that was read as ASCII cannot be in UTF-16.
        let encoding = if encoding == UTF_16LE || encoding == UTF_16BE {
            UTF_8
        } else if encoding == X_USER_DEFINED {
            WINDOWS_1252
        } else {
            encoding
        };
        Some(Self { encoding, certain: true, ..self })
    }

    /// The text; what is malformed in it becomes U+FFFD.
    pub(super) fn decode(self, body: &[u8]) -> String {
        self.encoding.decode_without_bom_handling(&body[self.mark..]).0.into_owned()
    }
}

/// The encoding that the `Content-Type` header names.
fn named_by(headers: &HeaderMap) -> Option<&'static Encoding> {
    Encoding::for_label(ContentType::of(headers)?.charset()?.as_bytes())
}

#[cfg(test)]
mod tests {
    use encoding_rs::{ISO_8859_2, WINDOWS_1252};
    use http::header::CONTENT_TYPE;

    use super::*;

    #[test]
    fn header_charset_is_read_behind_a_quoted_semicolon() {
        for (content_type, encoding) in [
            ("text/html; charset=iso-8859-2", ISO_8859_2),
            ("text/html; Charset=\"iso-8859-2\"", ISO_8859_2),
            ("text/html; profile=\"a;b\"; charset=iso-8859-2", ISO_8859_2),
            ("text/html; profile=\";charset=iso-8859-2\"", WINDOWS_1252),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type.parse().unwrap())]);
            assert_eq!(Charset::of(&headers, b"").encoding, encoding, "{content_type}");
        }
    }
}
