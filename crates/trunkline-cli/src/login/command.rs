//! `trunkline login`: logs in, keeps the cookies, says so in a line.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Error;
use trunkline_scrape::Scraper;

use super::{Plan, log_in};
use crate::args::Login;
use crate::cookies::CookieFile;
use crate::ending::Ending;
use crate::failure;
use crate::session::{self, headers};
use crate::signals::Shutdown;
use crate::target;

/// What is to be done, checked as far as that goes without the page.
pub(crate) struct Config {
    scraper: Scraper,
    plan: Plan,
    cookies: Option<CookieFile>,
}

impl Config {
    pub(crate) fn check(args: Login) -> anyhow::Result<Self> {
        let cookies = args.cookies.as_deref().map(CookieFile::open).transpose()?;
        let session = session::builder(args.timeout, cookies.as_ref()).headers(headers(&args.headers)?).build()?;
        target::parse(&args.url).map_err(Error::msg)?;
        let plan = Plan::check(args.url, args.form)?;
        Ok(Self { scraper: Scraper::new(session), plan, cookies })
    }
}

/// Logs in. The session is closed then, whatever came of it.
///
/// # Errors
///
/// The login failed, or the cookie file cannot be written. If it failed, the file is as it was.
pub(crate) async fn run(config: Config, mut shutdown: Shutdown) -> anyhow::Result<Ending> {
    let Config { scraper, plan, cookies } = config;
    let page = match log_in(plan, &scraper, &mut shutdown).await? {
        Ok(page) => page,
        Err(signal) => return Ok(Ending::Signal(signal)),
    };
    scraper.session().close_within(Duration::ZERO).await;
    let kept = match cookies {
        Some(file) => file.save().await?,
        None => "its cookies are forgotten now: --cookies FILE keeps them".into(),
    };
    // Whoever closed standard output wants no line.
    let _ = writeln!(std::io::stdout(), "logged in: {} ({}); {kept}", failure::bare(page.url), page.status);
    Ok(Ending::Complete { failed: 0 })
}
