//! Success of a login: the conditions on the page at the end of its redirects.
//!
//! By default the login succeeded if that page has the status 200 and no form with a password
//! field. Conditions given with [`Login::expect`](super::Login::expect) replace the default, and
//! all of them must hold.

use std::str::FromStr;

use http::StatusCode;
use trunkline::Session;
use url::{Position, Url};

use crate::document::Document;
use crate::error::{Error, Result};
use crate::forms::Form;
use crate::page::Page;
use crate::tree::collapsed;
use trunkline::redact_url;

/// Condition of a successful login, checked on the page at the end of its redirects.
///
/// Written as text, for configurations and command lines, it is `status=200`, `url=/account`,
/// `cookie=sessionid`, `present=a.logout`, `absent=form.login` or `text=Welcome`.
///
/// ```
/// use trunkline_scrape::Expect;
///
/// # fn main() -> trunkline_scrape::Result<()> {
/// assert_eq!("cookie=sessionid".parse::<Expect>()?, Expect::Cookie("sessionid".into()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expect {
    /// The page has this status.
    Status(StatusCode),
    /// The page has this URL: a path such as `/account`, or an absolute URL. Query and fragment
    /// are ignored.
    Url(String),
    /// The session has a cookie of this name for the page.
    Cookie(String),
    /// This CSS selector matches an element of the page.
    Present(String),
    /// This CSS selector matches no element of the page.
    Absent(String),
    /// The page has this text. Runs of white space count as one space.
    Text(String),
}

/// The first condition of success that the page does not meet, as a message. None: the login
/// succeeded.
pub(super) fn unmet_condition(
    expected: &[Expect],
    page: &Page,
    document: &Document,
    session: &Session,
) -> Result<Option<String>> {
    if expected.is_empty() {
        return Ok(unmet_default(page, document));
    }
    for condition in expected {
        let unmet = condition.unmet(page, document, session)?;
        if unmet.is_some() {
            return Ok(unmet);
        }
    }
    Ok(None)
}

/// Default condition: status 200 and no form with a password field.
fn unmet_default(page: &Page, document: &Document) -> Option<String> {
    if document.forms().iter().any(Form::has_password) {
        return Some("the password form is still there".to_owned());
    }
    let message = || format!("{} answers with the status {}", redact_url(&page.url), page.status);
    (page.status != StatusCode::OK).then(message)
}

impl Expect {
    /// Message that names the failed condition. None if the page meets it.
    fn unmet(&self, page: &Page, document: &Document, session: &Session) -> Result<Option<String>> {
        let here = redact_url(&page.url);
        Ok(match self {
            Self::Status(status) if page.status != *status => {
                Some(format!("{here} answers with the status {}, not {status}", page.status))
            }
            Self::Url(expected) if !leads_to(&page.url, expected) => {
                Some(format!("it led to {here}, not to {expected}"))
            }
            Self::Cookie(name) if session.cookies().get(&page.url, name).is_none() => {
                Some(format!("there is no cookie {name:?} for {here}"))
            }
            Self::Present(selector) if !document.has(selector)? => {
                Some(format!("{here} has nothing that {selector:?} finds"))
            }
            Self::Absent(selector) if document.has(selector)? => Some(format!("{here} has what {selector:?} finds")),
            Self::Text(text) if !page_text(page, document).contains(&collapsed(text)) => {
                Some(format!("{here} does not say {text:?}"))
            }
            _ => None,
        })
    }
}

/// Text of the page. The body as it is if the page is not HTML, JSON for example.
fn page_text(page: &Page, document: &Document) -> String {
    if page.is_html() { document.text() } else { collapsed(&String::from_utf8_lossy(&page.body)) }
}

fn leads_to(url: &Url, expected: &str) -> bool {
    match Url::parse(expected) {
        Ok(expected) => url[..Position::AfterPath] == expected[..Position::AfterPath],
        Err(_) => url.path() == expected,
    }
}

impl FromStr for Expect {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        const FORMS: &str = "status=200, url=/path, cookie=name, present=selector, absent=selector or text=words";
        let unknown = || Error::input(format!("{text:?} is nothing to be expected; write {FORMS}"));
        let (what, value) = text.split_once('=').filter(|(_, value)| !value.is_empty()).ok_or_else(unknown)?;
        let owned = value.to_owned();
        Ok(match what {
            "status" => {
                Self::Status(value.parse().map_err(|_| Error::input(format!("{value:?} is no status: 200 is one")))?)
            }
            "url" => Self::Url(owned),
            "cookie" => Self::Cookie(owned),
            "present" => Self::Present(owned),
            "absent" => Self::Absent(owned),
            "text" => Self::Text(owned),
            _ => return Err(unknown()),
        })
    }
}
