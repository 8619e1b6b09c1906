//! A page, parsed: its forms, and what a selector finds on it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderMap;
use scraper::Html;
use trunkline::Response;
use url::Url;

use crate::error::Result;
use crate::forms::{self, Form, FormChoice};
use crate::tree::{Context, Limits, parse, select};
use trunkline::redact_url;

/// A page, parsed as a browser parses it, though without running its scripts: what stands in
/// `<noscript>` is part of it.
///
/// ```
/// use http::HeaderMap;
/// use trunkline_scrape::{Document, FormChoice};
/// use url::Url;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let url = Url::parse("https://example.com/login")?;
/// let html = r#"<form action=/in method=post><input name=user>
///     <input name=pass type=password><button>Go</button></form>"#;
/// let document = Document::parse(&url, &HeaderMap::new(), html)?;
///
/// let mut form = document.form(&FormChoice::Password)?;
/// form.fill("user", "ann")?.fill("pass", "s3cret")?;
/// let submission = form.submit()?;
/// assert_eq!(submission.url().as_str(), "https://example.com/in");
/// # Ok(())
/// # }
/// ```
pub struct Document {
    page: Arc<Context>,
    /// Its elements remember what selectors ask them for, in cells: one at a time.
    tree: Mutex<Html>,
    forms: Vec<Form>,
}

/// The parser of pages, with its limits.
#[derive(Clone, Debug, Default)]
#[must_use = "a parser does nothing until it is given a page"]
pub struct Parser {
    pub(crate) limits: Limits,
}

impl Parser {
    /// The largest page, in bytes, after decompression. Default: 10 MiB.
    pub fn max_size(mut self, bytes: usize) -> Self {
        self.limits.size = bytes;
        self
    }

    /// The most elements, attributes, texts and comments of a page. Default: 500,000.
    pub fn max_nodes(mut self, nodes: usize) -> Self {
        self.limits.nodes = nodes;
        self
    }

    /// As [`Document::parse`], within these limits.
    ///
    /// # Errors
    ///
    /// As [`Document::parse`].
    pub fn parse(&self, url: &Url, headers: &HeaderMap, body: impl AsRef<[u8]>) -> Result<Document> {
        self.limits.check_size(body.as_ref().len())?;
        let parsed = parse(headers, body.as_ref(), self.limits)?;
        let page = Arc::new(Context::new(url, headers, &parsed));
        let forms = forms::read(&page, &parsed)?;
        Ok(Document { page, tree: Mutex::new(parsed.html), forms })
    }
}

impl Document {
    /// The page that came from this address, with these headers. Of them, it looks at
    /// `Content-Type`, for the charset, and at `Referrer-Policy`.
    ///
    /// The charset is that of the byte order mark, the header, a `<meta>`, or else windows-1252, as
    /// in a browser that does not guess.
    ///
    /// # Errors
    ///
    /// One that [`is_page`](crate::Error::is_page): the page is larger, deeper or more intricate
    /// than the limits of a [`Parser`] allow. Malformed markup is no error.
    pub fn parse(url: &Url, headers: &HeaderMap, body: impl AsRef<[u8]>) -> Result<Self> {
        Parser::default().parse(url, headers, body)
    }

    /// The page that a response brings, whatever its status.
    ///
    /// It is parsed in place, which holds up the task for some milliseconds for each megabyte, and
    /// for some seconds if it is a hostile one. Where that matters, read the response first,
    /// and [`parse`](Self::parse) it on a thread for blocking work.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse), and [what the session says](crate::Error::http) if the body
    /// breaks off.
    ///
    /// # Cancel safety
    ///
    /// Dropped, what was read is lost.
    pub async fn read(response: Response) -> Result<Self> {
        Parser::default().read(response).await
    }

    /// The URL of the page.
    pub fn url(&self) -> &Url {
        &self.page.url
    }

    /// The base of relative URLs: the `<base>` of the page, or its URL.
    pub fn base_url(&self) -> &Url {
        &self.page.base
    }

    /// The name of the encoding it was read in, `UTF-8` for instance.
    pub fn charset(&self) -> &'static str {
        self.page.encoding.name()
    }

    /// Its forms, in the order of the page.
    pub fn forms(&self) -> &[Form] {
        &self.forms
    }

    /// A form of its, with what it holds at first, to be filled in.
    ///
    /// # Errors
    ///
    /// One that [`is_input`](crate::Error::is_input), and lists the forms there are, if it is not
    /// among them.
    pub fn form(&self, choice: &FormChoice) -> Result<Form> {
        choice.among(&self.forms, |selector| self.forms_matching(selector)).cloned()
    }

    /// True if an element matches this CSS selector.
    ///
    /// # Errors
    ///
    /// One that [`is_input`](crate::Error::is_input), for what is no selector.
    pub fn has(&self, selector: &str) -> Result<bool> {
        let selector = select::parsed(selector)?;
        Ok(self.tree().select(&selector).next().is_some())
    }

    /// The text of the first element that this CSS selector finds, its white space collapsed.
    ///
    /// # Errors
    ///
    /// One that [`is_input`](crate::Error::is_input), for what is no selector.
    pub fn text_of(&self, selector: &str) -> Result<Option<String>> {
        let selector = select::parsed(selector)?;
        let tree = self.tree();
        let found = tree.select(&selector).next();
        Ok(found.map(select::text))
    }

    /// The text, white space collapsed, without scripts and styles.
    pub(crate) fn text(&self) -> String {
        select::visible(self.tree().root_element())
    }

    fn forms_matching(&self, selector: &str) -> Result<Vec<bool>> {
        let selector = select::parsed(selector)?;
        let tree = self.tree();
        Ok(self.forms.iter().map(|form| select::matches(&tree, form.node(), &selector)).collect())
    }

    fn tree(&self) -> MutexGuard<'_, Html> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("url", &redact_url(&self.page.url).as_str())
            .field("charset", &self.charset())
            .field("forms", &self.forms)
            .finish_non_exhaustive()
    }
}
