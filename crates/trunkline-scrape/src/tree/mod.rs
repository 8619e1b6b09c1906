//! A page's markup, read: its charset, its tree, and what its forms need to know of it.

mod base;
mod charset;
mod limits;
mod parse;
mod referrer;
pub(crate) mod select;
mod sink;
mod walk;

use encoding_rs::Encoding;
use http::HeaderMap;
use url::Url;

pub(crate) use self::base::{encoder, resolve};
pub(crate) use self::limits::{DEPTH, Limits};
pub(crate) use self::parse::{Parsed, parse};
pub(crate) use self::referrer::Policy;
pub(crate) use self::select::{collapsed, text_without};
pub(crate) use self::sink::Owners;
pub(crate) use self::walk::{WalkEvent, walk};

/// The context of a page's forms.
pub(crate) struct Context {
    /// The URL of the page.
    pub(crate) url: Url,
    /// The base of relative URLs.
    pub(crate) base: Url,
    pub(crate) encoding: &'static Encoding,
    pub(crate) referrer: Policy,
}

impl Context {
    pub(crate) fn new(url: &Url, headers: &HeaderMap, parsed: &Parsed) -> Self {
        Self {
            url: url.clone(),
            base: base::of(&parsed.html, url, parsed.encoding),
            encoding: parsed.encoding,
            referrer: Policy::of(headers, &parsed.html),
        }
    }
}
