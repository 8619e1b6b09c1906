//! A page as it was fetched.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use trunkline::{ContentType, Response, redact_url};
use url::Url;

use crate::document::{Document, Parser};
use crate::error::Result;

/// A page as it was fetched: whole, and not looked at yet.
#[derive(Clone)]
#[non_exhaustive]
pub struct Page {
    /// The URL requested.
    pub requested: Url,
    /// The URL of the response, after all redirects.
    pub url: Url,
    /// Its status, which may be that of an error.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, decompressed.
    pub body: Bytes,
    /// The parser of the page.
    pub(crate) parser: Parser,
}

impl Page {
    /// One without a body.
    pub(crate) fn head(requested: &Url, response: &Response, parser: &Parser) -> Self {
        Self {
            requested: requested.clone(),
            url: response.url().clone(),
            status: response.status(),
            headers: response.headers().clone(),
            body: Bytes::new(),
            parser: parser.clone(),
        }
    }

    /// The page, parsed, within the limits of the [`parser`](crate::Scraper::parser) of the scraper
    /// that fetched it.
    ///
    /// # Errors
    ///
    /// As [`Document::parse`].
    pub fn document(&self) -> Result<Document> {
        self.parser.parse(&self.url, &self.headers, &self.body)
    }

    /// True without a `Content-Type`, or with a media type of HTML or XHTML.
    pub(crate) fn is_html(&self) -> bool {
        let content_type = ContentType::of(&self.headers);
        content_type.is_none_or(|content_type| content_type.media_type().to_ascii_lowercase().contains("html"))
    }

    /// The same, or an empty one if it is no HTML at all.
    pub(crate) fn document_if_html(&self) -> Result<Document> {
        if self.is_html() { self.document() } else { self.parser.parse(&self.url, &self.headers, []) }
    }
}

impl Parser {
    /// As [`Document::read`], within these limits.
    ///
    /// # Errors
    ///
    /// As [`Document::read`].
    ///
    /// # Cancel safety
    ///
    /// As [`Document::read`].
    pub async fn read(&self, response: Response) -> Result<Document> {
        self.page(response).await?.document()
    }

    /// The whole of a response, unless it is larger than `max_size`.
    pub(crate) async fn page(&self, mut response: Response) -> Result<Page> {
        let requested = response.history().first().map_or(response.url(), |hop| &hop.url).clone();
        let head = Page::head(&requested, &response, self);
        self.limits.check_size(response.content_length().unwrap_or_default().try_into().unwrap_or(usize::MAX))?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            self.limits.check_size(body.len())?;
        }
        Ok(Page { body: body.into(), ..head })
    }
}

/// Without what it says.
impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("url", &redact_url(&self.url).as_str())
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
