//! Pages written in a test.

use http::HeaderMap;
use trunkline_scrape::{Document, Form, FormChoice, Result};
use url::Url;

pub(crate) fn url() -> Url {
    Url::parse("https://example.com/dir/page?q=1").unwrap()
}

pub(crate) fn parsed(html: impl AsRef<[u8]>) -> Result<Document> {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "text/html; charset=utf-8".parse().unwrap());
    Document::parse(&url(), &headers, html)
}

/// The first form of a page.
pub(crate) fn form(html: &str) -> Form {
    parsed(html).unwrap().form(&FormChoice::Position(0)).unwrap()
}
