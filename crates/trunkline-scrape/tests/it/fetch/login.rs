//! Pages behind a login.

use std::sync::Arc;

use axum::response::{Html, IntoResponse as _};
use http::StatusCode;
use tokio::sync::Notify;
use trunkline::{Response, Session};
use trunkline_scrape::{Login, Scraper};

use super::all;
use crate::support::site::Site;
use crate::support::web::Web;

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

/// Every login works, and none lets anybody in: that is not gone on with for as long as there are pages.
#[tokio::test]
async fn logins_that_let_nobody_in_come_to_an_end() {
    let (site, session) = (Site::start(5).await, Session::new());
    let scraper = Scraper::new(session.clone()).concurrency(1);
    scraper.login(login(&site)).await.unwrap();
    let fetched = all(scraper.fetch((0..20).map(|number| site.url(&format!("/forbidden?{number}"))))).await;
    assert_eq!(fetched.len(), 20);
    assert!(fetched.iter().all(|page| page.as_ref().is_err_and(|error| error.is_login())), "{fetched:?}");
    assert_eq!(site.logins(), 4, "the first one, and three in vain");
    session.close().await;
}

/// One page logs in, others use up what that is good for, and it is over for the first one once more: as it has let somebody in, it is renewed.
#[tokio::test]
async fn a_login_that_others_have_used_up_is_renewed_once_more() {
    let (used_up, session) = (Arc::new(Notify::new()), Session::new());
    let waits = used_up.clone();
    let web = Web::start(move |path, before| {
        let waits = waits.clone();
        async move {
            match (&*path, before) {
                ("/login", _) => {
                    Html("<form action=/in method=post><input type=password name=pass></form>").into_response()
                }
                ("/a", 0) => StatusCode::UNAUTHORIZED.into_response(),
                ("/a", 1) => {
                    waits.notified().await;
                    StatusCode::UNAUTHORIZED.into_response()
                }
                _ => path.into_response(),
            }
        }
    })
    .await;
    let scraper = Scraper::new(session.clone());
    scraper.login(Login::at(web.url("/login")).field("pass", "s3cret")).await.unwrap();
    let others = async {
        while web.times("/a").len() < 2 {
            tokio::task::yield_now().await;
        }
        scraper.get(web.url("/b")).await.unwrap();
        used_up.notify_one();
    };
    let (page, ()) = tokio::join!(scraper.get(web.url("/a")), others);
    assert_eq!((page.unwrap().body, web.times("/a").len(), web.times("/in").len()), ("/a".into(), 3, 3));
    session.close().await;
}
