//! A form as it goes out.

use std::fmt;

use encoding_rs::{Encoding, UTF_8};
use http::header::{CONTENT_TYPE, HeaderValue, ORIGIN, REFERER};
use http::{HeaderName, Method};
use trunkline::{RequestBuilder, Session};
use url::Url;

use super::entries::Entry;
use super::{encode, multipart};
use crate::error::{Error, Result};
use trunkline::redact_url;

/// A form as it goes out: what it holds, where to, and how. It can be sent more than once.
pub struct Submission {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) enctype: Enctype,
    pub(super) entries: Vec<Entry>,
    pub(super) encoding: &'static Encoding,
    pub(super) referer: Option<String>,
    pub(super) origin: Option<String>,
}

/// The encoding of the entries of a POST.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Enctype {
    Urlencoded,
    Multipart,
    Plain,
}

impl Submission {
    /// GET or POST.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The target; for a GET, with the entries as its query.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The names and values that are sent, in their order; of files, their names. Secrets are among
    /// them.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|entry| (entry.name.as_str(), entry.value.as_text()))
    }

    /// The request, with the `Content-Type`, `Referer` and `Origin` that a browser would send. The
    /// latter two are marked as sensitive, so that they do not go along when a redirect leads
    /// to another origin.
    ///
    /// ```no_run
    /// # use trunkline_scrape::{Document, FormChoice, Result};
    /// # async fn run(session: trunkline::Session) -> Result<()> {
    /// let page = Document::read(session.get("https://example.com/login").await?).await?;
    /// let mut form = page.form(&FormChoice::Password)?;
    /// form.fill("user", "ann")?.fill("pass", "s3cret")?;
    /// let answer = form.submit()?.request(&session)?.await?;
    /// # let _ = answer;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Files of a form that is not sent in UTF-8 go in chunks, unless they are given as bytes.
    ///
    /// # Errors
    ///
    /// One that [`is_form`](Error::is_form), if the system has no random numbers to make a
    /// multipart boundary of.
    pub fn request(&self, session: &Session) -> Result<RequestBuilder> {
        let mut request = session.request(self.method.clone(), self.url.clone());
        for (name, value) in [(REFERER, &self.referer), (ORIGIN, &self.origin)] {
            if let Some(value) = value {
                request = request.header(name.clone(), confined(&name, value)?);
            }
        }
        if self.method != Method::POST {
            return Ok(request);
        }
        let typed = |request: RequestBuilder, content_type: &'static str| request.header(CONTENT_TYPE, content_type);
        Ok(match self.enctype {
            Enctype::Urlencoded => typed(request, "application/x-www-form-urlencoded")
                .body(encode::urlencoded(&self.entries, self.encoding)),
            Enctype::Plain => typed(request, "text/plain").body(encode::plain(&self.entries, self.encoding)),
            Enctype::Multipart if self.encoding == UTF_8 => request.multipart(multipart::utf_8(&self.entries)),
            Enctype::Multipart => {
                let (body, content_type) = multipart::legacy(&self.entries, self.encoding)?;
                request.header(CONTENT_TYPE, content_type).body(body)
            }
        })
    }
}

fn confined(name: &HeaderName, value: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::try_from(value)
        .map_err(|_| Error::form(format!("the page's address cannot be sent as {name}")))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Without the values of its fields.
impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.entries.iter().map(|entry| &entry.name).collect();
        f.debug_struct("Submission")
            .field("method", &self.method)
            .field("url", &redact_url(&self.url).as_str())
            .field("enctype", &self.enctype)
            .field("names", &names)
            .finish_non_exhaustive()
    }
}
