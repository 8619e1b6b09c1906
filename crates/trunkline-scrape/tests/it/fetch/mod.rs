//! Many pages at once, from servers of all kinds.

mod attempts;
mod cancelling;
mod figures;
mod login;
mod pauses;
mod robots;
mod streams;

use std::collections::HashMap;

use trunkline_scrape::{Error, Page, Pages, Result};

/// All that comes.
pub(crate) async fn all<I>(mut pages: Pages<I>) -> Vec<Result<Page>>
where
    I: Iterator,
    I::Item: AsRef<str>,
{
    let mut all = Vec::new();
    while let Some(page) = pages.next().await {
        all.push(page);
    }
    all
}

/// The results by the requested path: the status, or the error.
fn by_path(pages: Vec<Result<Page>>) -> HashMap<String, Result<u16, Error>> {
    let came = pages.into_iter().map(|page| match page {
        Ok(page) => (page.requested.path().to_owned(), Ok(page.status.as_u16())),
        Err(error) => (error.url().unwrap().path().to_owned(), Err(error)),
    });
    came.collect()
}
