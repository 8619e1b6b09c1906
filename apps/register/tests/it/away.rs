//! A database that has stopped to answer is told of in time, and nobody hangs.

use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::support::{Answer, Database, PASSWORD, Settings};

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_while_the_database_does_not_answer_is_told_when_to_come_back() {
    let database = Database::postgres().await;
    let service = Settings::new(&database).start().await;
    // Whoever asks for one of these waits for as long as this transaction is open.
    let mut other = PgConnection::connect(&database.url()).await.unwrap();
    other.execute("BEGIN").await.unwrap();
    other.execute("LOCK TABLE users, requests, tokens").await.unwrap();

    let (resend, form) = (json!({ "email": "a@example.com" }), [("email", "a@example.com"), ("password", PASSWORD)]);
    let token = "A".repeat(43);
    let (registered, resent, activated, page) = tokio::join!(
        service.register("a@example.com", PASSWORD),
        service.post("/api/resend", &resend),
        service.activate(&token),
        Answer::of(service.session().post(service.url("/register")).form(&form)),
    );
    for answer in [registered, resent, activated] {
        let answer = answer.unwrap();
        assert_eq!((answer.status, answer.header("retry-after")), (503, "10"), "{answer:?}");
        let detail = "This cannot be done at the moment. Please try again in 10 seconds.";
        assert_eq!(answer.problem()["detail"], detail, "{answer:?}");
    }
    let page = page.unwrap();
    assert_eq!((page.status, page.header("content-type")), (503, "text/html; charset=utf-8"), "{page:?}");

    other.execute("ROLLBACK").await.unwrap();
    assert_eq!(service.register("b@example.com", PASSWORD).await.unwrap().status, 204);
    assert_eq!(database.users().await.into_iter().collect::<Vec<_>>(), ["b@example.com"]);
}
