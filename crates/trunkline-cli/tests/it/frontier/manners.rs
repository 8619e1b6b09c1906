//! Limits and pauses of a host, which hold for all workers together.

use std::time::Duration;

use super::hosts::Hosts;
use super::support::{Frontier, finished};

async fn three_workers(frontier: &Frontier, arguments: &[&str]) {
    let workers: Vec<_> = (0..3).map(|_| frontier.worker(arguments.iter().copied())).collect();
    for worker in workers {
        let run = finished(worker).await;
        assert!(matches!(run.code, Some(0 | 1)), "{run:?}");
    }
}

#[tokio::test]
async fn the_delay_separates_requests_of_all_workers() {
    let hosts = Hosts::start();
    let urls: Vec<_> = (0..20).map(|page| hosts.url(page % 2, &format!("/{page}"))).collect();
    let frontier = Frontier::with(&urls).await;
    three_workers(&frontier, &["--delay", "0.4"]).await;
    for host in [0, 1] {
        let mut came = hosts.host(host).arrivals;
        assert_eq!(came.len(), 10);
        came.sort_unstable();
        // The time from a claim to its request varies, so two requests may be closer than the
        // delay, but not all of them.
        assert!(came[9] - came[0] > Duration::from_millis(9 * 400 - 300), "{came:?}");
    }
    frontier.assert_all_ended(20, 0).await;
}

#[tokio::test]
async fn retry_after_of_a_host_pauses_all_workers() {
    let hosts = Hosts::start();
    let mut urls: Vec<_> = (0..30).map(|page| hosts.url(0, &format!("/{page}?ms=5"))).collect();
    urls.insert(0, hosts.url(0, "/first?busy=2"));
    let frontier = Frontier::with(&urls).await;
    three_workers(&frontier, &["--limit-per-host", "1"]).await;
    let mut came = hosts.host(0).arrivals;
    came.sort_unstable();
    assert_eq!((came.len(), hosts.most()), (32, 1));
    assert!(came[1] - came[0] > Duration::from_millis(1_900), "{came:?}");
    frontier.assert_all_ended(31, 0).await;
    assert_eq!(frontier.count("SELECT sum(retried) FROM trunkline.hosts").await, 1);
}

#[tokio::test]
async fn robots_txt_applies_to_all_workers() {
    let hosts = Hosts::start();
    let mut urls: Vec<_> = (0..4).map(|page| hosts.url(0, &format!("/{page}"))).collect();
    urls.push(hosts.url(0, "/secret"));
    let frontier = Frontier::with(&urls).await;
    three_workers(&frontier, &["--robots"]).await;
    assert_eq!(hosts.requests("/secret"), 0);
    let pages: usize = (0..4).map(|page| hosts.requests(&format!("/{page}"))).sum();
    assert_eq!(pages, 4);
    frontier.assert_all_ended(4, 1).await;
    // Four gaps of a second, one of them before the URL that is not requested.
    let took = "SELECT extract(epoch FROM max(ended_at) - min(ended_at)) * 1000 FROM trunkline.urls";
    assert!(frontier.count(took).await >= 3_700);
}

#[tokio::test]
async fn a_page_is_tried_again_and_fails_for_good() {
    let hosts = Hosts::start();
    let urls = ["/broken?broken", "/ill?status=500", "/gone?status=404", "/fine"].map(|path| hosts.url(0, path));
    let frontier = Frontier::with(&urls).await;
    let run = finished(frontier.worker(["--retries", "2", "-o-"])).await;
    assert_eq!(run.code, Some(1), "{run:?}");
    assert_eq!(run.json().len(), 4, "one line for each: {run:?}");
    assert_eq!([hosts.requests("/broken?broken"), hosts.requests("/ill?status=500")], [2, 3]);
    assert_eq!(hosts.requests("/gone?status=404"), 1);
    assert!(run.last().starts_with("4 pages, 2 failed, "), "{run:?}");
    frontier.assert_all_ended(2, 2).await;
    let kept = "SELECT count(*) FROM trunkline.urls WHERE status = 500 AND attempts = 2 AND error = 'status 500 Internal Server Error'";
    assert_eq!(frontier.count(kept).await, 1);
}
