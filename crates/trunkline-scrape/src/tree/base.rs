//! Base URL of a page (the HTML standard's "document base URL").

use std::borrow::Cow;

use encoding_rs::Encoding;
use scraper::Html;
use url::Url;

use super::walk::elements;

/// That of the first `<base>` with an `href`, unless it is unusable.
pub(super) fn of(html: &Html, url: &Url, encoding: &'static Encoding) -> Url {
    let mut bases = elements(html).filter(|element| element.value().name() == "base");
    let href = bases.find_map(|base| base.attr("href"));
    let base = href
        .and_then(|href| resolve(url, href, encoding))
        .filter(|base| !["data", "javascript"].contains(&base.scheme()));
    base.unwrap_or_else(|| url.clone())
}

/// An address of a page's. What its query has beyond ASCII is in the page's encoding.
pub(crate) fn resolve(base: &Url, address: &str, encoding: &'static Encoding) -> Option<Url> {
    let encode = encoder(encoding);
    Url::options().base_url(Some(base)).encoding_override(Some(&encode)).parse(address).ok()
}

/// The encoder that `url` expects.
pub(crate) fn encoder(encoding: &'static Encoding) -> impl Fn(&str) -> Cow<'_, [u8]> {
    move |text| encoding.encode(text).0
}
