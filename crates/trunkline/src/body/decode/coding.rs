//! The content codings: which there are, which are asked for, which a response says it has.

use http::header::{CONTENT_ENCODING, HeaderMap, HeaderValue};

use super::Codec;

/// The limit on stacked codings. One saves as many bytes as several.
const MOST: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    #[cfg(feature = "gzip")]
    Gzip,
    #[cfg(feature = "deflate")]
    Deflate,
    #[cfg(feature = "br")]
    Br,
    #[cfg(feature = "zstd")]
    Zstd,
}

const KNOWN: &[Coding] = &[
    #[cfg(feature = "gzip")]
    Coding::Gzip,
    #[cfg(feature = "deflate")]
    Coding::Deflate,
    #[cfg(feature = "br")]
    Coding::Br,
    #[cfg(feature = "zstd")]
    Coding::Zstd,
];

impl Coding {
    pub(super) const fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "gzip")]
            Self::Gzip => "gzip",
            #[cfg(feature = "deflate")]
            Self::Deflate => "deflate",
            #[cfg(feature = "br")]
            Self::Br => "br",
            #[cfg(feature = "zstd")]
            Self::Zstd => "zstd",
        }
    }

    pub(super) fn codec(self) -> Box<dyn Codec> {
        match self {
            #[cfg(feature = "gzip")]
            Self::Gzip => Box::new(super::zlib::Gzip::new()),
            #[cfg(feature = "deflate")]
            Self::Deflate => Box::<super::zlib::Deflate>::default(),
            #[cfg(feature = "br")]
            Self::Br => Box::new(super::br::Br::new()),
            #[cfg(feature = "zstd")]
            Self::Zstd => Box::new(super::zstd::Zstd::new()),
        }
    }
}

/// The value of `Accept-Encoding`. None if no coding is built in.
pub(crate) fn offer() -> Option<HeaderValue> {
    let names: Vec<_> = KNOWN.iter().map(|coding| coding.name()).collect();
    HeaderValue::try_from(names.join(", ")).ok().filter(|value| !value.is_empty())
}

/// The codings of a body, in the order of their application. None if one of them is unknown or
/// there are too many: a half-decoded body is of no use.
pub(super) fn of(headers: &HeaderMap) -> Vec<Coding> {
    let mut codings = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        let Ok(names) = value.to_str() else { return Vec::new() };
        for name in names.split(',').map(str::trim).filter(|name| !is_nothing(name)) {
            match named(name) {
                Some(coding) if codings.len() < MOST => codings.push(coding),
                _ => return Vec::new(),
            }
        }
    }
    codings
}

/// An empty place in a list (RFC 9110 section 5.6.1.2), or the coding that codes nothing.
fn is_nothing(name: &str) -> bool {
    name.is_empty() || name.eq_ignore_ascii_case("identity")
}

fn named(name: &str) -> Option<Coding> {
    // RFC 9110 section 8.4.1.3.
    let name = if name.eq_ignore_ascii_case("x-gzip") { "gzip" } else { name };
    KNOWN.iter().copied().find(|coding| coding.name().eq_ignore_ascii_case(name))
}
