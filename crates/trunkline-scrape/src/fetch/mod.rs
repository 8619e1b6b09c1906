//! Many pages at once: each host in its turn and with its pauses, what has failed again later, and
//! never more than so many at a time.

mod engine;
mod figures;
mod pages;
mod schedule;
mod seen;

use std::sync::Arc;

use trunkline::Response;

use self::engine::Visiting;
pub use self::engine::{Fetch, Fetched};
pub use self::figures::HostFigures;
pub use self::pages::Pages;
pub use self::seen::SeenUrls;
use crate::page::Page;
use crate::scraper::Scraper;
use crate::visit::LoginCheck;

impl Scraper {
    /// The pages of all these URLs, at most [`concurrency`](Self::concurrency) at a time, as they
    /// come or [in order](Pages::in_order), whatever their status. Of URLs that differ in their
    /// fragment at most, one is fetched.
    ///
    /// URLs are taken from the iterator as they are wanted, some thousands ahead: it may be as long
    /// as it likes, but it must not block. Of each URL, 16 bytes or so are remembered. Where
    /// that is too much, as with an endless one, [`fetch_with`](Self::fetch_with) remembers none.
    ///
    /// A page that asks to come again, and a connection that fails, is tried again
    /// [later](Self::visit), while others go on. If the [login](Self::login) runs out, all wait
    /// for one renewal. How many connections there are is the session's pool's to say, `limit` in
    /// all and `limit_per_host`.
    ///
    /// ```no_run
    /// # async fn example(scraper: trunkline_scrape::Scraper) {
    /// let urls = (1..=500).map(|number| format!("https://example.com/page/{number}"));
    /// let mut pages = scraper.fetch(urls);
    /// while let Some(page) = pages.next().await {
    ///     match page {
    ///         Ok(page) => println!("{} {}", page.requested, page.body.len()),
    ///         Err(error) => eprintln!("{error}"),
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Each page has its own: what [the session says](crate::Error::http), a page that is too
    /// large, a URL that is none, a login that could not be renewed, and what
    /// [robots.txt](Self::robots) does not allow. Outside of a tokio runtime, each page is an
    /// error.
    pub fn fetch<I>(&self, urls: I) -> Pages<I::IntoIter>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let scraper = self.clone();
        let visitor = move |_: &u64, url, number| -> Visiting<Page> {
            let scraper = scraper.clone();
            Box::pin(async move { scraper.visit_page(scraper.numbered(&url, number)).await })
        };
        let fetch =
            Fetch::new(self.clone(), visitor).measured(|page: &Page| page.body.len() as u64).once(SeenUrls::default());
        Pages::new(fetch, urls.into_iter())
    }

    /// The same for URLs that come from anywhere, and for what is not a whole page: a [`Fetch`]
    /// that URLs are pushed into, each with what the caller knows it by.
    ///
    /// For each attempt, `reader` is given that key, and makes what then makes of the response what
    /// is wanted. A response that asks to come again is not read.
    /// As with [`visit`](Self::visit), that a login is over is found out by status and address.
    ///
    /// ```no_run
    /// # async fn example(scraper: trunkline_scrape::Scraper) -> trunkline_scrape::Result<()> {
    /// let mut fetch = scraper.fetch_with(|_number: &usize| |response: trunkline::Response| response.text());
    /// for (number, text) in ["https://example.com/a", "https://example.com/b"].into_iter().enumerate() {
    ///     fetch.push(scraper.url(text)?, number);
    /// }
    /// while let Some(fetched) = fetch.next().await {
    ///     println!("{} {} {:?}", fetched.key, fetched.url, fetched.result?.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "pages are fetched while somebody waits for them"]
    pub fn fetch_with<K, T, M, R, F>(&self, reader: M) -> Fetch<K, T>
    where
        T: Send + 'static,
        M: Fn(&K) -> R + Send + 'static,
        R: FnMut(Response) -> F + Send + 'static,
        F: Future<Output = trunkline::Result<T>> + Send + 'static,
    {
        let scraper = Arc::new(self.clone());
        Fetch::new(self.clone(), move |key, url, number| {
            let (scraper, read) = (scraper.clone(), reader(key));
            Box::pin(async move { scraper.attempt(scraper.numbered(&url, number), LoginCheck::Head, read).await })
        })
    }
}
