//! Renewal of an expired login during the attempt at one page.

use http::StatusCode;

use crate::error::{Error, Result};
use crate::login::LoginSnapshot;
use crate::page::Page;
use crate::scraper::Scraper;

/// Renewals per attempt at a page. More than one is useful under load, where other requests can use
/// up a login before this page is fetched.
const MOST: usize = 3;

/// The login as one page finds it. The page is requested again after each renewal.
pub(crate) struct Renewal<'a> {
    scraper: &'a Scraper,
    before: LoginSnapshot,
    renewals: usize,
}

impl<'a> Renewal<'a> {
    pub(crate) fn new(scraper: &'a Scraper) -> Self {
        Self { scraper, before: scraper.logins().current(), renewals: 0 }
    }

    /// True if the scraper has a login.
    pub(crate) fn is_possible(&self) -> bool {
        self.before.login.is_some()
    }

    /// True if the page means that the login has expired.
    pub(crate) fn is_over(&self, page: &Page) -> bool {
        self.before.login.as_ref().is_some_and(|known| known.is_over(page))
    }

    /// Records that the page was served to the login.
    pub(crate) fn mark_useful(&self) {
        if self.is_possible() {
            self.scraper.logins().mark_useful(self.before.turn);
        }
    }

    /// Logs in again. `status` is the status of the page that showed the expiry.
    pub(crate) async fn renew(&mut self, status: StatusCode) -> Result<()> {
        // A login that has served no page yet cannot have expired.
        let useless = self.renewals > 0 && !self.scraper.logins().current().useful;
        if useless || self.renewals == MOST {
            let message = format!("logged in again, and the page still fails (status {status})");
            return Err(Error::login(message));
        }
        self.scraper.logins().renew(self.scraper.session(), self.scraper.parses(), self.before.turn).await?;
        self.renewals += 1;
        self.before = self.scraper.logins().current();
        Ok(())
    }
}
