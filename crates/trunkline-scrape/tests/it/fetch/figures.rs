//! Figures of a fetch, by host.

use std::time::Duration;

use axum::response::IntoResponse;
use http::StatusCode;
use trunkline::Session;
use trunkline_scrape::Scraper;

use crate::support::web::Web;

#[tokio::test]
async fn figures_add_up() {
    let ill = Web::start(|path, before| async move {
        match path.as_str() {
            "/1" if before == 0 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            "/large" => vec![b'x'; 2_000].into_response(),
            _ => path.into_response(),
        }
    })
    .await;
    let (well, session) = (Web::plain().await, Session::new());
    let scraper = Scraper::new(session.clone()).concurrency(1).max_body_size(1_000);
    let mut pages =
        scraper.fetch([ill.url("/1"), ill.url("/large"), well.url("/10"), well.url("/11"), well.url("/12")]);
    let (mut came, mut failed, mut bytes) = (0, 0, 0);
    while let Some(page) = pages.next().await {
        match page {
            Ok(page) => (came, bytes) = (came + 1, bytes + page.body.len() as u64),
            Err(_) => failed += 1,
        }
    }
    let figures = pages.figures();
    assert_eq!((figures.len(), came, failed), (2, 4, 1));
    let [a, b] = [&ill, &well].map(|web| figures.iter().find(|host| host.host == web.url("")).unwrap());
    assert_eq!((a.pages, a.failed, a.bytes, a.retries, a.elapsed.count()), (1, 1, 2, 1, 1));
    assert_eq!((b.pages, b.failed, b.bytes, b.retries, b.elapsed.count()), (3, 0, 9, 0, 3));
    assert_eq!(a.bytes + b.bytes, bytes);
    // One at a time over one connection: all but the first are over one that has served.
    assert_eq!((b.answers, b.reused), (3, 2));
    let quantiles = [0.5, 0.99].map(|share| b.elapsed.quantile(share).unwrap());
    assert!(quantiles[0] <= quantiles[1] && quantiles[1] < Duration::from_secs(30), "{quantiles:?}");
    session.close().await;
}
