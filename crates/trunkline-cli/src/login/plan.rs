//! Login plan: checked before anything is sent, checked again against the form, then executed.

use http::StatusCode;
use trunkline_scrape::{Document, Error, Expect, FormChoice, Login, Page, Scraper};
use url::{Position, Url};

use super::fields::{self, LoginFields, unusable};
use super::password::Password;
use crate::args::LoginForm;

/// Plan checked without the page.
pub(crate) struct LoginPlan {
    url: String,
    form: FormChoice,
    fields: LoginFields,
    expected: Vec<Expect>,
    password: Password,
    password_field: Option<String>,
    /// Additional signs of an expired login.
    logged_out: Vec<Expect>,
}

/// Login that is ready to be executed.
pub(crate) struct PreparedLogin {
    /// URL and fields without the password: the login of another user has another name.
    #[cfg_attr(not(feature = "frontier"), expect(dead_code, reason = "workers share a login by its name"))]
    pub(crate) name: String,
    pub(crate) login: Login,
}

/// Signs of an expired login, besides a status of 401.
struct LogoutSigns {
    /// URL of the form. The scraper does not know it in a worker that only copies cookies.
    form: Url,
    additional: Vec<Expect>,
}

impl LoginPlan {
    /// # Errors
    ///
    /// An option cannot be used, or the password cannot be read.
    pub(crate) fn check(url: String, args: LoginForm) -> anyhow::Result<Self> {
        let LoginForm { fields, password_file, password_env, password_field, form, expected } = args;
        let fields = LoginFields::parse(&fields)?;
        let password = Password::read(password_file.as_deref(), password_env.as_deref())?;
        Ok(Self {
            url,
            form: form.unwrap_or_default(),
            fields,
            expected,
            password,
            password_field,
            logged_out: Vec::new(),
        })
    }

    /// Adds signs of an expired login, besides a status of 401 and the URL of the login page. Each
    /// is a status or a URL.
    pub(crate) fn logged_out_when(self, logged_out: Vec<Expect>) -> Self {
        Self { logged_out, ..self }
    }

    /// Logs in, and returns the page that the login led to.
    ///
    /// # Errors
    ///
    /// As [`prepare`](Self::prepare), or the login failed.
    ///
    /// # Cancel safety
    ///
    /// As [`prepare`](Self::prepare).
    pub(crate) async fn log_in(self, scraper: &Scraper) -> anyhow::Result<Page> {
        scraper.login(self.prepare(scraper).await?.login).await.map_err(unusable)
    }

    /// Checks the form, and prompts for the password if none was given.
    ///
    /// # Errors
    ///
    /// [`UsageError`](crate::exit::UsageError), if the page has no such form or field; what the
    /// page or the network says otherwise.
    ///
    /// # Cancel safety
    ///
    /// Dropped while the password is asked for, it leaves the terminal as it was.
    pub(crate) async fn prepare(self, scraper: &Scraper) -> anyhow::Result<PreparedLogin> {
        let Self { url, form: choice, fields, expected, password, password_field, logged_out } = self;
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
            None => password.ensure_none().map(|()| login)?,
        };
        let signs = LogoutSigns { form: page.url().clone(), additional: logged_out };
        Ok(PreparedLogin { name, login: login.is_over_also_when(move |page| signs.matches(page)) })
    }
}

impl LogoutSigns {
    fn matches(&self, page: &Page) -> bool {
        let Page { requested, url, .. } = page;
        let is_met = |expected: &Expect| match expected {
            Expect::Status(status) => page.status == *status,
            Expect::Url(address) => Url::parse(address).map_or(url.path() == address, |address| is_at(url, &address)),
            // The arguments accept no other kind.
            _ => false,
        };
        is_at(url, &self.form) && !is_at(requested, &self.form) || self.additional.iter().any(is_met)
    }
}

fn is_at(url: &Url, other: &Url) -> bool {
    place_of(url) == place_of(other)
}

/// Path without its last slash: of `/login` and `/login/`, one usually redirects to the other.
fn place_of(url: &Url) -> &str {
    url[..Position::AfterPath].trim_end_matches('/')
}

/// Error of a page without the form. A status other than 200 is the likely cause.
fn missing(error: Error, status: StatusCode) -> anyhow::Error {
    match status {
        StatusCode::OK => unusable(error),
        status => anyhow::anyhow!("login failed: the login page has the status {status}: {error}"),
    }
}

/// Host and path of the page, for the password prompt.
fn place(page: &Document) -> String {
    let url = page.url();
    format!("{}{}", &url[Position::BeforeHost..Position::AfterPort], url.path())
}
