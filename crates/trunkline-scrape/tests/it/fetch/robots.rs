//! robots.txt, from hosts that have one, have none, or have one that means harm.

use std::time::{Duration, Instant};

use axum::response::{IntoResponse, Redirect};
use http::StatusCode;
use http::header::RETRY_AFTER;
use trunkline::Session;
use trunkline_scrape::Scraper;

use super::{all, by_path};
use crate::support::tls::Untrusted;
use crate::support::web::Web;

async fn with(robots: &'static str) -> Web {
    Web::start(move |path, _| async move { if path == "/robots.txt" { robots.to_owned() } else { path } }).await
}

async fn answering(status: StatusCode) -> Web {
    Web::start(move |path, _| async move {
        if path == "/robots.txt" {
            (status, "User-agent: *\nDisallow: /").into_response()
        } else {
            path.into_response()
        }
    })
    .await
}

#[tokio::test]
async fn what_it_does_not_allow_is_not_asked_for() {
    let web = with("User-agent: other\nDisallow: /\n\nUser-Agent: Tester\nDisallow: /private\nAllow: /private/open\nDisallow: /*.pdf$\n\nUser-agent: *\nDisallow: /").await;
    let session = Session::new();
    let scraper = Scraper::new(session.clone()).robots("tester/1.0 (+https://example.com)");
    let paths = ["/", "/private", "/private/open/1", "/a.pdf", "/a.pdf?x", "/public"];
    let came = by_path(all(scraper.fetch(paths.map(|path| web.url(path)))).await);
    let allowed = ["/", "/private/open/1", "/public"];
    for path in ["/", "/private", "/private/open/1", "/public"] {
        match &came[path] {
            Ok(status) => assert!(*status == 200 && allowed.contains(&path), "{path}"),
            Err(error) => {
                assert!(error.is_robots() && !allowed.contains(&path), "{path}: {error}");
                let told = format!("GET {}: its robots.txt does not allow it to \"tester\"", web.url(path));
                assert_eq!(error.to_string(), told);
            }
        }
    }
    let mut asked = web.paths();
    asked.sort_unstable();
    assert_eq!(asked, ["/", "/a.pdf?x", "/private/open/1", "/public", "/robots.txt"]);
    // Other ways lead there no more than that one.
    assert!(scraper.get(web.url("/private")).await.unwrap_err().is_robots());
    session.close().await;
}

#[tokio::test]
async fn a_burst_asks_for_it_once() {
    let web = Web::start(|path, _| async move {
        if path == "/robots.txt" {
            tokio::time::sleep(Duration::from_millis(100)).await;
            return String::new();
        }
        path
    })
    .await;
    let session = Session::new();
    let scraper = Scraper::new(session.clone()).robots("tester");
    let (one, other) = tokio::join!(
        all(scraper.fetch((0..50).map(|number| web.url(&format!("/a{number}"))))),
        all(scraper.fetch((0..50).map(|number| web.url(&format!("/b{number}")))))
    );
    assert!(one.iter().chain(&other).all(Result::is_ok));
    assert_eq!((web.times("/robots.txt").len(), web.asked().len()), (1, 101));
    session.close().await;
}

#[tokio::test]
async fn without_one_everything_is_allowed() {
    for status in [StatusCode::NOT_FOUND, StatusCode::FORBIDDEN, StatusCode::GONE] {
        let (web, session) = (answering(status).await, Session::new());
        let pages = all(Scraper::new(session.clone()).robots("tester").fetch([web.url("/1"), web.url("/2")])).await;
        assert!(pages.iter().all(Result::is_ok), "{status}: {pages:?}");
        session.close().await;
    }
}

#[tokio::test]
async fn if_it_cannot_be_had_nothing_is_allowed() {
    for status in [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::TOO_MANY_REQUESTS] {
        let (web, session) = (answering(status).await, Session::new());
        let scraper = Scraper::new(session.clone()).robots("tester").retries(1);
        let pages = all(scraper.fetch((0..20).map(|number| web.url(&format!("/{number}"))))).await;
        assert_eq!(pages.len(), 20);
        for page in pages {
            let error = page.unwrap_err();
            assert!(error.is_robots() && error.to_string().contains(&status.to_string()), "{error}");
        }
        assert_eq!(web.paths(), ["/robots.txt", "/robots.txt"], "twice, for all pages together");
        session.close().await;
    }
}

#[tokio::test]
async fn a_retry_after_of_an_hour_ends_the_requests_for_robots_txt() {
    let web = Web::start(|_, _| async { (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "3600")]) }).await;
    let session = Session::new();
    let pages = all(Scraper::new(session.clone()).robots("tester").fetch([web.url("/1"), web.url("/2")])).await;
    assert!(pages.iter().all(|page| page.as_ref().is_err_and(|error| error.is_robots())), "{pages:?}");
    assert_eq!(web.paths(), ["/robots.txt"]);
    session.close().await;
}

#[tokio::test]
async fn a_bad_certificate_ends_the_requests_for_robots_txt() {
    let (server, session) = (Untrusted::start().await, Session::new());
    let pages = all(Scraper::new(session.clone()).robots("tester").fetch([server.url()])).await;
    let error = pages[0].as_ref().unwrap_err();
    assert!(error.is_robots() && error.to_string().contains("the certificate of localhost"), "{error}");
    assert_eq!(server.accepted(), 1);
    session.close().await;
}

/// A byte order mark is no part of it, and that of another port says nothing of this one.
#[tokio::test]
async fn each_port_has_its_own() {
    let (marked, open) = (with("\u{feff}User-agent: *\nDisallow: /no").await, with("").await);
    let session = Session::new();
    let urls = [marked.url("/no"), marked.url("/yes"), open.url("/no")];
    let pages = all(Scraper::new(session.clone()).robots("tester").fetch(&urls).in_order()).await;
    let refused: Vec<_> = pages.iter().map(|page| page.as_ref().is_err_and(|error| error.is_robots())).collect();
    assert_eq!(refused, [true, false, false]);
    session.close().await;
}

#[tokio::test]
async fn it_is_asked_for_again_if_it_could_not_be_had_at_first() {
    let web = Web::start(|path, before| async move {
        match path.as_str() {
            "/robots.txt" if before == 0 => StatusCode::BAD_GATEWAY.into_response(),
            "/robots.txt" => "User-agent: *\nDisallow: /no".into_response(),
            _ => path.into_response(),
        }
    })
    .await;
    let session = Session::new();
    let scraper = Scraper::new(session.clone()).robots("tester");
    let error = scraper.get(web.url("/yes")).await.unwrap_err();
    assert!(error.is_robots() && error.is_passing(), "{error}");
    let came = by_path(all(scraper.fetch(["/yes", "/no"].map(|path| web.url(path)))).await);
    let refused = came["/no"].as_ref().unwrap_err();
    assert!(came["/yes"].is_ok() && refused.is_robots() && !refused.is_passing(), "{came:?}");
    assert_eq!(web.times("/robots.txt").len(), 2);
    session.close().await;
}

#[tokio::test]
async fn a_crawl_delay_is_a_delay_from_the_first_page_on() {
    let web = with("User-agent: *\nCrawl-delay: 0.4").await;
    let session = Session::new();
    let scraper = Scraper::new(session.clone()).robots("tester").delay(Duration::from_millis(1));
    let pages = all(scraper.fetch((0..4).map(|number| web.url(&format!("/{number}"))))).await;
    assert!(pages.iter().all(Result::is_ok));
    let asked: Vec<_> = web.asked().into_iter().filter(|(path, _)| path != "/robots.txt").collect();
    for pair in asked.windows(2) {
        assert!(pair[1].1 - pair[0].1 >= Duration::from_millis(340), "{asked:?}");
    }
    let url = scraper.url(web.url("/")).unwrap();
    assert_eq!(scraper.pause_of(&url).await, Duration::from_secs_f32(0.4));
    session.close().await;
}

#[tokio::test]
async fn nobody_is_left_alone_for_longer_than_a_minute() {
    for delay in ["Crawl-delay: 86400", "Crawl-delay: inf", "Crawl-delay: 3e38"] {
        let robots = format!("User-agent: *\n{delay}");
        let web = Web::start(move |_, _| {
            let robots = robots.clone();
            async move { robots }
        })
        .await;
        let session = Session::new();
        let scraper = Scraper::new(session.clone()).robots("tester");
        let url = scraper.url(web.url("/")).unwrap();
        assert_eq!(scraper.pause_of(&url).await, Duration::from_secs(60), "{delay}");
        session.close().await;
    }
}

#[tokio::test]
async fn redirects_are_followed_and_not_without_end() {
    let web = Web::start(|path, _| async move {
        match path.as_str() {
            "/robots.txt" => Redirect::to("/hop/5").into_response(),
            "/hop/1" => "User-agent: *\nDisallow: /no".into_response(),
            "/hop/0" => Redirect::to("/hop/0").into_response(),
            _ => match path.strip_prefix("/hop/") {
                Some(hop) => Redirect::to(&format!("/hop/{}", hop.parse::<u32>().unwrap() - 1)).into_response(),
                None => path.into_response(),
            },
        }
    })
    .await;
    let session = Session::new();
    let came = by_path(
        all(Scraper::new(session.clone()).robots("tester").fetch(["/yes", "/no"].map(|path| web.url(path)))).await,
    );
    assert!(came["/yes"].is_ok() && came["/no"].as_ref().unwrap_err().is_robots(), "{came:?}");

    let endless = Web::start(|path, before| async move {
        if path.starts_with("/robots.txt") {
            Redirect::to(&format!("/robots.txt?{before}")).into_response()
        } else {
            path.into_response()
        }
    })
    .await;
    let pages = all(Scraper::new(session.clone()).robots("tester").fetch([endless.url("/no")])).await;
    assert!(pages[0].is_ok(), "more than are followed are as good as none: {pages:?}");
    assert!(endless.asked().len() <= 8);
    session.close().await;
}

/// Its first 500 KiB count, and none of them costs more than an honest one's.
#[tokio::test]
async fn a_huge_one_counts_as_far_as_it_is_read() {
    let rules = "User-agent: *\nDisallow: /no\n";
    let comment = "# nothing\n".repeat(60_000);
    let many = (0..40_000).fold("User-agent: *\n".to_owned(), |text, number| text + &format!("Disallow: /{number}\n"));
    let ends = "User-agent: *\n".to_owned() + &"Disallow: /*a*b*c$\n".repeat(20_000);
    for (name, robots, yes, no) in [
        ("rules first", format!("{rules}{comment}Disallow: /yes\n"), true, false),
        ("rules behind", format!("{comment}{rules}"), true, true),
        ("many rules", many + "Disallow: /no\n", true, true),
        ("one line", "x".repeat(4 << 20), true, true),
        ("no text", "\u{0}".repeat(600_000), true, true),
        ("patterns", ends, false, false),
    ] {
        let web = Web::start(move |path, _| {
            let robots = robots.clone();
            async move { if path == "/robots.txt" { robots } else { path } }
        })
        .await;
        let (session, begun) = (Session::new(), Instant::now());
        let came = by_path(
            all(Scraper::new(session.clone()).robots("tester").fetch(["/yes", "/no"].map(|path| web.url(path)))).await,
        );
        assert_eq!((came["/yes"].is_ok(), came["/no"].is_ok()), (yes, no), "{name}: {came:?}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{name}: {:?}", begun.elapsed());
        session.close().await;
    }
}
