//! Cost of a claim, which must not depend on the number of URLs.

use std::time::{Duration, Instant};

use sqlx::{Connection as _, Executor as _, PgConnection};

use super::support::Frontier;
use crate::support::soak;

const CLAIM: &str =
    "SELECT * FROM trunkline.claim((SELECT max(id) FROM trunkline.workers), '600 s', 50, 2, '0', false)";

/// Shortest time of a claim of 50 URLs.
async fn claim_from(pages: usize) -> Duration {
    let frontier = Frontier::new().await;
    // The worker joins before the URLs exist: its query plans are made for an empty table.
    assert_eq!(frontier.add("").code, Some(0));
    let mut connection = PgConnection::connect(&frontier.url).await.unwrap();
    connection.execute("SELECT trunkline.join('costs', 1, '600 s', '{}')").await.unwrap();
    for _ in 0..10 {
        connection.execute(CLAIM).await.unwrap();
    }
    let mut adding = frontier.adding();
    adding.feed((0..pages).map(|page| format!("http://host{}.example/{page}", page % 500)));
    let all = i64::try_from(pages).unwrap();
    frontier.until("all are there", "SELECT count(*) FROM trunkline.urls", |count| count == all).await;
    assert_eq!(adding.finish().code, Some(0));
    let mut least = Duration::MAX;
    for _ in 0..15 {
        let begun = Instant::now();
        let claimed = connection.fetch_all(CLAIM).await.unwrap();
        least = least.min(begun.elapsed());
        assert_eq!(claimed.len(), 50);
    }
    least
}

#[tokio::test]
async fn a_claim_costs_the_same_for_any_number_of_urls() {
    let (few, many) = (claim_from(1_000).await, claim_from(soak(1_000_000, 40_000)).await);
    println!("a claim of 50 URLs takes {few:?} of a thousand, {many:?} of many");
    // A query that reads all URLs would take ten times as long.
    assert!(many < few * 5 + Duration::from_millis(20), "{few:?} of a thousand, {many:?} of many");
}
