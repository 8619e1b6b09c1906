//! Target and encoding of a submission: the HTML standard's "form submission algorithm", up to the
//! navigation.

use encoding_rs::Encoding;
use http::Method;
use url::Url;

use super::Form;
use super::encode::urlencoded;
use super::entries::entries;
use super::submission::{Enctype, Submission};
use super::submitter::Submitter;
use crate::error::{Error, Result};
use crate::tree::resolve;

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
        url.set_query(Some(&urlencoded(&entries, encoding)));
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
    // "If action is the empty string, let action be the URL of the form document": not what its
    // <base> says.
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
