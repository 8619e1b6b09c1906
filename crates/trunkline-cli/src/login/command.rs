//! `trunkline login`: logs in, saves the cookies, and prints a line.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Error;
use trunkline::redact_url;
use trunkline_scrape::Scraper;

use super::{LoginPlan, log_in};
use crate::args::LoginArgs;
use crate::cookies::CookieFile;
use crate::exit::Exit;
use crate::options::{self, headers};
use crate::shutdown::Signals;
use crate::url_argument;

/// Checked arguments of `login`.
pub(crate) struct LoginConfig {
    scraper: Scraper,
    plan: LoginPlan,
    cookies: Option<CookieFile>,
}

impl LoginConfig {
    /// # Errors
    ///
    /// An argument or the cookie file cannot be used.
    pub(crate) fn check(args: LoginArgs) -> anyhow::Result<Self> {
        let cookies = args.cookies.as_deref().map(CookieFile::open).transpose()?;
        let session =
            options::session_builder(args.timeout, cookies.as_ref()).headers(headers(&args.headers)?).build()?;
        url_argument::parse(&args.url).map_err(Error::msg)?;
        let plan = LoginPlan::check(args.url, args.form)?;
        Ok(Self { scraper: Scraper::new(session), plan, cookies })
    }
}

/// Logs in and closes the session.
///
/// # Errors
///
/// The login failed, and the cookie file is unchanged. Or the cookie file cannot be written.
pub(crate) async fn run(config: LoginConfig, mut signals: Signals) -> anyhow::Result<Exit> {
    let LoginConfig { scraper, plan, cookies } = config;
    let page = match log_in(plan, &scraper, &mut signals).await? {
        Ok(page) => page,
        Err(signal) => return Ok(Exit::Signal(signal)),
    };
    scraper.session().close_within(Duration::ZERO).await;
    let saved = match cookies {
        Some(file) => file.save().await?,
        None => "its cookies are lost now: --cookies FILE keeps them".into(),
    };
    // A closed standard output is not an error.
    let _ = writeln!(std::io::stdout(), "logged in: {} ({}); {saved}", redact_url(&page.url), page.status);
    Ok(Exit::Complete { failed: 0 })
}
