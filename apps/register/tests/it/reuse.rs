//! Reuse of the session's connections by mails.

use crate::support::{Database, Load, PASSWORD, Service, Ses, Settings, soak, until};

/// Counts connections. Each mail is one request, on a new or on a reused connection.
async fn connections(service: &Service, ses: &Ses, mails: usize) -> usize {
    until("all mails are sent", async || (ses.count() >= mails).then_some(())).await;
    let figures = until("the last answer is read", async || {
        let figures = service.metrics().await;
        (figures.mails_sent() == mails).then_some(figures)
    })
    .await;
    // A request that dialled may have used another connection that became free first.
    assert!(figures.created() + figures.reused() >= mails, "{figures}");
    assert!(ses.connections() <= figures.created(), "{figures}");
    println!("{mails} mails over {} connections", figures.created());
    figures.created()
}

#[tokio::test(flavor = "multi_thread")]
async fn sequential_registrations_need_at_most_two_connections() {
    let (ses, database) = (Ses::start(), Database::sqlite());
    let service = Settings::new(&database).ses(&ses).start().await;
    let count = soak(500, 50);
    for number in 0..count {
        let email = format!("one{number}@example.com");
        assert_eq!(service.register(&email, PASSWORD).await.unwrap().status, 204);
        // Its response may still be under way when the next mail is sent.
        until("the mail is sent", async || (ses.count() > number).then_some(())).await;
    }
    let connections = connections(&service, &ses, count).await;
    assert!(connections <= 2, "{connections}");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_registrations_need_one_connection_per_sender() {
    let (ses, database) = (Ses::start(), Database::sqlite());
    let service = Settings::new(&database).ses(&ses).with("--senders", 4).start().await;
    let count = soak(500, 50);
    let outcomes = Load::start("all", count, count, &[service.url("")]).finish().await;
    assert!(outcomes.iter().all(|outcome| outcome.status == Some(204)), "{outcomes:?}");
    let connections = connections(&service, &ses, count).await;
    assert!(connections <= 4, "{connections}");
    assert!(ses.under_way().1 <= 4, "{:?}", ses.under_way());
}
