//! URLs in, pages out.

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::iter::Fuse;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::engine::Fetch;
use super::figures::HostFigures;
use crate::error::Result;
use crate::page::Page;

/// The pages of many URLs, as they come; see [`Scraper::fetch`](crate::Scraper::fetch).
///
/// It is a `Stream`, and has a [`next`](Self::next) of its own, which needs no other crate.
/// Dropped, it cancels all that is under way.
#[must_use = "pages are fetched while somebody waits for them"]
pub struct Pages<I: Iterator> {
    fetch: Fetch<u64, Page>,
    urls: Fuse<I>,
    /// There are no more URLs.
    ended: bool,
    in_order: bool,
    /// The number of URLs taken, and of pages returned.
    taken: u64,
    given: u64,
    /// Finished pages that wait for earlier ones.
    there: BTreeMap<u64, Result<Page>>,
}

/// URLs read before each look for a finished page.
const URLS_PER_ROUND: usize = 64;
/// Rounds of that before other tasks of the thread run.
const ROUNDS_PER_POLL: usize = 16;

impl<I> Pages<I>
where
    I: Iterator,
    I::Item: AsRef<str>,
{
    pub(super) fn new(fetch: Fetch<u64, Page>, urls: I) -> Self {
        let urls = urls.fuse();
        Self { fetch, urls, ended: false, in_order: false, taken: 0, given: 0, there: BTreeMap::new() }
    }

    /// The pages in the order of their URLs. Of those that come early, twice
    /// [`concurrency`](crate::Scraper::concurrency) are kept at most: then nothing is started
    /// until the one that is waited for is there. Default: each as soon as it is there.
    pub fn in_order(self) -> Self {
        Self { in_order: true, ..self }
    }

    /// The next page, or why there is none: the error knows the [URL](crate::Error::url). `None`,
    /// when that was all of them.
    ///
    /// # Panics
    ///
    /// If the iterator of the URLs does.
    ///
    /// # Cancel safety
    ///
    /// No page is lost.
    pub async fn next(&mut self) -> Option<Result<Page>> {
        poll_fn(|cx| self.poll_page(cx)).await
    }

    /// The totals so far, by host.
    pub fn figures(&self) -> Vec<HostFigures> {
        self.fetch.figures()
    }

    fn poll_page(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Page>>> {
        for _ in 0..ROUNDS_PER_POLL {
            self.read();
            if let Some(page) = self.due() {
                return Poll::Ready(Some(page));
            }
            match self.fetch.poll_next(cx) {
                Poll::Ready(Some(fetched)) => drop(self.there.insert(fetched.key, fetched.result)),
                Poll::Ready(None) if self.ended => return Poll::Ready(None),
                Poll::Pending if !self.wants_more() => return Poll::Pending,
                Poll::Ready(None) | Poll::Pending => continue,
            }
            if let Some(page) = self.due() {
                return Poll::Ready(Some(page));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Hands on URLs for as long as they are wanted.
    fn read(&mut self) {
        for _ in 0..URLS_PER_ROUND {
            if !self.wants_more() {
                return;
            }
            let Some(text) = self.urls.next() else {
                self.ended = true;
                return;
            };
            match self.fetch.scraper().url(text.as_ref()) {
                Ok(url) => self.taken += u64::from(self.fetch.push(url, self.taken)),
                Err(error) => {
                    self.there.insert(self.taken, Err(error));
                    self.taken += 1;
                }
            }
        }
    }

    fn wants_more(&self) -> bool {
        let ahead = self.taken - self.given;
        let window = 2 * self.fetch.scraper().settings().concurrency as u64;
        let kept = if self.in_order { ahead < window } else { self.there.is_empty() };
        !self.ended && kept && self.fetch.has_room()
    }

    /// The page whose turn it is.
    fn due(&mut self) -> Option<Result<Page>> {
        let first = self.there.first_entry()?;
        if self.in_order && *first.key() != self.given {
            return None;
        }
        self.given += 1;
        Some(first.remove())
    }
}

impl<I> Stream for Pages<I>
where
    I: Iterator,
    I::Item: AsRef<str>,
{
    type Item = Result<Page>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_page(cx)
    }
}

/// It refers to nothing in itself.
impl<I: Iterator> Unpin for Pages<I> {}

impl<I: Iterator> fmt::Debug for Pages<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages")
            .field("fetch", &self.fetch)
            .field("in_order", &self.in_order)
            .field("taken", &self.taken)
            .field("given", &self.given)
            .finish_non_exhaustive()
    }
}
