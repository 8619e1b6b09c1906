//! The `Origin` header across redirects, as in browsers (the Fetch standard).

use http::Method;
use http::header::ORIGIN;
use trunkline::{Pool, Session};

use crate::support::{Rogue, Step, TestCa};
use crate::{SOON, within};

fn moved(status: u16, to: &str) -> Vec<Step> {
    let answer = format!("HTTP/1.1 {status} Moved\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
    vec![Step::ReadHead, Step::ReadBody, Step::send(answer), Step::Drain]
}

fn origin(of: &Rogue) -> String {
    of.url("/").trim_end_matches('/').to_owned()
}

/// The `Origin` that the last redirect's target receives.
async fn told(status: u16, method: Method, from: &str, by: &[&Rogue]) -> Option<String> {
    let (first, last) = (by[0], by[by.len() - 1]);
    let before = last.requests().len();
    let session = Session::builder().build().unwrap();
    let request = session.request(method, first.url(&format!("/{status}"))).header(ORIGIN, from).body("x");
    assert!(within(SOON, request.send()).await.unwrap().status().is_success());
    let seen = last.requests().split_off(before);
    seen.last().unwrap().header("origin").map(str::to_owned)
}

#[tokio::test]
async fn a_post_that_becomes_a_get_says_no_more_whose_it_is() {
    for status in [301, 302, 303, 307, 308] {
        let other = Rogue::start(Step::serve("")).await;
        for to in [other.url("/there"), "/here".into()] {
            let first = Rogue::start([&moved(status, &to)[..3], &Step::serve("")].concat()).await;
            let last = if to.starts_with('/') { &first } else { &other };
            let own = origin(&first);
            let kept = (status > 303).then(|| own.clone());
            assert_eq!(told(status, Method::POST, &own, &[&first, last]).await, kept, "{status} to {to}");
        }
    }
}

#[tokio::test]
async fn origin_header_stays_within_an_origin_if_the_method_stays() {
    for (status, method) in [(302, Method::GET), (303, Method::HEAD), (302, Method::PUT), (307, Method::POST)] {
        let first = Rogue::start([&moved(status, "/here")[..3], &Step::serve("")].concat()).await;
        let foreign = "https://app.example";
        assert_eq!(told(status, method, foreign, &[&first, &first]).await.as_deref(), Some(foreign));
    }
}

#[tokio::test]
async fn whoever_is_sent_on_by_a_third_is_nobody() {
    let last = Rogue::start(Step::serve("")).await;
    let second = Rogue::start(moved(307, &last.url("/"))).await;
    let first = Rogue::start(moved(307, &second.url("/"))).await;
    assert_eq!(told(307, Method::POST, &origin(&first), &[&first, &second, &last]).await.as_deref(), Some("null"));
    assert_eq!(second.requests()[0].header("origin"), Some(&*origin(&first)), "the first sent its own");
}

#[tokio::test]
async fn whoever_comes_from_https_is_nobody_without() {
    let ca = TestCa::new();
    let last = Rogue::start(Step::serve("")).await;
    let first = Rogue::tls(&ca, moved(307, &last.url("/"))).await;
    let pool = Pool::builder().add_root_certificate(ca.pem()).build().unwrap();
    let session = Session::builder().pool(pool).build().unwrap();
    within(SOON, session.post(first.url("/")).header(ORIGIN, origin(&first)).body("x").send()).await.unwrap();
    assert_eq!(last.requests()[0].header("origin"), Some("null"));
}
