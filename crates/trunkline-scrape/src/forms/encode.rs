//! Entries → bytes, in a charset. What it has no letter for becomes a decimal reference, `&#8364;`,
//! as in a browser.

use std::borrow::Cow;

use encoding_rs::Encoding;
use url::form_urlencoded::Serializer;

use super::entries::{Content, Entry};
use crate::tree::encoder;

/// `application/x-www-form-urlencoded`
pub(super) fn urlencoded(entries: &[Entry], encoding: &'static Encoding) -> String {
    let encode = encoder(encoding);
    let mut serializer = Serializer::new(String::new());
    serializer.encoding_override(Some(&encode));
    for entry in entries {
        serializer.append_pair(&with_crlf(&entry.name), &with_crlf(entry.value.as_text()));
    }
    serializer.finish()
}

/// `text/plain`, which cannot be parsed unambiguously.
pub(super) fn plain(entries: &[Entry], encoding: &'static Encoding) -> Vec<u8> {
    let line = |entry: &Entry| format!("{}={}\r\n", with_crlf(&entry.name), with_crlf(entry.value.as_text()));
    let text: String = entries.iter().map(line).collect();
    encoding.encode(&text).0.into_owned()
}

/// "Replace every occurrence of U+000D (CR) not followed by U+000A (LF), and every occurrence of
/// U+000A (LF) not preceded by U+000D (CR), by a string consisting of a U+000D (CR) and U+000A
/// (LF)."
pub(super) fn with_crlf(text: &str) -> Cow<'_, str> {
    if !text.contains(['\r', '\n']) {
        return text.into();
    }
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n").into()
}

impl Content {
    /// Of a file it is the name, where the file itself is not sent.
    pub(super) fn as_text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::File(file) => &file.name,
        }
    }
}
