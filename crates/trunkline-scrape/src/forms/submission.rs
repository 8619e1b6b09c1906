//! Submission of a form: its button, target, entries and encoding, as the HTML standard's "form
//! submission algorithm" has them, up to the navigation.

use std::fmt;

use encoding_rs::{Encoding, UTF_8};
use http::header::{CONTENT_TYPE, HeaderValue, ORIGIN, REFERER};
use http::{HeaderName, Method};
use trunkline::{RequestBuilder, Session, redact_url};
use url::Url;

use super::control::Kind;
use super::entries::{Clicked, Entry, entries};
use super::field::{Field, list};
use super::{Form, encode, multipart};
use crate::error::{Error, Result};
use crate::tree::resolve;

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

/// The button that a form is sent with. What it is called, and what it says of how to send the
/// form, goes along.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Submitter {
    /// The first one of the form, as for the Enter key; none, if it has none.
    #[default]
    Default,
    /// None, as when a script submits the form.
    None,
    /// The first with this `name`.
    Name(String),
    /// The first with this `name` and this `value`.
    Value(String, String),
    /// The one with this `id`.
    Id(String),
    /// By its place among the form's buttons that submit; the first is 0.
    Position(usize),
    /// The first image with this `name`, clicked so many pixels from its left and upper edge. Any
    /// other choice of an image clicks it at 0, 0.
    Image(String, u32, u32),
}

impl Submitter {
    pub(super) fn of<'a>(&self, form: &'a Form) -> Result<Option<Clicked<'a>>> {
        let mut buttons = form.controls.iter().filter(|control| control.submits().is_some());
        let button = match self {
            Self::None => return Ok(None),
            Self::Default => match buttons.next() {
                Some(button) => Some(button),
                None => return Ok(None),
            },
            Self::Name(name) => buttons.find(|button| button.name == *name),
            Self::Value(name, value) => buttons
                .find(|button| button.name == *name && button.submits().is_some_and(|button| button.value == *value)),
            Self::Id(id) => buttons.find(|button| button.id.as_deref() == Some(id)),
            Self::Position(place) => buttons.nth(*place),
            Self::Image(name, ..) => {
                buttons.find(|button| button.name == *name && matches!(button.kind, Kind::Image(_)))
            }
        };
        let at = if let Self::Image(_, x, y) = self { (*x, *y) } else { (0, 0) };
        match button {
            None => Err(self.missing(form)),
            Some(button) if button.disabled => Err(Error::form(format!(
                "the form's button {:?} is disabled, so it sends nothing: choose another one, or none (Submitter::None)",
                Field(button)
            ))),
            Some(button) => Ok(Some(Clicked { button, at })),
        }
    }

    fn missing(&self, form: &Form) -> Error {
        let words = match self {
            Self::Default | Self::None => String::new(),
            Self::Name(name) => format!("with the name {name:?}"),
            Self::Value(name, value) => format!("with the name {name:?} and the value {value:?}"),
            Self::Id(id) => format!("with the id {id:?}"),
            Self::Position(place) => format!("number {place} (the first is 0)"),
            Self::Image(name, ..) => format!("that is an image with the name {name:?}"),
        };
        let buttons = form.buttons().map(|button| {
            let id = button.id().map(|id| format!(" id={id:?}")).unwrap_or_default();
            format!("{button:?}{id} value={:?}", button.values().first().copied().unwrap_or_default())
        });
        Error::input(format!("the form has no button {words} that submits; it has {}", list(buttons, "none")))
    }
}

pub(super) fn submit(form: &Form, submitter: &Submitter) -> Result<Submission> {
    let clicked = submitter.of(form)?;
    let instead = clicked.and_then(|clicked| clicked.button.submits()).map(|button| &*button.instead);
    let own = &form.sending;
    let action = instead.and_then(|instead| instead.action.as_ref()).or(own.action.as_ref());
    let method = instead.and_then(|instead| instead.method.as_ref()).or(own.method.as_ref());
    let enctype = instead.and_then(|instead| instead.enctype.as_ref()).or(own.enctype.as_ref());

    let method = self::method(method.map_or("", String::as_str))?;
    let mut url = address(form, action.map_or("", String::as_str))?;
    let encoding = encoding(form);
    let entries = entries(&form.controls, clicked, encoding);
    if method == Method::GET {
        // "Mutate action URL": what its query was before is gone.
        url.set_query(Some(&encode::urlencoded(&entries, encoding)));
    }
    let policy = form.page.referrer;
    let referer = policy.referer(&form.page.url, &url);
    let origin = (method != Method::GET).then(|| policy.origin(&form.page.url, &url));
    let enctype = self::enctype(enctype.map_or("", String::as_str));
    Ok(Submission { method, url, enctype, entries, encoding, referer, origin })
}

fn method(attribute: &str) -> Result<Method> {
    if attribute.eq_ignore_ascii_case("dialog") {
        return Err(Error::form("the form's method is `dialog`: it closes a dialog on the page, and sends nothing"));
    }
    Ok(if attribute.eq_ignore_ascii_case("post") { Method::POST } else { Method::GET })
}

fn enctype(attribute: &str) -> Enctype {
    match attribute.to_ascii_lowercase().as_str() {
        "multipart/form-data" => Enctype::Multipart,
        "text/plain" => Enctype::Plain,
        _ => Enctype::Urlencoded,
    }
}

fn address(form: &Form, action: &str) -> Result<Url> {
    let page = &form.page;
    // "If action is the empty string, let action be the URL of the form document": the `<base>` of
    // the page does not count.
    let action = action.trim_matches([' ', '\t', '\n', '\r', '\x0c']);
    let url = if action.is_empty() { Some(page.url.clone()) } else { resolve(&page.base, action, page.encoding) };
    let url = url.ok_or_else(|| Error::form("the form's action is no address"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(Error::form(format!("the form leads to {other}:, and only http and https can be sent to"))),
    }
}

/// The first that its `accept-charset` knows, else the page's.
fn encoding(form: &Form) -> &'static Encoding {
    let labels = form.accept_charset.as_deref().unwrap_or_default();
    let mut known =
        labels.split([' ', ',', '\t', '\n', '\x0c', '\r']).filter_map(|label| Encoding::for_label(label.as_bytes()));
    known.next().unwrap_or(form.page.encoding).output_encoding()
}
