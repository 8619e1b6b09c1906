//! Bad input of every kind: the response names the fault, without a 5xx and without a panic.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Database, Load, PASSWORD, Raw, Service, Ses, Settings, TestResponse};

/// Asserts that the log has no panic and no error.
fn all_is_well(service: &Service) {
    let log = service.log();
    assert!(!log.contains("panicked") && !log.contains(r#""level":"ERROR""#), "{log}");
}

async fn send(service: &Service, method: Method, path: &str, kind: Option<&str>, body: &[u8]) -> TestResponse {
    let request = service.session().request(method, service.url(path)).body(body.to_vec());
    let request = match kind {
        Some(kind) => request.header("content-type", kind),
        None => request,
    };
    TestResponse::of(request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_input_is_named_by_its_field() {
    let service = Settings::new(&Database::sqlite()).start().await;
    let email = "somebody@example.com";
    let long = format!("{}@example.com", "a".repeat(320));
    let bad: &[(&str, Value, &[&str])] = &[
        ("/api/register", json!({ "email": "", "password": PASSWORD }), &["email"]),
        ("/api/register", json!({ "email": "somebody", "password": PASSWORD }), &["email"]),
        ("/api/register", json!({ "email": "@example.com", "password": PASSWORD }), &["email"]),
        ("/api/register", json!({ "email": "somebody@", "password": PASSWORD }), &["email"]),
        ("/api/register", json!({ "email": "some body@example.com", "password": PASSWORD }), &["email"]),
        ("/api/register", json!({ "email": "a@example.com\r\nBcc: b@example.com", "password": PASSWORD }), &["email"]),
        ("/api/register", json!({ "email": "a@example.com,b@example.com", "password": PASSWORD }), &["email"]),
        ("/api/register", json!({ "email": "a\u{0}@example.com", "password": PASSWORD }), &["email"]),
        ("/api/register", json!({ "email": long, "password": PASSWORD }), &["email"]),
        ("/api/register", json!({ "email": email, "password": "" }), &["password"]),
        ("/api/register", json!({ "email": email, "password": "7 bytes" }), &["password"]),
        ("/api/register", json!({ "email": email, "password": "x".repeat(1025) }), &["password"]),
        ("/api/register", json!({ "email": email, "password": "password123" }), &["password"]),
        ("/api/register", json!({ "email": "", "password": "" }), &["email", "password"]),
        ("/api/register", json!({ "email": email }), &["password"]),
        ("/api/register", json!({ "password": PASSWORD }), &["email"]),
        ("/api/register", json!({ "email": 1, "password": PASSWORD }), &["email"]),
        ("/api/register", json!({ "email": email, "password": null }), &["password"]),
        ("/api/register", json!({ "email": email, "password": ["a"] }), &["password"]),
        ("/api/activate", json!({}), &["token"]),
        ("/api/activate", json!({ "token": "" }), &["token"]),
        ("/api/activate", json!({ "token": "not a token" }), &["token"]),
        ("/api/activate", json!({ "token": "A".repeat(42) }), &["token"]),
        ("/api/activate", json!({ "token": 5 }), &["token"]),
        ("/api/resend", json!({}), &["email"]),
        ("/api/resend", json!({ "email": "somebody" }), &["email"]),
    ];
    for (path, body, fields) in bad {
        let answer = service.post(path, body).await.unwrap();
        assert_eq!(answer.status, 422, "{path} {body}: {answer:?}");
        assert_eq!(answer.fields(), *fields, "{path} {body}: {answer:?}");
        assert!(!answer.body.contains(PASSWORD), "{answer:?}");
    }
    all_is_well(&service);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_outside_the_api_is_refused_with_the_reason() {
    const JSON: Option<&str> = Some("application/json");
    let service = Settings::new(&Database::sqlite()).start().await;
    let good = json!({ "email": "somebody@example.com", "password": PASSWORD }).to_string();
    let large = json!({ "email": "somebody@example.com", "password": "x".repeat(20_000) }).to_string();
    for path in ["/api/register", "/api/activate", "/api/resend"] {
        for (kind, body, status) in [
            (JSON, "{".as_bytes(), 400),
            (JSON, b"", 400),
            (JSON, b"\xff\xfe", 400),
            (JSON, b"{\"email\": \"\xff\"}", 400),
            (JSON, "[".repeat(10_000).as_bytes(), 400),
            (Some("text/plain"), good.as_bytes(), 415),
            (Some("application/x-www-form-urlencoded"), b"email=a@example.com", 415),
            (None, good.as_bytes(), 415),
            (JSON, large.as_bytes(), 413),
        ] {
            let answer = send(&service, Method::POST, path, kind, body).await;
            assert_eq!(answer.status, status, "{path} {kind:?} {:?}: {answer:?}", body.get(..20));
            answer.problem();
        }
        // Valid JSON of the wrong type.
        for body in ["[]", "null", "1", "\"text\""] {
            let answer = send(&service, Method::POST, path, JSON, body.as_bytes()).await;
            assert_eq!(answer.status, 422, "{path} {body}: {answer:?}");
            answer.problem();
        }
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH] {
            let answer = send(&service, method.clone(), path, JSON, b"").await;
            assert_eq!((answer.status, answer.header("allow")), (405, "POST"), "{method} {path}: {answer:?}");
            answer.problem();
        }
    }
    // The refusal comes before the body is sent.
    let mut raw = Raw::connect(service.address()).await.unwrap();
    let head = "POST /api/register HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 1000000000\r\n\r\n";
    raw.send(head).await.unwrap();
    assert_eq!(raw.answer().await.unwrap().0, 413);
    let answer = service.get("/api/nothing").await.unwrap();
    assert_eq!(answer.status, 404);
    answer.problem();
    // Parameters of the content type are accepted.
    let answer =
        send(&service, Method::POST, "/api/register", Some("application/json; charset=utf-8"), good.as_bytes()).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    all_is_well(&service);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_works_once_and_is_reported_used_afterwards() {
    let (ses, database) = (Ses::start(), Database::sqlite());
    let service = Settings::new(&database).ses(&ses).start().await;
    assert_eq!(service.register("once@example.com", PASSWORD).await.unwrap().status, 204);
    let mail = crate::support::until("the mail", async || ses.sent().pop()).await;
    let never = "A".repeat(43);
    for (token, status) in [(mail.token(), 204), (mail.token(), 410), (never.as_str(), 404)] {
        let answer = service.activate(token).await.unwrap();
        assert_eq!(answer.status, status, "{answer:?}");
        if status != 204 {
            assert!(!answer.problem().to_string().contains(token));
        }
    }
    // Every further request, for any address, gets the same response.
    for email in ["once@example.com", "nobody@example.com"] {
        let answer = service.post("/api/resend", &json!({ "email": email })).await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limited_client_gets_retry_after() {
    let database = Database::sqlite();
    let service = Settings::new(&database).with("--ip-limit", "5/1m").start().await;
    let mut last = None;
    for number in 0..50 {
        let answer = service.register(&format!("l{number}@example.com"), PASSWORD).await.unwrap();
        if answer.status != 204 {
            last = Some(answer);
            break;
        }
    }
    too_many(&last.unwrap());

    let service = Settings::new(&database).with("--address-limit", "3/1h").start().await;
    // The first of these requests makes the address known.
    for _ in 0..3 {
        assert_eq!(service.register("often@example.com", PASSWORD).await.unwrap().status, 204);
    }
    too_many(&service.register("often@example.com", PASSWORD).await.unwrap());
    assert_eq!(service.register("seldom@example.com", PASSWORD).await.unwrap().status, 204);
    for _ in 0..3 {
        assert_eq!(service.post("/api/resend", &json!({ "email": "ghost@example.com" })).await.unwrap().status, 204);
    }
    all_is_well(&service);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_above_the_connection_limit_waits() {
    // One connection is the test's own, from the wait for readiness.
    let service = Settings::new(&Database::sqlite()).with("--connections", 2).start().await;
    let (mut inside, mut beyond) = (Raw::connect(service.address()).await.unwrap(), None);
    for _ in 0..20 {
        inside.send("GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        assert_eq!(inside.answer().await.unwrap().0, 200);
        if beyond.is_none() {
            let mut raw = Raw::connect(service.address()).await.unwrap();
            raw.send("GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
            beyond = Some(tokio::spawn(async move { raw.answer().await }));
        }
    }
    let beyond = beyond.unwrap();
    assert!(!beyond.is_finished());
    drop(inside);
    assert_eq!(beyond.await.unwrap().unwrap().0, 200);
}

fn too_many(answer: &TestResponse) {
    assert_eq!(answer.status, 429, "{answer:?}");
    assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0), "{answer:?}");
    answer.problem();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_hash_queue_refuses_and_recovers() {
    let database = Database::sqlite();
    let service = Settings::new(&database).with("--hashers", 1).with("--hash-queue", 2).start().await;
    let outcomes = Load::start("q", 30, 60, &[service.url("")]).finish().await;
    let count = |status| outcomes.iter().filter(|outcome| outcome.status == Some(status)).count();
    assert!(count(503) > 0 && count(204) >= 3 && count(204) + count(503) == 60, "{outcomes:?}");
    let users = database.users().await;
    assert!(
        outcomes.iter().all(|outcome| users.contains(&outcome.email) == (outcome.status == Some(204))),
        "{outcomes:?}"
    );
    assert_eq!(service.register("after@example.com", PASSWORD).await.unwrap().status, 204);
    all_is_well(&service);
}
