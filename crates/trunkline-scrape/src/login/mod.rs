//! Logging in: page → form → fields → submit → check of the result.
//!
//! `success.rs` defines what counts as a successful login, `detect.rs` what counts as one that has
//! run out.

mod detect;
mod message;
mod shared;
mod state;
mod success;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use http::StatusCode;
use trunkline::Session;
use url::Url;

pub(crate) use self::detect::LoginPage;
pub use self::shared::{LoginContext, Renew, RenewFuture};
pub(crate) use self::state::{ActiveLogin, LoginSnapshot, LoginState};
pub use self::success::Expect;
use crate::document::{Document, Parser};
use crate::error::{Error, Result};
use crate::forms::{Form, FormChoice, Submitter, Value};
use crate::page::Page;
use crate::retries;
use trunkline::redact_url;

/// A login to a site: the form, its values, and the conditions of success.
///
/// The values go to the target of the form or its button, also to another origin, as in a browser.
/// A password on an https page is not sent to an http URL: that is an error that
/// [`is_form`](Error::is_form).
///
/// ```no_run
/// # async fn run(scraper: trunkline_scrape::Scraper) -> Result<(), Box<dyn std::error::Error>> {
/// use trunkline_scrape::{Expect, Login};
///
/// let login = Login::at("https://example.com/login")
///     .field("username", "ann")
///     .field("password", std::env::var("PASSWORD")?)
///     .field("remember", true)
///     .expect(Expect::Cookie("sessionid".into()))
///     .expect(Expect::Present("a[href='/logout']".into()));
/// scraper.login(login).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "it is a scraper that logs in"]
pub struct Login {
    url: String,
    form: FormChoice,
    fields: Vec<(String, Value)>,
    submitter: Submitter,
    expected: Vec<Expect>,
    over: Option<ExpiryCheck>,
    over_too: Option<ExpiryCheck>,
}

/// True for a page that shows that the login has run out.
type ExpiryCheck = Arc<dyn Fn(&Page) -> bool + Send + Sync>;

impl Login {
    /// On the page with this address.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            form: FormChoice::default(),
            fields: Vec::new(),
            submitter: Submitter::default(),
            expected: Vec::new(),
            over: None,
            over_too: None,
        }
    }

    /// Fills in a field; see [`Form::fill`].
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// Chooses the form of the page. Default: [`FormChoice::Password`].
    pub fn form(self, form: FormChoice) -> Self {
        Self { form, ..self }
    }

    /// The button that is pressed. Default: the form's first.
    pub fn submitter(self, submitter: Submitter) -> Self {
        Self { submitter, ..self }
    }

    /// Condition of success. Of several, all must hold. Default: the page at the end of the
    /// redirects has the status 200 and no form with a password field.
    pub fn expect(mut self, expected: Expect) -> Self {
        self.expected.push(expected);
        self
    }

    /// Sets the test by which a page fetched later shows that the login has run out, so that
    /// [`Scraper::get`](crate::Scraper::get) logs in again. Default: it is the login page and
    /// another one was requested, or its status is 401 and it is of the same site as a page of the
    /// login.
    ///
    /// A 403 may also mean that the user has no right to the page: treat it as a login that has run
    /// out only where it cannot mean that. The same holds for a 401 on such pages: each of them
    /// costs a login.
    pub fn is_over_when(self, over: impl Fn(&Page) -> bool + Send + Sync + 'static) -> Self {
        Self { over: Some(Arc::new(over)), ..self }
    }

    /// Adds a test to the default one, or to that of [`is_over_when`](Self::is_over_when).
    pub fn is_over_also_when(self, over: impl Fn(&Page) -> bool + Send + Sync + 'static) -> Self {
        Self { over_too: Some(Arc::new(over)), ..self }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Logs in. Returns the page after the login, and the login page.
    pub(crate) async fn perform(&self, session: &Session, parser: &Parser) -> Result<(Page, LoginPage)> {
        // The conditions of success judge the status, so the session does not.
        let page = parser.page(session.get(&self.url).error_for_status(false).await?).await?;
        let document = page.document_if_html()?;
        let form = self.filled(&document, page.status).map_err(|error| mark_passing(error, &page))?;
        let submission = form.submit_with(&self.submitter)?;
        check_secrecy(&form, &page.url, submission.url())?;
        let answer = parser.page(submission.request(session)?.error_for_status(false).await?).await?;
        let document = answer.document_if_html()?;
        match success::unmet_condition(&self.expected, &answer, &document, session)? {
            None => {
                let login_page = LoginPage::found(&page, &answer);
                Ok((answer, login_page))
            }
            Some(why) => {
                let message = message::of(&document, &self.secrets(&form));
                let message = message.map(|message| format!(": {message}")).unwrap_or_default();
                Err(mark_passing(Error::login(format!("login failed: {why}{message}")), &answer))
            }
        }
    }

    /// True if the page, fetched later, shows that the login has run out.
    pub(crate) fn is_over(&self, page: &Page, login_page: &LoginPage) -> bool {
        let also = self.over_too.as_ref().is_some_and(|over| over(page));
        also || self.over.as_ref().map_or_else(|| login_page.is_shut(page), |over| over(page))
    }

    fn filled(&self, document: &Document, status: StatusCode) -> Result<Form> {
        let mut form = document.form(&self.form).map_err(|error| match status {
            StatusCode::OK => error,
            // It is not the login page.
            status => Error::login(format!("login failed: the login page has the status {status}: {error}")),
        })?;
        for (name, value) in &self.fields {
            form.fill(name, value.clone())?;
        }
        Ok(form)
    }

    /// The values of password fields.
    fn secrets(&self, form: &Form) -> Vec<String> {
        let passwords = form.fields().filter(|field| field.kind() == "password");
        passwords.flat_map(|field| field.values().into_iter().map(str::to_owned).collect::<Vec<_>>()).collect()
    }
}

/// The error, marked as passing if the page's status may change soon. A `Retry-After` beyond the
/// limit is not waited for.
fn mark_passing(error: Error, page: &Page) -> Error {
    let busy = page.status.is_server_error() || page.status == StatusCode::TOO_MANY_REQUESTS;
    let asked = retries::asked(&page.headers, SystemTime::now()).filter(|_| busy);
    let pause = asked.filter(|pause| *pause <= retries::LONGEST_RETRY_AFTER);
    error.passing(busy && pause == asked).pausing(pause)
}

/// A browser asks the user; a program has no user to ask.
fn check_secrecy(form: &Form, from: &Url, to: &Url) -> Result<()> {
    if !form.has_password() || from.scheme() != "https" || to.scheme() == "https" {
        return Ok(());
    }
    let (from, to) = (redact_url(from), redact_url(to));
    Err(Error::form(format!("the form on {from} would send the password to {to}, where others can read it on its way")))
}

/// Without what is filled in.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<_> = self.fields.iter().map(|(name, _)| name).collect();
        // The text is not a URL yet, so a secret may be anywhere in it.
        let url = self.url.split(['?', '#']).next().map(|url| url.rsplit_once('@').map_or(url, |(_, url)| url));
        f.debug_struct("Login")
            .field("url", &url.unwrap_or_default())
            .field("form", &self.form)
            .field("fields", &fields)
            .field("submitter", &self.submitter)
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    #[test]
    fn a_password_does_not_leave_encryption_behind() {
        let checked = |at: &str, html: &str| {
            let at = Url::parse(at).unwrap();
            let form = Document::parse(&at, &HeaderMap::new(), html).unwrap().form(&FormChoice::Position(0)).unwrap();
            check_secrecy(&form, &at, form.submit().unwrap().url())
        };
        let password = "<input type=password name=pass>";
        for (at, action, secret) in [
            ("https://a.test/login", "/in", true),
            ("https://a.test/login", "https://b.test/in", true),
            ("http://a.test/login", "/in", true),
            ("https://a.test/login", "http://a.test/in?token=t0k", false),
        ] {
            let checked =
                checked(at, &format!("<form method=post action='{action}'>{password}<button>x</button></form>"));
            assert_eq!(checked.is_ok(), secret, "{at} {action}");
        }
        let button = format!("<form method=post>{password}<button formaction=http://a.test/in?t0k>x</button></form>");
        let error = checked("https://a.test/login?t0k", &button).unwrap_err();
        let message = "the form on https://a.test/login would send the password to http://a.test/in, where others can read it on its way";
        assert_eq!((error.is_form(), error.to_string().as_str()), (true, message));
        assert!(checked("https://a.test/", "<form action=http://a.test/search><input name=q></form>").is_ok());
    }
}
