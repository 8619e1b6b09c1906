//! What tells that a login worked.

use std::str::FromStr;

use http::StatusCode;
use trunkline::Session;
use url::{Position, Url};

use crate::document::Document;
use crate::error::{Error, Result};
use crate::page::Page;
use crate::tree::collapsed;
use trunkline::redact_url;

/// What tells that a login worked, of the page that it leads to in the end.
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
    /// Its status.
    Status(StatusCode),
    /// Its address: a path, `/account`, or a whole one. Queries and fragments are not looked at.
    Url(String),
    /// A cookie with this name would be sent to it.
    Cookie(String),
    /// This CSS selector finds something on it.
    Present(String),
    /// This CSS selector finds nothing on it.
    Absent(String),
    /// It says this. White space is as good as other white space.
    Text(String),
}

impl Expect {
    /// What is not as it should be.
    pub(super) fn unmet(&self, page: &Page, document: &Document, session: &Session) -> Result<Option<String>> {
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
            Self::Text(text) if !said(page, document).contains(&collapsed(text)) => {
                Some(format!("{here} does not say {text:?}"))
            }
            _ => None,
        })
    }
}

/// What a page that is no HTML says, JSON for instance, it says as it stands.
fn said(page: &Page, document: &Document) -> String {
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
