//! Logging in: page → form → fields → submit → verdict.

mod expect;
mod message;

use std::fmt;
use std::sync::Arc;

use http::StatusCode;
use trunkline::Session;
use url::Url;

pub use self::expect::Expect;
use crate::document::{Document, Parser};
use crate::error::{Error, Result, redacted};
use crate::forms::{Form, FormChoice, Submitter, Value};
use crate::page::Page;

/// How to log in to a site: where its form is, what to fill in, and how to tell that it worked.
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
    over: Option<Over>,
}

/// Does this page say that nobody is logged in any more?
type Over = Arc<dyn Fn(&Page) -> bool + Send + Sync>;

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
        }
    }

    /// Fills in a field; see [`Form::fill`].
    pub fn field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// Which form of the page it is. Default: the first one with a field for a password.
    pub fn form(self, form: FormChoice) -> Self {
        Self { form, ..self }
    }

    /// The button that is pressed. Default: the form's first.
    pub fn submitter(self, submitter: Submitter) -> Self {
        Self { submitter, ..self }
    }

    /// What tells that it worked. Of several, all have to be met. Default: the page it leads to in the end has the status 200, and no form with
    /// a field for a password.
    pub fn expect(mut self, expected: Expect) -> Self {
        self.expected.push(expected);
        self
    }

    /// What tells, of a page that was fetched later, that the login has run out, so that [`Scraper::get`](crate::Scraper::get) logs in again. Default: its
    /// status is 401, or it is the login page.
    ///
    /// A page that answers 403 may also be one that nobody may see: only where that cannot be, should it be taken for a login that has run out.
    pub fn is_over_when(self, over: impl Fn(&Page) -> bool + Send + Sync + 'static) -> Self {
        Self { over: Some(Arc::new(over)), ..self }
    }

    /// Logs in. What comes out is the page that it led to, and the address that the form was on.
    pub(crate) async fn perform(&self, session: &Session, parser: &Parser) -> Result<(Page, Url)> {
        let page = parser.page(session.get(&self.url).await?).await?;
        let document = page.parsed_if_html(parser)?;
        let form = self.filled(&document, page.status).map_err(|error| error.passing(is_passing(page.status)))?;
        let request = form.submit_with(&self.submitter)?.request(session)?;
        let answer = parser.page(request.await?).await?;
        let document = answer.parsed_if_html(parser)?;
        match self.verdict(&answer, &document, session)? {
            None => Ok((answer, page.url)),
            Some(why) => {
                let message = message::of(&document, &self.secrets(&form));
                let message = message.map(|message| format!(": {message}")).unwrap_or_default();
                Err(Error::login(format!("login failed: {why}{message}")).passing(is_passing(answer.status)))
            }
        }
    }

    /// Does this page, fetched later, say that the login has run out? `at` is where the form was.
    pub(crate) fn is_over(&self, page: &Page, at: &Url) -> bool {
        match &self.over {
            Some(over) => over(page),
            None => page.status == StatusCode::UNAUTHORIZED || place(&page.url) == place(at),
        }
    }

    fn filled(&self, document: &Document, status: StatusCode) -> Result<Form> {
        let mut form = document.form(&self.form).map_err(|error| match status {
            StatusCode::OK => error,
            // What it lacks, it lacks because it is another page than was meant.
            status => Error::login(format!("login failed: the login page has the status {status}: {error}")),
        })?;
        for (name, value) in &self.fields {
            form.fill(name, value.clone())?;
        }
        Ok(form)
    }

    /// What is not as it should be.
    fn verdict(&self, page: &Page, document: &Document, session: &Session) -> Result<Option<String>> {
        if self.expected.is_empty() {
            let form = document.forms().iter().any(Form::has_password);
            return Ok(match page.status {
                _ if form => Some("the password form is still there".to_owned()),
                StatusCode::OK => None,
                status => Some(format!("{} answers with the status {status}", redacted(&page.url))),
            });
        }
        for expected in &self.expected {
            let unmet = expected.unmet(page, document, session)?;
            if unmet.is_some() {
                return Ok(unmet);
            }
        }
        Ok(None)
    }

    /// What was filled into fields for passwords.
    fn secrets(&self, form: &Form) -> Vec<String> {
        let passwords = form.fields().filter(|field| field.kind() == "password");
        passwords.flat_map(|field| field.values().into_iter().map(str::to_owned).collect::<Vec<_>>()).collect()
    }
}

/// Does it say that it may be otherwise soon?
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

/// An address but for its query and fragment.
fn place(url: &Url) -> &str {
    &url[..url::Position::AfterPath]
}

/// Without what is filled in.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<_> = self.fields.iter().map(|(name, _)| name).collect();
        // Before the address is known to be one, nobody knows where in it a secret would be.
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
