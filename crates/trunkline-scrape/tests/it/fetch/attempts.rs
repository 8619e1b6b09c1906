//! Attempts of a fetch: retries, pauses and the final error.

use std::time::{Duration, Instant, SystemTime};

use axum::response::IntoResponse;
use http::StatusCode;
use http::header::{DATE, RETRY_AFTER};
use trunkline::{Response, Session};
use trunkline_scrape::{Parser, Scraper, Visit};

use super::{all, by_path};
use crate::support::raw::{End, Raw};
use crate::support::tls::Untrusted;
use crate::support::web::Web;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_503_is_tried_again_and_in_the_end_delivered() {
    let web = Web::start(|path, before| async move {
        match path.as_str() {
            "/ill" => (StatusCode::SERVICE_UNAVAILABLE, "still ill").into_response(),
            "/slow" if before < 2 => StatusCode::BAD_GATEWAY.into_response(),
            "/no" => StatusCode::NOT_FOUND.into_response(),
            _ => "well".into_response(),
        }
    })
    .await;
    let (session, urls) = (Session::new(), ["/ill", "/slow", "/no", "/well"].map(|path| web.url(path)));
    let pages = all(Scraper::new(session.clone()).fetch(&urls)).await;
    let ill = pages.iter().flatten().find(|page| page.requested.path() == "/ill").unwrap();
    assert_eq!((ill.status.as_u16(), &ill.body[..]), (503, &b"still ill"[..]));
    let came = by_path(pages);
    let status = |path| *came[path].as_ref().unwrap();
    assert_eq!((status("/slow"), status("/no"), status("/well")), (200, 404, 200));
    let times = ["/ill", "/slow", "/no", "/well"].map(|path| web.times(path).len());
    assert_eq!(times, [3, 3, 1, 1], "three attempts, unless it is what it is");
    session.close().await;
}

/// The other host does not wait, and the one that asked for it is left alone by all pages.
#[tokio::test]
async fn retry_after_is_honoured_and_holds_up_its_own_host_alone() {
    let busy = Web::start(|path, before| async move {
        match path.as_str() {
            "/seconds" if before == 0 => (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "2")]).into_response(),
            _ => path.into_response(),
        }
    })
    .await;
    let (free, session) = (Web::plain().await, Session::new());
    let scraper = Scraper::new(session.clone()).concurrency(1);
    let urls = [busy.url("/seconds"), busy.url("/other"), free.url("/1"), free.url("/2"), free.url("/3")];
    let pages = all(scraper.fetch(&urls)).await;
    assert!(pages.iter().all(|page| page.as_ref().unwrap().status == StatusCode::OK), "{pages:?}");
    let times = busy.times("/seconds");
    let (first, again) = (times[0], times[1]);
    assert!(again - first >= 2 * SECOND, "{:?}", again - first);
    assert!(busy.times("/other")[0] - first >= 2 * SECOND, "the host is left alone, not the page");
    for (path, at) in free.asked() {
        assert!(at - first < 2 * SECOND, "{path} had to wait for another host");
    }
    session.close().await;
}

#[tokio::test]
async fn retry_after_may_be_a_date_by_the_servers_own_clock() {
    let web = Web::start(|_, before| async move {
        if before > 0 {
            return "well".into_response();
        }
        // Its clock is wrong by an hour.
        let now = SystemTime::now() - 3_600 * SECOND;
        let dates = [(DATE, now), (RETRY_AFTER, now + 2 * SECOND)];
        (StatusCode::SERVICE_UNAVAILABLE, dates.map(|(name, date)| (name, httpdate::fmt_http_date(date))))
            .into_response()
    })
    .await;
    let session = Session::new();
    let pages = all(Scraper::new(session.clone()).fetch([web.url("/")])).await;
    assert_eq!(pages[0].as_ref().unwrap().body, "well");
    let times = web.times("/");
    // Dates have whole seconds.
    assert!((SECOND..20 * SECOND).contains(&(times[1] - times[0])), "{:?}", times[1] - times[0]);
    session.close().await;
}

#[tokio::test]
async fn nobody_waits_for_an_hour() {
    let web =
        Web::start(|_, _| async { (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "3600")], "later").into_response() })
            .await;
    let (session, begun) = (Session::new(), Instant::now());
    let pages = all(Scraper::new(session.clone()).fetch([web.url("/")])).await;
    let page = pages[0].as_ref().unwrap();
    assert_eq!((page.status, &page.body[..]), (StatusCode::TOO_MANY_REQUESTS, &b"later"[..]));
    assert_eq!((web.asked().len(), begun.elapsed() < 30 * SECOND), (1, true));
    session.close().await;
}

/// All would come again at once.
#[tokio::test]
async fn whoever_asks_for_no_pause_gets_one_all_the_same() {
    let dates = ["0", "Sun, 06 Nov 1994 08:49:37 GMT", "tomorrow"];
    let web = Web::start(move |path, _| async move {
        let asked = dates[path[1..].parse::<usize>().unwrap()];
        (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, asked)])
    })
    .await;
    let session = Session::new();
    let scraper = Scraper::new(session.clone());
    for (number, asked) in dates.iter().enumerate() {
        let url = scraper.url(web.url(&format!("/{number}"))).unwrap();
        match scraper.visit(&url, 1, |response| response.bytes()).await {
            Visit::Again { cause, pause, host, .. } => {
                assert_eq!(cause.status(), Some(StatusCode::SERVICE_UNAVAILABLE));
                assert!(!pause.is_zero() && pause <= SECOND / 2 && !host, "{asked}: {pause:?}");
            }
            other => panic!("{other:?}"),
        }
    }
    session.close().await;
}

/// Returns the address of a port that was closed a moment ago.
async fn nobody_there() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn a_refused_connection_is_retried_and_then_reported() {
    let (session, nobody) = (Session::new(), nobody_there().await);
    let scraper = Scraper::new(session.clone()).retries(1);
    let pages = all(scraper.fetch([format!("{nobody}/path?token=se-cret")])).await;
    let error = pages[0].as_ref().unwrap_err();
    let told = error.to_string();
    assert!(error.http().unwrap().is_connect(), "{error:?}");
    assert_eq!((error.attempts(), error.url().unwrap().query()), (2, Some("token=se-cret")));
    assert!(told.starts_with(&format!("GET {nobody}/path: ")) && told.ends_with("(2 attempts)"), "{told}");
    assert!(!format!("{told} {error:?}").contains("se-cret"), "{error:?}");
    session.close().await;
}

/// A second later it is the same certificate.
#[tokio::test]
async fn a_certificate_that_is_not_accepted_is_not_tried_again() {
    let (server, session) = (Untrusted::start().await, Session::new());
    let pages = all(Scraper::new(session.clone()).fetch([server.url()])).await;
    let error = pages[0].as_ref().unwrap_err();
    assert!(error.http().unwrap().is_certificate(), "{error:?}");
    assert_eq!((error.attempts(), server.accepted()), (1, 1), "{error}");
    session.close().await;
}

/// A handshake that breaks does not judge the certificate.
#[tokio::test]
async fn a_handshake_that_is_reset_is_tried_again() {
    let (raw, session) = (Raw::start(|_| End::Refuse).await, Session::new());
    let url = raw.url("/").replace("http:", "https:");
    let pages = all(Scraper::new(session.clone()).retries(1).fetch([url])).await;
    let error = pages[0].as_ref().unwrap_err();
    assert!(error.http().unwrap().is_connect(), "{error:?}");
    assert_eq!((error.attempts(), raw.accepted()), (2, 2), "{error}");
    session.close().await;
}

#[tokio::test]
async fn what_breaks_off_is_tried_again() {
    let whole = || "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwhole".to_owned();
    let half = || "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwh".to_owned();
    for (name, first) in [
        ("a body that breaks off", End::Close(half())),
        ("a body that is reset", End::Reset(half())),
        ("a head that breaks off", End::Close("HTTP/1.1 200 OK\r\nCont".to_owned())),
        ("nothing at all", End::Reset(String::new())),
    ] {
        let raw = Raw::start({
            let first = first.clone();
            move |connection| if connection == 0 { first.clone() } else { End::Close(whole()) }
        })
        .await;
        let session = Session::new();
        let pages = all(Scraper::new(session.clone()).fetch([raw.url("/")])).await;
        assert_eq!(pages[0].as_ref().unwrap().body, "whole", "{name}");

        // The session itself asks once more where it may: what counts is that it ends.
        let raw = Raw::start(move |_| first.clone()).await;
        let pages = all(Scraper::new(session.clone()).retries(1).fetch([raw.url("/")])).await;
        let error = pages[0].as_ref().unwrap_err();
        assert_eq!(error.attempts(), 2, "{name}: {error}");
        assert!(raw.accepted() >= 2, "{name}");
        session.close().await;
    }
}

#[tokio::test]
async fn a_page_that_is_too_large_is_not_tried_again() {
    let web = Web::start(|path, _| async move {
        let body = vec![b'x'; 3_000];
        match path.as_str() {
            "/exact" => vec![b'x'; 2_000].into_response(),
            "/known" => body.into_response(),
            // Without a length.
            _ => axum::body::Body::from_stream(futures_util::stream::iter([Ok::<_, std::io::Error>(body)]))
                .into_response(),
        }
    })
    .await;
    let (session, urls) = (Session::new(), ["/exact", "/known", "/unknown"].map(|path| web.url(path)));
    let came = by_path(all(Scraper::new(session.clone()).max_body_size(2_000).fetch(&urls)).await);
    assert_eq!(came["/exact"].as_ref().unwrap(), &200);
    for path in ["/known", "/unknown"] {
        let error = came[path].as_ref().unwrap_err();
        assert!(error.is_page() && error.to_string().contains("larger than 2000 bytes"), "{error}");
    }
    assert_eq!(web.asked().len(), 3);
    session.close().await;
}

/// Its limits are those of the scraper that fetched it, not the default's.
#[tokio::test]
async fn a_page_is_parsed_as_its_scraper_parses() {
    let (web, session) = (Web::start(|_, _| async { "<p>".repeat(20) }).await, Session::new());
    let scraper = Scraper::new(session.clone()).parser(Parser::default().max_nodes(10));
    for page in all(scraper.fetch([web.url("/")])).await {
        assert!(page.unwrap().document().unwrap_err().is_page());
    }
    assert!(scraper.get(web.url("/")).await.unwrap().document().unwrap_err().is_page());
    session.close().await;
}

#[tokio::test]
async fn what_is_no_url_is_an_error_in_its_place() {
    let (web, session) = (Web::plain().await, Session::new());
    let urls = [web.url("/1"), "ftp://example.com/".into(), "no url".into(), web.url("/2")];
    let pages = all(Scraper::new(session.clone()).fetch(&urls).in_order()).await;
    let told: Vec<_> = pages
        .iter()
        .map(|page| page.as_ref().map_or_else(ToString::to_string, |page| page.status.to_string()))
        .collect();
    assert_eq!((told.len(), told[0].as_str(), told[3].as_str()), (4, "200 OK", "200 OK"));
    assert!(told[1].contains("ftp://example.com/") && told[2].contains("no url"), "{told:?}");
    session.close().await;
}

#[tokio::test]
async fn a_visit_is_one_attempt() {
    let web = Web::start(|path, _| async move {
        match path.as_str() {
            "/busy" => (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "7")], "busy").into_response(),
            "/ill" => (StatusCode::GATEWAY_TIMEOUT, "ill").into_response(),
            _ => "well".into_response(),
        }
    })
    .await;
    let session = Session::new();
    let scraper = Scraper::new(session.clone());
    let read =
        async |response: Response| Ok::<_, trunkline::Error>((response.status().as_u16(), response.text().await?));
    let visit = async |path: &str, attempt| {
        let url = scraper.url(web.url(path)).unwrap();
        scraper.visit(&url, attempt, read).await
    };
    assert!(matches!(visit("/well", 1).await, Visit::Done((200, text)) if text == "well"));
    match visit("/busy", 2).await {
        Visit::Again { cause, pause, host, .. } => {
            assert_eq!((pause, host), (7 * SECOND, true));
            assert!(cause.to_string().contains("429 Too Many Requests"), "{cause}");
        }
        other => panic!("{other:?}"),
    }
    match visit("/ill", 1).await {
        Visit::Again { pause, host, .. } => assert!(pause <= SECOND / 2 && !host, "{pause:?}"),
        other => panic!("{other:?}"),
    }
    for (path, text) in [("/busy", "busy"), ("/ill", "ill")] {
        assert!(matches!(visit(path, 3).await, Visit::Done((_, body)) if body == text), "the attempts are used up");
    }
    let url = scraper.url(nobody_there().await).unwrap();
    assert!(matches!(scraper.visit(&url, 1, read).await, Visit::Again { host: false, .. }));
    assert!(matches!(scraper.visit(&url, 3, read).await, Visit::Failed(error) if error.http().unwrap().is_connect()));
    session.close().await;
}
