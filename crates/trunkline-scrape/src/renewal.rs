//! A login that has run out, found out by a page: renewed once for all who find out.

use http::StatusCode;

use crate::error::{Error, Result};
use crate::logins::Current;
use crate::page::Page;
use crate::scraper::Scraper;

/// So often a page may find that the login has run out since it logged in for it: under load,
/// others use up what the login is good for.
const MOST: usize = 3;

/// What one page makes of the login. It is asked for again for as long as the login was over and
/// could be renewed.
pub(crate) struct Renewal<'a> {
    scraper: &'a Scraper,
    before: Current,
    renewals: usize,
}

impl<'a> Renewal<'a> {
    pub(crate) fn new(scraper: &'a Scraper) -> Self {
        Self { scraper, before: scraper.logins().current(), renewals: 0 }
    }

    /// Is there a login that could be over?
    pub(crate) fn is_possible(&self) -> bool {
        self.before.login.is_some()
    }

    /// Does this page say that it is?
    pub(crate) fn is_over(&self, page: &Page) -> bool {
        self.before.login.as_ref().is_some_and(|known| known.is_over(page))
    }

    /// The page is one from behind the login.
    pub(crate) fn let_in(&self) {
        if self.is_possible() {
            self.scraper.logins().let_in(self.before.turn);
        }
    }

    /// Logs in again. `status` is that of the page which said that the login is over.
    pub(crate) async fn renew(&mut self, status: StatusCode) -> Result<()> {
        // A login that has not let anybody in yet has not run out either.
        let useless = self.renewals > 0 && !self.scraper.logins().current().let_in;
        if useless || self.renewals == MOST {
            let told = format!("logged in again, and still the page is not to be had (status {status})");
            return Err(Error::login(told));
        }
        self.scraper.logins().renew(self.scraper.session(), self.scraper.parses(), self.before.turn).await?;
        self.renewals += 1;
        self.before = self.scraper.logins().current();
        Ok(())
    }
}
