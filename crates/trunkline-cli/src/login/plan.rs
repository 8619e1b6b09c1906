//! How to log in: checked before anything is sent, looked at once more when the page is there, then done.

use http::StatusCode;
use trunkline_scrape::{Document, Error, Expect, FormChoice, Login, Page, Scraper};
use url::{Position, Url};

use super::fields::{self, Fields};
use super::password::Password;
use crate::args::LoginForm;
use crate::ending::Unusable;

/// How to log in, checked as far as that goes without the page.
pub(crate) struct Plan {
    url: String,
    form: FormChoice,
    fields: Fields,
    expected: Vec<Expect>,
    password: Password,
    password_field: Option<String>,
    /// What tells, besides what always does, that it has run out.
    over: Vec<Expect>,
}

impl Plan {
    /// # Errors
    ///
    /// An option that cannot be used, a password that cannot be read.
    pub(crate) fn check(url: String, args: LoginForm) -> anyhow::Result<Self> {
        let LoginForm { fields, password_file, password_env, password_field, form, expected } = args;
        let fields = Fields::parse(&fields)?;
        let password = Password::read(password_file.as_deref(), password_env.as_deref())?;
        Ok(Self { url, form: form.unwrap_or_default(), fields, expected, password, password_field, over: Vec::new() })
    }

    /// What tells of a page, besides a status of 401 and the address of the login page, that the login has run out: statuses and addresses.
    pub(crate) fn over_when(self, over: Vec<Expect>) -> Self {
        Self { over, ..self }
    }

    /// Looks at the form, asks for the password if it has not been given, and logs in. What comes out is the page that it led to.
    ///
    /// # Errors
    ///
    /// [`Unusable`], if the page has no such form or field; what the page or the network says otherwise.
    ///
    /// # Cancel safety
    ///
    /// Dropped while the password is asked for, it leaves the terminal as it was.
    pub(crate) async fn log_in(self, scraper: &Scraper) -> anyhow::Result<Page> {
        let Self { url, form: choice, fields, expected, password, password_field, over } = self;
        let response = scraper.session().get(&url).await?;
        let status = response.status();
        let page = Document::read(response).await?;
        let form = page.form(&choice).map_err(|error| missing(error, status))?;
        fields.check(&form)?;
        let field = fields::for_password(&form, password_field.as_deref())?;

        let login = fields.fill(Login::at(url).form(choice));
        let login = expected.into_iter().fold(login, Login::expect);
        let at = page.url().clone();
        let login = login.is_over_when(move |page| is_over(page, &at, &over));
        let login = match field {
            Some(name) => login.field(name, password.get(&place(&page)).await?),
            None => password.not_wanted().map(|()| login)?,
        };
        scraper.login(login).await.map_err(unusable)
    }
}

fn is_over(page: &Page, at: &Url, over: &[Expect]) -> bool {
    let same_place = |address: &Url| page.url[..Position::AfterPath] == address[..Position::AfterPath];
    let meets = |expected: &Expect| match expected {
        Expect::Status(status) => page.status == *status,
        Expect::Url(address) => Url::parse(address).map_or(page.url.path() == address, |address| same_place(&address)),
        // The arguments have no others.
        _ => false,
    };
    page.status == StatusCode::UNAUTHORIZED || same_place(at) || over.iter().any(meets)
}

/// The page has no such form. If it is not the page that was meant, that is why.
fn missing(error: Error, status: StatusCode) -> anyhow::Error {
    match status {
        StatusCode::OK => unusable(error),
        status => anyhow::anyhow!("login failed: the login page has the status {status}: {error}"),
    }
}

pub(super) fn unusable(error: Error) -> anyhow::Error {
    if error.is_input() { Unusable::error(error) } else { error.into() }
}

/// The page, for a question about it.
fn place(page: &Document) -> String {
    let url = page.url();
    format!("{}{}", &url[Position::BeforeHost..Position::AfterPort], url.path())
}
