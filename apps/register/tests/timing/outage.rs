//! Outage of SES: registrations are not slower, and every mail is sent after it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::MACHINE;
use crate::support::{Database, Mode, PASSWORD, Service, Ses, Settings, TestResponse, is_soak, quantile, until};

/// Limit of the session, below the number of senders.
const LIMIT: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_answering_500_is_not_noticed() {
    is_not_noticed(Mode::Broken).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_answering_429_is_not_noticed() {
    is_not_noticed(Mode::Throttling).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_that_hangs_is_not_noticed() {
    is_not_noticed(Mode::Hanging).await;
}

async fn is_not_noticed(mode: Mode) {
    let _machine = MACHINE.lock().await;
    let (database, ses) = (Database::sqlite(), Ses::start());
    let settings = Settings::new(&database).ses(&ses).with("--senders", 8).with("--session-limit", LIMIT);
    let service = settings.start().await;
    let length = Duration::from_secs(if is_soak() { 60 } else { 5 });

    // Warm-up: the first request of a process initializes lazy state.
    registrations(&service, "warm", Duration::from_secs(1)).await;
    // A busy machine may be slow once; a service that is slower in an outage is slower each time.
    let mut seen = Vec::new();
    for round in 0..3 {
        let before = registrations(&service, &format!("before{round}-"), length).await;
        let memory = service.memory().0;
        ses.set(mode);
        let during = registrations(&service, &format!("during{round}-"), length).await;
        let grown = service.memory().0.saturating_sub(memory);
        ses.set(Mode::Take);
        assert!(grown < 32 << 20, "{grown} bytes more");
        seen.push((before, during));
        if as_fast(before, during) {
            break;
        }
    }
    let &(before, during) = seen.last().unwrap();
    assert!(as_fast(before, during), "(median, p90, p99) before and during it, in seconds: {seen:?}");

    println!("{mode:?}: (median, p90, p99) before and during it, in seconds: {seen:?}; memory {:?}", service.memory());

    let users = database.users().await;
    until("all mails go out", async || {
        let mailed: BTreeSet<String> = ses.sent().into_iter().map(|mail| mail.to).collect();
        (mailed == users).then_some(())
    })
    .await;
}

type Quantiles = (f64, f64, f64);

/// Compares the 99th percentile in a long run, and the 90th in a short one.
fn as_fast(before: Quantiles, during: Quantiles) -> bool {
    if is_soak() { during.2 <= 1.5 * before.2 } else { during.1 <= 1.5 * before.1 + 0.05 }
}

/// Sends ten registrations per second, independent of earlier ones, and asserts that the pool keeps
/// to its limit.
async fn registrations(service: &Service, prefix: &str, length: Duration) -> Quantiles {
    let (begun, mut number, mut tasks) = (Instant::now(), 0, Vec::new());
    let mut beat = tokio::time::interval(Duration::from_millis(100));
    while begun.elapsed() < length {
        beat.tick().await;
        let body = json!({ "email": format!("{prefix}{number}@example.com"), "password": PASSWORD });
        let request = service.session().post(service.url("/api/register")).json(&body);
        tasks.push(tokio::spawn(async move {
            let begun = Instant::now();
            let answer = TestResponse::of(request).await.unwrap();
            assert_eq!(answer.status, 204, "{answer:?}");
            begun.elapsed().as_secs_f64()
        }));
        number += 1;
        if number % 10 == 0 {
            let figures = service.metrics().await;
            assert!(figures.open() <= LIMIT, "{figures}");
        }
    }
    let mut times = Vec::new();
    for task in tasks {
        times.push(task.await.unwrap());
    }
    (quantile(&times, 0.5), quantile(&times, 0.9), quantile(&times, 0.99))
}
