//! How to log in: checked before anything is sent, looked at once more when the page is there, then
//! done.

use http::StatusCode;
use trunkline_scrape::{Document, Error, Expect, FormChoice, Login, Page, Scraper};
use url::{Position, Url};

use super::fields::{self, Fields, unusable};
use super::password::Password;
use crate::args::LoginForm;

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

/// A login that needs nothing more but to be done.
pub(crate) struct Prepared {
    /// Where its form is, and what it is filled with but for the password: another user's is
    /// another login.
    #[cfg_attr(not(feature = "frontier"), expect(dead_code, reason = "workers know the login by it"))]
    pub(crate) name: String,
    pub(crate) login: Login,
}

/// What tells, besides what always does, that the login has run out.
struct Over {
    /// Where the form was: a worker that only takes cookies over does not come by.
    at: Url,
    told: Vec<Expect>,
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

    /// What tells of a page, besides a status of 401 and the address of the login page, that the
    /// login has run out: statuses and addresses.
    pub(crate) fn over_when(self, over: Vec<Expect>) -> Self {
        Self { over, ..self }
    }

    /// Logs in. What comes out is the page that it led to.
    ///
    /// # Errors
    ///
    /// As [`prepare`](Self::prepare), and what the login fails with.
    ///
    /// # Cancel safety
    ///
    /// As [`prepare`](Self::prepare).
    pub(crate) async fn log_in(self, scraper: &Scraper) -> anyhow::Result<Page> {
        scraper.login(self.prepare(scraper).await?.login).await.map_err(unusable)
    }

    /// Looks at the form, and asks for the password if it has not been given.
    ///
    /// # Errors
    ///
    /// [`Unusable`](crate::ending::Unusable), if the page has no such form or field; what the page
    /// or the network says otherwise.
    ///
    /// # Cancel safety
    ///
    /// Dropped while the password is asked for, it leaves the terminal as it was.
    pub(crate) async fn prepare(self, scraper: &Scraper) -> anyhow::Result<Prepared> {
        let Self { url, form: choice, fields, expected, password, password_field, over } = self;
        let response = scraper.session().get(&url).await?;
        let status = response.status();
        let page = Document::read(response).await?;
        let form = page.form(&choice).map_err(|error| missing(error, status))?;
        fields.check(&form)?;
        let field = fields::for_password(&form, password_field.as_deref())?;

        let name = format!("{url} {fields}");
        let login = fields.fill(Login::at(url).form(choice));
        let login = expected.into_iter().fold(login, Login::expect);
        let login = match field {
            Some(name) => login.field(name, password.get(&place(&page)).await?),
            None => password.not_wanted().map(|()| login)?,
        };
        let over = Over { at: page.url().clone(), told: over };
        Ok(Prepared { name, login: login.is_over_also_when(move |page| over.says(page)) })
    }
}

impl Over {
    /// Does this page say so?
    fn says(&self, page: &Page) -> bool {
        let Page { requested, url, .. } = page;
        let meets = |expected: &Expect| match expected {
            Expect::Status(status) => page.status == *status,
            Expect::Url(address) => Url::parse(address).map_or(url.path() == address, |address| is_at(url, &address)),
            // The arguments have no others.
            _ => false,
        };
        is_at(url, &self.at) && !is_at(requested, &self.at) || self.told.iter().any(meets)
    }
}

fn is_at(url: &Url, other: &Url) -> bool {
    place_of(url) == place_of(other)
}

/// Of `/login` and `/login/`, one mostly redirects to the other.
fn place_of(url: &Url) -> &str {
    url[..Position::AfterPath].trim_end_matches('/')
}

/// The page has no such form. If it is not the page that was meant, that is why.
fn missing(error: Error, status: StatusCode) -> anyhow::Error {
    match status {
        StatusCode::OK => unusable(error),
        status => anyhow::anyhow!("login failed: the login page has the status {status}: {error}"),
    }
}

/// The page, for a question about it.
fn place(page: &Document) -> String {
    let url = page.url();
    format!("{}{}", &url[Position::BeforeHost..Position::AfterPort], url.path())
}
