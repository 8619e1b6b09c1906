//! Pauses, by host, as the server sees them.

use std::time::{Duration, Instant};

use trunkline::Session;
use trunkline_scrape::Scraper;

use super::all;
use crate::support::web::Web;

/// The tolerance of a start: the server's clock begins when the request arrives.
const SLACK: Duration = Duration::from_millis(60);

#[tokio::test]
async fn between_two_requests_of_a_host_lies_the_delay() {
    let delay = Duration::from_millis(300);
    let (web, session) = (Web::plain().await, Session::new());
    let scraper = Scraper::new(session.clone()).delay(delay);
    assert!(all(scraper.fetch((0..6).map(|number| web.url(&format!("/{number}"))))).await.iter().all(Result::is_ok));
    let asked = web.asked();
    for pair in asked.windows(2) {
        assert!(pair[1].1 - pair[0].1 + SLACK >= delay, "{asked:?}");
    }
    assert!(asked[5].1 - asked[0].1 + SLACK >= 5 * delay, "{asked:?}");
    session.close().await;
}

/// Sorted by host, and with fewer places than URLs of the first: all hosts are worked on side by
/// side.
#[tokio::test]
async fn urls_sorted_by_host_do_not_starve_those_behind() {
    let delay = Duration::from_millis(250);
    let session = Session::new();
    let scraper = Scraper::new(session.clone()).delay(delay).concurrency(2);
    let mut webs = Vec::new();
    for _ in 0..5 {
        webs.push(Web::plain().await);
    }
    let urls = webs.iter().flat_map(|web| (0..6).map(|number| web.url(&format!("/{number}"))));
    let begun = Instant::now();
    assert_eq!(all(scraper.fetch(urls)).await.len(), 30);
    let firsts: Vec<_> = webs.iter().map(|web| web.asked()[0].1 - begun).collect();
    let first_host_done = webs[0].asked()[5].1 - begun;
    assert!(firsts.iter().all(|first| *first < first_host_done), "{firsts:?} {first_host_done:?}");
    session.close().await;
}

/// All places taken by a host that does not answer: what becomes free goes to the others first.
#[tokio::test]
async fn a_slow_host_leaves_places_to_the_others() {
    let slow = Web::start(|path, _| async move {
        tokio::time::sleep(Duration::from_millis(400)).await;
        path
    })
    .await;
    let (quick, session) = (Web::plain().await, Session::new());
    let scraper = Scraper::new(session.clone()).concurrency(4);
    let urls: Vec<_> = (0..24)
        .map(|number| slow.url(&format!("/{number}")))
        .chain((0..100).map(|number| quick.url(&format!("/{number}"))))
        .collect();
    assert_eq!(all(scraper.fetch(&urls)).await.len(), 124);
    let (last_quick, last_slow) = (quick.asked()[99].1, slow.asked()[23].1);
    assert!(last_quick < last_slow, "the quick host's pages had to wait for the slow one's");
    session.close().await;
}
