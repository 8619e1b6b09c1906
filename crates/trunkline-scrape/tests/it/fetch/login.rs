//! Pages behind a login.

use http::StatusCode;
use trunkline::{Response, Session};
use trunkline_scrape::{Login, Scraper};

use super::all;
use crate::support::site::Site;

fn login(site: &Site) -> Login {
    Login::at(site.url("/login")).field("user", "ann").field("pass", "s3cret")
}

fn size() -> (usize, usize) {
    if std::env::var_os("TRUNKLINE_SOAK").is_some() { (2_000, 200) } else { (300, 50) }
}

/// The site ends the session again and again: each page comes, none twice, with one login for each time that it ended.
#[tokio::test]
async fn all_pages_come_from_a_site_that_ends_the_session_again_and_again() {
    let (pages, good_for) = size();
    let (site, session) = (Site::start(good_for).await, Session::new());
    let scraper = Scraper::new(session.clone());
    scraper.login(login(&site)).await.unwrap();
    let fetched = all(scraper.fetch((0..pages).map(|number| site.url(&format!("/page/{number}"))))).await;
    assert_eq!(fetched.len(), pages);
    for page in fetched {
        let page = page.unwrap();
        let number = page.requested.path().rsplit_once('/').unwrap().1;
        assert_eq!((page.status, page.body), (StatusCode::OK, format!("page {number}").into()));
    }
    assert_eq!(site.delivered().len(), pages);
    assert!(site.delivered().values().all(|times| *times == 1), "{:?}", site.delivered());
    assert_eq!(site.logins(), pages / good_for, "one for each time that it ended");
    session.close().await;
}

/// The same where only lengths are wanted: the login page is known by its address, and not read.
#[tokio::test]
async fn it_is_found_out_without_reading_pages_as_well() {
    let (pages, good_for) = size();
    let (site, session) = (Site::start(good_for).await, Session::new());
    let scraper = Scraper::new(session.clone());
    scraper.login(login(&site)).await.unwrap();
    let mut fetch = scraper.fetch_with(|_: &usize| |response: Response| response.text());
    for number in 0..pages {
        assert!(fetch.push(scraper.url(site.url(&format!("/page/{number}"))).unwrap(), number));
    }
    let mut came = 0;
    while let Some(fetched) = fetch.next().await {
        assert_eq!((fetched.result.unwrap(), fetched.attempts), (format!("page {}", fetched.key), 1));
        came += 1;
    }
    assert_eq!((came, site.delivered().len(), site.logins()), (pages, pages, pages / good_for));
    assert!(site.delivered().values().all(|times| *times == 1));
    session.close().await;
}

#[tokio::test]
async fn a_login_that_cannot_be_renewed_fails_each_page_and_is_not_tried_for_each() {
    let (site, session) = (Site::start(5).await, Session::new());
    let scraper = Scraper::new(session.clone());
    scraper.login(login(&site)).await.unwrap();
    site.lock();
    let fetched = all(scraper.fetch((0..20).map(|number| site.url(&format!("/page/{number}?token=se-cret"))))).await;
    assert_eq!(fetched.len(), 20);
    for page in fetched {
        let error = page.unwrap_err();
        let url = error.url().unwrap();
        let told = format!("GET {}: login failed: the password form is still there", site.url(url.path()));
        assert!(error.is_login() && error.to_string().starts_with(&told), "{error}");
        assert_eq!(url.query(), Some("token=se-cret"), "it can be asked for again");
        assert!(!format!("{error} {error:?}").contains("se-cret"));
    }
    assert_eq!(site.tries(), 2, "the first one, and the one that failed");
    session.close().await;
}
