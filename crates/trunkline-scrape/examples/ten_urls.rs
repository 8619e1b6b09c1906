//! Ten URLs fetched at once over one session, and how long each page is.
//!
//! ```sh
//! cargo run -p trunkline-scrape --example ten_urls [URL]…
//! ```
//!
//! The same in Python:
//!
//! ```python
//! async def length(session, url):
//!     async with session.get(url) as response:
//!         return len(await response.read())
//!
//! async def main(urls):
//!     started = time.perf_counter()
//!     async with aiohttp.ClientSession() as session:
//!         lengths = await asyncio.gather(*(length(session, url) for url in urls))
//!     for url, length in zip(urls, lengths):
//!         print(url, length)
//!     print(f"{time.perf_counter() - started:.2f} s, {len(lengths)} pages")
//! ```

#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::time::Instant;

use trunkline::Session;
use trunkline_scrape::Scraper;

const URLS: [&str; 10] = [
    "https://www.rust-lang.org/",
    "https://doc.rust-lang.org/std/",
    "https://docs.rs/",
    "https://crates.io/",
    "https://tokio.rs/",
    "https://hyper.rs/",
    "https://www.python.org/",
    "https://docs.aiohttp.org/",
    "https://www.wikipedia.org/",
    "https://example.com/",
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> trunkline_scrape::Result<()> {
    let mut urls: Vec<_> = std::env::args().skip(1).collect();
    if urls.is_empty() {
        urls = URLS.map(String::from).into();
    }
    let started = Instant::now();
    let count = Session::new().scope(async |session| print_lengths(session, &urls).await).await?;
    println!("{:.2} s, {count} pages", started.elapsed().as_secs_f64());
    Ok(())
}

async fn print_lengths(session: &Session, urls: &[String]) -> trunkline_scrape::Result<usize> {
    let mut pages = Scraper::new(session.clone()).fetch(urls).in_order();
    let mut count = 0;
    while let Some(page) = pages.next().await {
        let page = page?;
        println!("{} {}", page.requested, page.body.len());
        count += 1;
    }
    Ok(count)
}
