//! A stream that is dropped, or told to stop.

use std::time::Duration;

use http::StatusCode;
use trunkline::{Response, Session};
use trunkline_scrape::{Scraper, Visit};

use crate::support::sockets::{assert_no_connections, connections, until};
use crate::support::web::Web;

/// A page at once, and others that never come.
async fn stuck() -> Web {
    Web::start(|path, _| async move {
        if path != "/quick" {
            std::future::pending::<()>().await;
        }
        path
    })
    .await
}

#[tokio::test]
async fn dropped_mid_way_it_leaves_nothing() {
    let (web, session) = (stuck().await, Session::new());
    let scraper = Scraper::new(session.clone()).concurrency(8);
    let urls = std::iter::once(web.url("/quick")).chain((0..100).map(|number| web.url(&format!("/{number}"))));
    let mut pages = scraper.fetch(urls);
    assert_eq!(pages.next().await.unwrap().unwrap().body, "/quick");
    let more = tokio::time::timeout(Duration::from_millis(50), pages.next()).await;
    assert!(more.is_err());
    until("eight are under way", || web.being_answered() == 8).await;

    drop(pages);
    until("nothing is in use", || session.stats().in_use == 0 && session.stats().waiting == 0).await;
    until("the server has seen them go", || web.being_answered() == 0 && web.left() == 8).await;
    assert_eq!(web.asked().len(), 9, "nothing was started after that");
    session.close().await;
    assert_no_connections(web.port()).await;
}

/// A waiting caller may be cancelled at any time.
#[tokio::test]
async fn a_wait_that_is_given_up_loses_nothing() {
    let web = Web::start(|path, _| async move {
        tokio::time::sleep(Duration::from_millis(5)).await;
        path
    })
    .await;
    let session = Session::new();
    let mut pages = Scraper::new(session.clone()).fetch((0..200).map(|number| web.url(&format!("/{number}"))));
    let mut came = 0;
    loop {
        match tokio::time::timeout(Duration::from_micros(300), pages.next()).await {
            Ok(Some(page)) => came += usize::from(page.unwrap().status == StatusCode::OK),
            Ok(None) => break,
            Err(_) => {}
        }
    }
    assert_eq!((came, web.asked().len()), (200, 200));
    session.close().await;
}

#[tokio::test]
async fn stopped_it_starts_nothing_more_and_what_is_under_way_comes() {
    let web = Web::start(|path, _| async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        if path == "/0" { Err(StatusCode::SERVICE_UNAVAILABLE) } else { Ok(path) }
    })
    .await;
    let session = Session::new();
    let scraper = Scraper::new(session.clone()).concurrency(2);
    let mut fetch = scraper.fetch_with(|_: &usize| |response: Response| response.text());
    for number in 0..10 {
        fetch.push(scraper.url(web.url(&format!("/{number}"))).unwrap(), number);
    }
    let early = tokio::time::timeout(Duration::from_millis(50), fetch.next()).await;
    assert!(early.is_err());
    assert_eq!((fetch.stop(), fetch.under_way()), (8, 2));
    assert!(!fetch.push(scraper.url(web.url("/late")).unwrap(), 11));
    let mut came = [fetch.next().await.unwrap(), fetch.next().await.unwrap()];
    came.sort_by_key(|fetched| fetched.key);
    let [ill, well] = came;
    assert_eq!((well.key, well.result.unwrap().as_str()), (1, "/1"));
    let error = ill.result.unwrap_err();
    assert!(error.to_string().contains("503") && error.attempts() == 1, "it would have to be tried again: {error}");
    assert!(fetch.next().await.is_none() && fetch.is_empty());
    assert_eq!(web.asked().len(), 2);
    session.close().await;
}

#[tokio::test]
async fn stopped_it_waits_for_no_robots_txt() {
    let (web, session) = (stuck().await, Session::new());
    let scraper = Scraper::new(session.clone()).robots("tester");
    let mut fetch = scraper.fetch_with(|_: &()| |response: Response| response.text());
    fetch.push(scraper.url(web.url("/page")).unwrap(), ());
    let early = tokio::time::timeout(Duration::from_millis(50), fetch.next()).await;
    assert!(early.is_err());
    until("it is asked for", || web.being_answered() == 1).await;
    assert_eq!(fetch.stop(), 1);
    assert!(fetch.next().await.is_none() && fetch.is_empty());
    session.close().await;
}

#[tokio::test]
async fn stopped_it_forgets_what_was_not_asked_for_yet() {
    let web = Web::start(|_, before| async move {
        tokio::time::sleep(Duration::from_millis(if before == 0 { 0 } else { 300 })).await;
        StatusCode::SERVICE_UNAVAILABLE
    })
    .await;
    let session = Session::new();
    let scraper = Scraper::new(session.clone()).robots("tester");
    let mut fetch = scraper.fetch_with(|_: &()| |response: Response| response.text());
    fetch.push(scraper.url(web.url("/page")).unwrap(), ());
    while web.times("/robots.txt").len() < 2 {
        let early = tokio::time::timeout(Duration::from_millis(10), fetch.next()).await;
        assert!(early.is_err());
    }
    // The page's own task waits for it by now.
    assert_eq!((fetch.stop(), fetch.under_way()), (0, 1));
    assert!(fetch.next().await.is_none());
    assert_eq!(web.paths(), ["/robots.txt", "/robots.txt"]);
    session.close().await;
}

#[tokio::test]
async fn a_session_closed_during_robots_txt_does_not_refuse_the_page() {
    let (web, session) = (stuck().await, Session::new());
    let scraper = Scraper::new(session.clone()).robots("tester").retries(0);
    let url = scraper.url(web.url("/page")).unwrap();
    let visit = scraper.visit(&url, 1, |response: Response| response.text());
    let close = async {
        until("it is asked for", || web.being_answered() == 1).await;
        session.close_within(Duration::ZERO).await
    };
    let (visit, _) = tokio::join!(visit, close);
    let Visit::Failed(error) = visit else { panic!("{visit:?}") };
    assert!(error.http().is_some_and(trunkline::Error::is_closed) && !error.is_robots(), "{error}");
}

#[tokio::test]
async fn cancelled_it_returns_when_nothing_is_left() {
    let (web, session) = (stuck().await, Session::new());
    let scraper = Scraper::new(session.clone()).concurrency(2);
    let mut fetch = scraper.fetch_with(|_: &usize| |response: Response| response.text());
    for number in 0..10 {
        fetch.push(scraper.url(web.url(&format!("/{number}"))).unwrap(), number);
    }
    let early = tokio::time::timeout(Duration::from_millis(50), fetch.next()).await;
    assert!(early.is_err() && connections(web.port()) > 0);
    fetch.cancel().await;
    assert_eq!((fetch.waiting(), fetch.under_way(), session.stats().in_use), (0, 0, 0));
    assert!(fetch.next().await.is_none());
    session.close().await;
}
