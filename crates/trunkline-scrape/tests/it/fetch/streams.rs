//! The stream: each URL once, so many at a time, in order or not, however long the input and slow
//! the reader.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use trunkline::{Response, Session};
use trunkline_scrape::{Scraper, SeenUrls};

use super::all;
use crate::support::sockets::until;
use crate::support::web::Web;

fn millis(path: &str) -> Duration {
    Duration::from_millis(path.rsplit_once('/').unwrap().1.parse().unwrap())
}

/// Pages that take as long as their path says.
async fn sleepy() -> Web {
    Web::start(|path, _| async move {
        tokio::time::sleep(millis(&path)).await;
        path
    })
    .await
}

#[tokio::test]
async fn each_url_is_fetched_once() {
    let (web, session) = (Web::plain().await, Session::new());
    let base = web.url("");
    let urls = ["/a", "/b#1", "/a", "/b#2", "/b", "/c/../a", "/a?", "/%61"].map(|path| format!("{base}{path}"));
    let pages = all(Scraper::new(session.clone()).fetch(&urls)).await;
    let paths: BTreeSet<_> = web.paths().into_iter().collect();
    assert_eq!((pages.len(), web.asked().len()), (4, 4));
    assert_eq!(paths.into_iter().collect::<Vec<_>>(), ["/%61", "/a", "/a?", "/b"]);
    session.close().await;
}

#[tokio::test]
async fn pages_come_as_they_are_there_or_in_order() {
    let (web, session) = (sleepy().await, Session::new());
    let scraper = Scraper::new(session.clone());
    let urls = [600, 0, 300].map(|millis| web.url(&format!("/{millis}")));
    let as_they_come: Vec<_> = all(scraper.fetch(&urls)).await.into_iter().map(|page| page.unwrap().body).collect();
    assert_eq!(as_they_come, ["/0", "/300", "/600"]);
    let in_order: Vec<_> =
        all(scraper.fetch(&urls).in_order()).await.into_iter().map(|page| page.unwrap().body).collect();
    assert_eq!(in_order, ["/600", "/0", "/300"]);
    session.close().await;
}

/// In order, what comes early is kept; but not without end, while the first is waited for.
#[tokio::test]
async fn in_order_not_everything_is_kept() {
    let (web, session) = (sleepy().await, Session::new());
    let scraper = Scraper::new(session.clone()).concurrency(4);
    let slow = web.url("/2000");
    let urls = std::iter::once(slow).chain((0..100).map(|number| web.url(&format!("/x{number}/0"))));
    let mut pages = scraper.fetch(urls).in_order();
    assert_eq!(pages.next().await.unwrap().unwrap().body, "/2000");
    assert!(web.asked().len() <= 8, "{} were asked for before the first was there", web.asked().len());
    let mut numbers = 0..100;
    while let Some(page) = pages.next().await {
        assert_eq!(page.unwrap().body, format!("/x{}/0", numbers.next().unwrap()));
    }
    assert_eq!(numbers.next(), None);
    session.close().await;
}

#[tokio::test]
async fn there_are_never_more_at_a_time_than_was_said() {
    for concurrency in [1, 5] {
        let (web, session) = (sleepy().await, Session::new());
        let scraper = Scraper::new(session.clone()).concurrency(concurrency);
        let pages = all(scraper.fetch((0..40).map(|number| web.url(&format!("/{number}/10"))))).await;
        assert_eq!((pages.len(), web.peak()), (40, concurrency));
        session.close().await;
    }
}

/// It waits between any two pages: those under way end without it, and their connections are free.
#[tokio::test]
async fn a_slow_reader_holds_up_no_connection() {
    let (web, session) = (Web::plain().await, Session::new());
    let mut pages =
        Scraper::new(session.clone()).concurrency(4).fetch((0..50).map(|number| web.url(&format!("/{number}"))));
    for _ in 0..3 {
        pages.next().await.unwrap().unwrap();
        until("all connections are idle", || session.stats().in_use == 0).await;
    }
    // Three were taken out; four places are taken by what is finished.
    assert!(web.asked().len() <= 7, "{}", web.asked().len());
    let mut rest = 0;
    while let Some(page) = pages.next().await {
        page.unwrap();
        rest += 1;
    }
    assert_eq!(rest, 47);
    session.close().await;
}

/// URLs are taken as they are wanted.
#[tokio::test]
async fn an_endless_input_is_read_as_it_is_wanted() {
    let (web, session) = (Web::plain().await, Session::new());
    let read = Rc::new(Cell::new(0_u64));
    let count = read.clone();
    let urls = (0_u64..).map(|number| {
        count.set(number);
        web.url(&format!("/{number}"))
    });
    let mut pages = Scraper::new(session.clone()).fetch(urls);
    for taken in 0..3_000 {
        pages.next().await.unwrap().unwrap();
        assert!(read.get() <= taken + 1_100, "{} read for {taken} pages", read.get());
    }
    drop(pages);
    session.close().await;
}

/// The same if none of it may be fetched for now, or all of it was before.
#[tokio::test]
async fn an_endless_input_of_one_waiting_host_or_url_is_no_trap() {
    let (web, session) = (Web::plain().await, Session::new());
    let scraper = Scraper::new(session.clone()).delay(Duration::from_secs(3_600));
    let read = Rc::new(Cell::new(0_u64));
    let count = read.clone();
    let urls = (0_u64..).map(|number| {
        count.set(number);
        web.url(&format!("/{number}"))
    });
    let mut pages = scraper.fetch(urls);
    pages.next().await.unwrap().unwrap();
    let more = tokio::time::timeout(Duration::from_millis(500), pages.next()).await;
    assert!(more.is_err() && read.get() <= 20_001, "{}", read.get());

    let mut pages = scraper.fetch(std::iter::repeat_with(|| web.url("/same")));
    pages.next().await.unwrap().unwrap();
    let more = tokio::time::timeout(Duration::from_millis(200), pages.next()).await;
    assert!(more.is_err(), "there is only one");
    session.close().await;
}

#[tokio::test]
async fn it_is_a_stream_and_may_borrow_its_urls() {
    let (web, session) = (Web::plain().await, Session::new());
    let urls = vec![web.url("/1"), web.url("/2")];
    let pages: Vec<_> = Scraper::new(session.clone()).fetch(&urls).collect().await;
    assert_eq!(pages.len(), urls.len());
    assert!(Scraper::new(session.clone()).fetch::<[&str; 0]>([]).next().await.is_none());
    session.close().await;
}

#[tokio::test]
async fn what_is_pushed_comes_out_with_its_key() {
    let (web, session) = (Web::plain().await, Session::new());
    let scraper = Scraper::new(session.clone());
    let mut before = SeenUrls::default();
    assert!(before.insert(&scraper.url(web.url("/0#top")).unwrap()));
    let mut fetch = scraper.fetch_with(|_: &&str| |response: Response| response.text()).once(before);
    assert!(fetch.is_empty() && fetch.next().await.is_none());
    for (path, key, taken) in
        [("/1", "one", true), ("/0", "none", false), ("/2", "two", true), ("/1#top", "three", false)]
    {
        assert_eq!(fetch.push(scraper.url(web.url(path)).unwrap(), key), taken);
    }
    let mut came = Vec::new();
    while let Some(fetched) = fetch.next().await {
        came.push((fetched.key, fetched.url.path().to_owned(), fetched.result.unwrap()));
    }
    came.sort_unstable();
    assert_eq!(came, [("one", "/1".into(), "/1".into()), ("two", "/2".into(), "/2".into())]);
    // And more may come.
    fetch.push(scraper.url(web.url("/3")).unwrap(), "three");
    assert_eq!(fetch.next().await.unwrap().key, "three");
    session.close().await;
}

#[test]
fn outside_of_a_runtime_each_page_is_an_error() {
    let scraper = Scraper::new(Session::new()).robots("test").delay(Duration::from_secs(1));
    let mut pages = scraper.fetch(["http://127.0.0.1:9/1", "http://127.0.0.1:9/2"]);
    for _ in 0..2 {
        let error = pages.next().now_or_never().flatten().unwrap().unwrap_err();
        assert!(error.to_string().contains("no tokio runtime"), "{error}");
    }
    assert!(pages.next().now_or_never().unwrap().is_none());
}
