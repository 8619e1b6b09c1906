//! One login for several scrapers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use http::StatusCode;
use tokio::sync::Mutex;
use trunkline::{CookieJar, Session};
use trunkline_scrape::{Error, Login, LoginContext, Renew, RenewFuture, Scraper};

use crate::support::site::Site;

/// The cookies of the last login, with its number.
type Place = Arc<Mutex<(u64, Vec<u8>)>>;

#[derive(Default)]
struct Shared {
    place: Place,
    number: AtomicU64,
}

impl Renew for Shared {
    fn renew<'a>(&'a self, entrance: LoginContext<'a>) -> RenewFuture<'a> {
        Box::pin(async move {
            let mut place = self.place.lock().await;
            if place.0 > self.number.load(Ordering::SeqCst) {
                entrance.session().cookies().extend(&CookieJar::from_netscape(&place.1)?);
            } else {
                let cookies = entrance.session().cookies().clone();
                entrance.log_in().await?;
                *place = (place.0 + 1, cookies.to_netscape());
            }
            self.number.store(place.0, Ordering::SeqCst);
            Ok(())
        })
    }
}

fn login(site: &Site) -> Login {
    Login::at(site.url("/login")).field("user", "ann").field("pass", "s3cret")
}

async fn scraper(site: &Site, place: &Place) -> Scraper {
    let scraper = Scraper::new(Session::new()).concurrency(4);
    scraper.login_with(login(site), Shared { place: place.clone(), number: AtomicU64::new(0) }).await.unwrap();
    scraper
}

#[tokio::test]
async fn one_logs_in_and_the_others_take_over_what_it_has_left() {
    let (pages, good_for) = (240, 40);
    let (site, place) = (Site::start(good_for).await, Place::default());
    let scrapers = [scraper(&site, &place).await, scraper(&site, &place).await, scraper(&site, &place).await];
    assert_eq!(site.logins(), 1);
    let [one, two, three] = [0, 1, 2].map(|first| {
        let urls = (first..pages).step_by(3).map(|number| site.url(&format!("/page/{number}")));
        super::fetch::all(scrapers[first].fetch(urls.collect::<Vec<_>>()))
    });
    let (one, two, three) = tokio::join!(one, two, three);
    for page in one.into_iter().chain(two).chain(three) {
        assert_eq!(page.unwrap().status, StatusCode::OK);
    }
    assert_eq!((site.delivered().len(), site.logins()), (pages, pages / good_for));
    for scraper in scrapers {
        scraper.session().close().await;
    }
}

/// The rules of when it is enough are those of any login.
#[tokio::test]
async fn shared_logins_that_let_nobody_in_come_to_an_end() {
    let (site, place) = (Site::start(5).await, Place::default());
    let scraper = scraper(&site, &place).await;
    for number in 0..10 {
        let error = scraper.get(site.url(&format!("/forbidden?{number}"))).await.unwrap_err();
        assert!(error.is_login() && !error.is_shut_out(), "{error}");
    }
    assert_eq!(site.logins(), 4, "the first one, and three in vain");
    scraper.session().close().await;
}

/// A shared place that fails: for now at first, then for good.
#[derive(Default)]
struct Broken {
    asked: Arc<AtomicUsize>,
}

impl Renew for Broken {
    fn renew<'a>(&'a self, entrance: LoginContext<'a>) -> RenewFuture<'a> {
        Box::pin(async move {
            match self.asked.fetch_add(1, Ordering::SeqCst) {
                0 | 2 => entrance.log_in().await.map(drop),
                1 => Err(Error::renewal("the database restarts").passing(true)),
                _ => Err(Error::renewal("the table is gone")),
            }
        })
    }
}

#[tokio::test]
async fn only_a_passing_failure_to_share_is_tried_again() {
    let (site, broken) = (Site::start(1).await, Broken::default());
    let asked = broken.asked.clone();
    let scraper = Scraper::new(Session::new());
    scraper.login_with(login(&site), broken).await.unwrap();
    let pages = super::fetch::all(scraper.fetch((0..2).map(|number| site.url(&format!("/page/{number}"))))).await;
    assert!(pages.iter().all(Result::is_ok), "{pages:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    for number in 2..5 {
        let error = scraper.get(site.url(&format!("/page/{number}"))).await.unwrap_err();
        assert!(error.is_login() && error.is_shut_out() && !error.is_passing(), "{error}");
        assert_eq!(error.to_string(), "the table is gone");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 4, "it stands");
    scraper.session().close().await;
}
