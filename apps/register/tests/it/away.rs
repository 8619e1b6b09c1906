//! Silent database: it is reported in time, no request hangs, and the service recovers with it.

use std::ops::RangeBounds;
use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::task::JoinSet;

use crate::support::bench::{limits, open, open_at};
use crate::support::{Database, PASSWORD, PATIENCE, Service, Settings, TestResponse, Wire, until};

/// Connections of the service, without the listening one.
const OTHERS: usize = 7;

/// All of those but one, which a sender may hold.
const MOST: usize = 6;

/// Makes this number of registrations at once, and returns the statuses.
async fn register(service: &Service, name: &str, count: usize) -> Vec<u16> {
    let one = |number| {
        let body = json!({ "email": format!("{name}{number}@example.com"), "password": PASSWORD });
        TestResponse::of(service.session().post(service.url("/api/register")).json(&body))
    };
    let all: JoinSet<_> = (0..count).map(one).collect();
    all.join_all().await.into_iter().map(|answer| answer.unwrap().status).collect()
}

/// Transaction that blocks these requests while it is open.
async fn lock(database: &Database) -> PgConnection {
    let mut other = PgConnection::connect(&database.url()).await.unwrap();
    other.execute("BEGIN").await.unwrap();
    other.execute("LOCK TABLE users, requests, tokens").await.unwrap();
    other
}

/// Waits until this number of statements waits for the lock.
async fn waiting(database: &Database, count: impl RangeBounds<i64>) {
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until("so many wait for the lock", async || count.contains(&database.count(waiting).await).then_some(())).await;
}

/// Waits until the database has been idle for a while, so that the connections in use are known.
async fn quiet(database: &Database) {
    let busy =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'register'
        AND (state <> 'idle' OR state_change > clock_timestamp() - interval '300 ms')";
    until("nobody asks anything", async || (database.count(busy).await == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_to_a_silent_database_get_retry_after() {
    let database = Database::postgres().await;
    let service = Settings::new(&database).start().await;
    let mut other = lock(&database).await;

    let (resend, form) = (json!({ "email": "a@example.com" }), [("email", "a@example.com"), ("password", PASSWORD)]);
    let token = "A".repeat(43);
    let (registered, resent, activated, page) = tokio::join!(
        service.register("a@example.com", PASSWORD),
        service.post("/api/resend", &resend),
        service.activate(&token),
        TestResponse::of(service.session().post(service.url("/register")).form(&form)),
    );
    for answer in [registered, resent, activated] {
        let answer = answer.unwrap();
        assert_eq!((answer.status, answer.header("retry-after")), (503, "10"), "{answer:?}");
        let detail = "This cannot be done at the moment. Please try again in 10 seconds.";
        assert_eq!(answer.problem()["detail"], detail, "{answer:?}");
    }
    let page = page.unwrap();
    assert_eq!((page.status, page.header("content-type")), (503, "text/html; charset=utf-8"), "{page:?}");

    // The database cancels statements whose client stopped waiting.
    waiting(&database, 0..=0).await;
    other.execute("ROLLBACK").await.unwrap();
    assert_eq!(service.register("b@example.com", PASSWORD).await.unwrap().status, 204);
    assert_eq!(database.users().await.into_iter().collect::<Vec<_>>(), ["b@example.com"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn silently_lost_connections_are_replaced() {
    let database = Database::postgres().await;
    let wire = Wire::to(&database).await;
    let settings = Settings::new(&database).with("--database", wire.url());
    let service = settings.with("--database-connections", OTHERS + 1).start().await;

    // Idle connections: each may delay a request by a second, and none may lose a response.
    let mut other = lock(&database).await;
    let (answers, ()) = tokio::join!(register(&service, "before", OTHERS), async {
        waiting(&database, MOST as i64..).await;
        other.execute("ROLLBACK").await.unwrap();
    });
    assert_eq!(answers, [204; OTHERS]);
    quiet(&database).await;
    wire.lose();
    assert_eq!(register(&service, "idle", 20).await, [204; 20]);

    // Connections in use: their responses never come.
    quiet(&database).await;
    let mut other = lock(&database).await;
    let (answers, ()) = tokio::join!(register(&service, "cut", OTHERS), async {
        waiting(&database, MOST as i64..).await;
        wire.lose();
        other.execute("ROLLBACK").await.unwrap();
    });
    let lost = answers.iter().filter(|status| **status == 503).count();
    assert!(lost >= MOST, "{answers:?}");
    let begun = Instant::now();
    assert_eq!(register(&service, "after", 20).await, [204; 20]);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

/// The listening connection, on which nothing is sent.
#[tokio::test]
async fn a_listener_replaces_a_dead_connection() {
    let database = Database::postgres().await;
    let wire = Wire::to(&database).await;
    let (store, other) = (open_at(wire.url().as_str()).await, open(&database).await);
    let mut wake_ups = store.wake_ups().await;
    wire.lose();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    store.keep_listening(&mut wake_ups).await;
    other.resend("nobody", &limits()).await.unwrap().unwrap();
    tokio::time::timeout(PATIENCE, wake_ups.next()).await.unwrap();
}
