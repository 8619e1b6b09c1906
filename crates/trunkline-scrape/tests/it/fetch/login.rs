//! Pages behind a login.

use std::sync::Arc;
use std::time::Duration;

use axum::response::{Html, IntoResponse as _};
use http::StatusCode;
use http::header::RETRY_AFTER;
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

/// The site ends the session again and again: each page comes, none twice, with one login for each
/// time that it ended.
#[tokio::test]
async fn all_pages_come_from_a_site_that_keeps_ending_the_session() {
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
async fn a_login_that_cannot_be_renewed_fails_all_pages_at_once() {
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

/// Every login works, and none opens a page: that is not gone on with for as long as there are
/// pages.
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

/// A page may link to it: a request for it does not mean a lost session.
#[tokio::test]
async fn the_login_page_is_a_page_as_any_other() {
    let (site, session) = (Site::start(100).await, Session::new());
    let scraper = Scraper::new(session.clone());
    scraper.login(login(&site)).await.unwrap();
    let paths = (0..5).flat_map(|number| [format!("/page/{number}"), format!("/login?next=/page/{number}")]);
    for page in all(scraper.fetch(paths.map(|path| site.url(&path)))).await {
        assert_eq!(page.unwrap().status, StatusCode::OK);
    }
    assert_eq!(site.logins(), 1);
    session.close().await;
}

/// A login here does not help on another site.
#[tokio::test]
async fn a_401_of_another_site_is_delivered() {
    let (site, session) = (Site::start(100).await, Session::new());
    let other = Web::start(|_, _| async { StatusCode::UNAUTHORIZED }).await;
    let scraper = Scraper::new(session.clone());
    scraper.login(login(&site)).await.unwrap();
    let page = scraper.get(other.url("/").replace("127.0.0.1", "localhost")).await.unwrap();
    assert_eq!((page.status, site.logins()), (StatusCode::UNAUTHORIZED, 1));
    session.close().await;
}

/// Sixteen pages find out that they are outside, and the login page asks to be left alone: it is
/// asked once, and once more when its time has come.
#[tokio::test]
async fn a_login_page_that_is_busy_is_left_alone_by_all_pages() {
    let web = Web::start(|path, before| async move {
        match (&*path, before) {
            ("/login", 1) => (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "2")]).into_response(),
            ("/login", _) => {
                Html("<form action=/in method=post><input type=password name=pass></form>").into_response()
            }
            ("/in", _) => "in".into_response(),
            (_, before) if before < 2 => StatusCode::UNAUTHORIZED.into_response(),
            _ => path.into_response(),
        }
    })
    .await;
    let session = Session::new();
    let scraper = Scraper::new(session.clone());
    scraper.login(Login::at(web.url("/login")).field("pass", "s3cret")).await.unwrap();
    let pages = all(scraper.fetch((0..16).map(|number| web.url(&format!("/{number}"))))).await;
    assert!(pages.iter().all(|page| page.as_ref().is_ok_and(|page| page.status == StatusCode::OK)), "{pages:?}");
    let asked = web.times("/login");
    assert!(asked.len() == 3 && asked[2] - asked[1] >= Duration::from_secs(2), "{asked:?}");
    session.close().await;
}

/// A wrong password is one by whatever status, and is not sent for each page.
#[tokio::test]
async fn a_session_that_makes_errors_of_statuses_logs_in_as_any_other() {
    let web = Web::start(|path, before| async move {
        match (&*path, before) {
            ("/login", _) => {
                Html("<form action=/in method=post><input type=password name=pass></form>").into_response()
            }
            ("/in", 0) => "in".into_response(),
            _ => StatusCode::UNAUTHORIZED.into_response(),
        }
    })
    .await;
    let session = Session::builder().error_for_status(true).build().unwrap();
    let scraper = Scraper::new(session.clone());
    scraper.login(Login::at(web.url("/login")).field("pass", "s3cret")).await.unwrap();
    for page in all(scraper.fetch((0..10).map(|number| web.url(&format!("/{number}"))))).await {
        let error = page.unwrap_err();
        assert!(error.is_login() && error.to_string().contains("the status 401 Unauthorized"), "{error}");
    }
    assert_eq!(web.times("/in").len(), 2, "the first one, and the one that failed");
    session.close().await;
}

/// One page logs in, others use up what that is good for, and it is over for the first one once
/// more: as it has given a page, it is renewed.
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
