//! What a page is read in: the HTML standard's "encoding sniffing algorithm", without guessing.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, X_USER_DEFINED};
use http::header::{CONTENT_TYPE, HeaderMap};

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
        // Whoever could read the label has not read UTF-16.
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

fn named_by(headers: &HeaderMap) -> Option<&'static Encoding> {
    let content_type = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let mut parameters = content_type.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let (_, label) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))?;
    Encoding::for_label(label.trim().trim_matches('"').as_bytes())
}
