//! API: accepted input, refusals and rate limits.

use std::time::Duration;

use http::Method;
use serde_json::json;

use super::inside::{Inside, RouterResponse, Up};
use crate::support::{PASSWORD, until};

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_sends_a_mail_whose_token_activates() {
    let up = Inside::new().up().await;
    let heard = up.register("Jane@Example.com").await;
    assert_eq!((heard.status.as_u16(), heard.body.as_str()), (204, ""));
    let token = json!({ "token": up.token(1).await }).to_string();
    for status in [204, 410] {
        assert_eq!(up.post("/api/activate", token.clone()).await.status, status);
    }
    let unknown = up.post("/api/activate", json!({ "token": "A".repeat(43) }).to_string()).await;
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.problem()["detail"], "There is no such token.");
    up.down().await;
}

/// Removes the parts that differ between any two responses.
fn stable(heard: &RouterResponse) -> Vec<(String, String)> {
    let mut headers: Vec<_> = heard
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .map(|(name, value)| if name == "x-request-id" { (name, String::new()) } else { (name, value) })
        .collect();
    headers.push(("status".to_owned(), heard.status.to_string()));
    headers.push(("body".to_owned(), heard.body.clone()));
    headers
}

#[tokio::test(flavor = "multi_thread")]
async fn known_and_unknown_addresses_get_the_same_response() {
    let up = Inside::new().up().await;
    up.register("known@example.com").await;
    let token = json!({ "token": up.token(1).await });
    assert_eq!(up.post("/api/activate", token.to_string()).await.status, 204);
    let first = up.register("unknown@example.com").await;
    for again in ["known@example.com", "KNOWN@example.com", "unknown@example.com", "another@example.com"] {
        assert_eq!(stable(&up.register(again).await), stable(&first), "{again}");
    }
    let resent = up.post("/api/resend", json!({ "email": "known@example.com" }).to_string()).await;
    for email in ["unknown@example.com", "nobody@example.com"] {
        let other = up.post("/api/resend", json!({ "email": email }).to_string()).await;
        assert_eq!(stable(&other), stable(&resent), "{email}");
    }
    up.down().await;
}

async fn refused(up: &Up, body: &[u8], status: u16) -> RouterResponse {
    let heard = up.post("/api/register", body.to_vec()).await;
    assert_eq!(heard.status, status, "{} {heard:?}", String::from_utf8_lossy(&body[..body.len().min(80)]));
    heard.problem();
    heard
}

#[tokio::test(flavor = "multi_thread")]
async fn all_invalid_fields_are_reported_at_once() {
    let up = Inside::new().up().await;
    for (body, expected) in [
        (r#"{}"#, &[("email", "is missing"), ("password", "is missing")][..]),
        (r#"{"email":1,"password":null}"#, &[("email", "string, not a number"), ("password", "string, not null")]),
        (r#"{"email":["a"],"password":{"a":1}}"#, &[("email", "not an array"), ("password", "not an object")]),
        (r#"{"email":true,"password":1e308}"#, &[("email", "not true or false"), ("password", "not a number")]),
        (r#"{"email":"jane","password":"7 bytes"}"#, &[("email", "@"), ("password", "8 bytes")]),
        (
            r#"{"email":"a@b.co","Email":"a@b.co","password":"Quittenmus-77","role":"admin"}"#,
            &[("Email", "known: email, password"), ("role", "known: email, password")],
        ),
        (r#"{"email":"a@b.co","email":"a@b.co","password":"Quittenmus-77"}"#, &[("email", "more than once")]),
        (r#"{"email":"a@b.co\u0000","password":"Quittenmus-77"}"#, &[("email", "must")]),
        (r#"{"email":"a@b.co\r\nBcc: c@d.co","password":"Quittenmus-77"}"#, &[("email", "must")]),
    ] {
        let heard = refused(&up, body.as_bytes(), 422).await;
        let errors = heard.errors();
        let fields: Vec<_> = errors.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(fields, expected.iter().map(|(field, _)| *field).collect::<Vec<_>>(), "{body}");
        for ((_, detail), (_, part)) in errors.iter().zip(expected) {
            assert!(detail.contains(part), "{body}: {detail}");
        }
    }
    let long = format!(r#"{{"{}":1}}"#, "x".repeat(10_000));
    assert!(refused(&up, long.as_bytes(), 422).await.body.len() < 1_000, "a made up name comes back at full length");

    let many: String = (0..1_000).map(|number| format!(r#""field-{number}":1,"#)).collect();
    let heard = refused(&up, format!(r#"{{{many}"email":"jane","password":"7 bytes"}}"#).as_bytes(), 422).await;
    assert!(heard.body.len() < 2_000, "many made up names come back as {} bytes", heard.body.len());
    assert_eq!(heard.errors().len(), 12, "those that are known, and the first of the others");
    heard.has("email, password, field-0, ").has("field-9, and 990 more.");
    up.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_json_is_refused_with_its_position() {
    let up = Inside::new().up().await;
    let deep = |open: &str| open.repeat(8_000);
    for (body, part) in [
        (&b""[..], "ends before"),
        (b"{", "ends before"),
        (br#"{"email":"a@b.co","password":"Quittenm"#, "ends before"),
        (b"{\"email\":\n\n  \"a@b.co\",}", "line 3, column 12"),
        (br#"{"email":"a@b.co","password":"Quittenmus-77"} x"#, "line 1, column 47"),
        (b"{\"email\":\"\xff\"}", "line 1"),
        (b"\xef\xbb\xbf{}", "line 1, column 1"),
        (br#"{"email":"\ud800"}"#, "line 1"),
        (br#"{"email":1e999}"#, "line 1"),
        (b"{'email':1}", "line 1, column 2"),
        (deep("[").as_bytes(), "ends before"),
        (&deep("{\"a\":").as_bytes()[..15_000], "line 1"),
        (format!("{{\"email\":{}{}}}", deep("["), "]".repeat(8_000)).as_bytes(), "line 1"),
    ] {
        let heard = refused(&up, body, 400).await;
        heard.has(part);
    }
    for body in ["[]", "null", "1", "\"a\"", "true"] {
        refused(&up, body.as_bytes(), 422).await.has("The body must be a JSON object.");
    }
    up.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_needs_a_content_type_and_a_bounded_length() {
    let up = Inside::new().up().await;
    let good = |email| json!({ "email": email, "password": PASSWORD }).to_string();
    for (email, kind) in [
        ("a@example.com", "application/json"),
        ("b@example.com", "application/json; charset=utf-8"),
        ("c@example.com", "Application/JSON;charset=\"UTF-8\""),
        ("d@example.com", "application/vnd.example+json"),
    ] {
        let heard = up.request(Method::POST, "/api/register", &[("content-type", kind)], &good(email)).await;
        assert_eq!(heard.status, 204, "{kind} {heard:?}");
    }
    for headers in [
        &[("content-type", "text/plain")][..],
        &[("content-type", "text/json")],
        &[("content-type", "application/x-www-form-urlencoded")],
        &[("content-type", "application/jsonx")],
        &[("content-type", "")],
        &[],
    ] {
        let heard = up.request(Method::POST, "/api/register", headers, &good("e@example.com")).await;
        assert_eq!(heard.status, 415, "{headers:?}");
        heard.problem();
    }
    let filled = |length: usize| {
        let body = json!({ "email": "f@example.com", "password": PASSWORD }).to_string();
        format!("{body}{}", " ".repeat(length - body.len()))
    };
    assert_eq!(up.post("/api/register", filled(16 * 1024)).await.status, 204);
    let heard = up.post("/api/register", filled(16 * 1024 + 1)).await;
    assert_eq!(heard.status, 413);
    assert_eq!(heard.problem()["detail"], "The body must not be longer than 16384 bytes.");
    up.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_never_comes_back() {
    let up = Inside::new().up().await;
    const SECRET: &str = "Zwetschgendatschi";
    for body in [
        format!(r#"{{"email":"x","password":"{SECRET}"}}"#),
        format!(r#"{{"email":"x@example.com","password":{{"{SECRET}":1}}}}"#),
        format!(r#"{{"email":"x@example.com","password":"{SECRET}"#),
        format!(r#"{{"email":"x@example.com","password":{SECRET}}}"#),
        format!(r#""{SECRET}""#),
        format!(r#"{{"email":"x@example.com","password":"{SECRET}","password":"{SECRET}"}}"#),
        format!(r#"{{"email":"x@example.com","password":"{}"}}"#, SECRET.repeat(100)),
        format!(r#"{{"email":"{SECRET}","password":"short"}}"#),
    ] {
        let heard = up.post("/api/register", body.clone()).await;
        assert!(heard.status.is_client_error(), "{body}");
        assert!(!heard.body.contains(SECRET), "{body}: {heard:?}");
    }
    let token = "T".repeat(42);
    let heard = up.post("/api/activate", json!({ "token": token }).to_string()).await;
    assert_eq!(heard.errors()[0].0, "token");
    assert!(!heard.body.contains(&token));
    up.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_and_paths_are_refused_as_problems() {
    let up = Inside::new().up().await;
    for path in ["/api/register", "/api/activate", "/api/resend"] {
        for method in ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            let heard = up.request(method.parse().unwrap(), path, JSON, "{}").await;
            assert_eq!((heard.status.as_u16(), heard.header("allow")), (405, "POST"), "{method} {path}");
            heard.problem();
        }
    }
    for path in ["/api", "/api/", "/api/register/", "/api/nothing"] {
        let heard = up.request(Method::GET, path, &[("accept", "application/json")], "").await;
        assert_eq!(heard.status, 404, "{path}");
        heard.problem();
    }
    up.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_concerns_one_client_only() {
    // The allowance is two requests; one returns every half hour.
    let up = Inside::new().rate(2, Duration::from_secs(3600)).trust("192.0.2.1").up().await;
    let from = async |client: &str, path: &str| {
        let headers = [("content-type", "application/json"), ("x-forwarded-for", client)];
        up.request(Method::POST, path, &headers, "{}").await
    };
    for _ in 0..2 {
        assert_eq!(from("198.51.100.1", "/api/register").await.status, 422);
    }
    for path in ["/api/register", "/api/activate", "/api/resend"] {
        let heard = from("198.51.100.1", path).await;
        assert_eq!(heard.status, 429, "{path}");
        heard.problem();
        let wait: u64 = heard.header("retry-after").parse().unwrap();
        assert!((1_700..=1_800).contains(&wait), "{wait}");
    }
    assert_eq!(from("198.51.100.2", "/api/register").await.status, 422);
    // Pages are limited as well.
    let heard = from("198.51.100.1", "/register").await;
    assert_eq!((heard.status.as_u16(), heard.header("content-type")), (429, "text/html; charset=utf-8"));
    assert!(heard.headers.contains_key("retry-after"));
    heard.has("Too many requests from your address. Please try again in 30 minutes.");
    // GET requests are not limited.
    let looked = up.request(Method::GET, "/", &[("x-forwarded-for", "198.51.100.1")], "").await;
    assert_eq!(looked.status, 200);
    // An IPv6 network counts as one client.
    for (client, status) in [("2001:db8::1", 422), ("2001:db8::2", 422), ("2001:db8::3", 429), ("2001:db8:0:1::1", 422)]
    {
        assert_eq!(from(client, "/api/register").await.status, status, "{client}");
    }
    up.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_choose_its_own_address() {
    let up = Inside::new().rate(1, Duration::from_secs(3600)).up().await;
    for (client, status) in [("198.51.100.1", 422), ("198.51.100.2", 429)] {
        let headers = [("content-type", "application/json"), ("x-forwarded-for", client), ("forwarded", "for=1.1.1.1")];
        assert_eq!(up.request(Method::POST, "/api/register", &headers, "{}").await.status, status);
    }
    up.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn known_and_unknown_addresses_are_limited_alike() {
    let up = Inside::new().address_limit("1/1h").up().await;
    assert_eq!(up.register("a@example.com").await.status, 204);
    let heard = up.register("a@example.com").await;
    assert_eq!(heard.status, 429);
    assert!(heard.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0));
    heard.problem();
    up.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_endpoints_report_failures_with_the_reason() {
    let up = Inside::new().up().await;
    for heard in [up.get("/livez").await, up.get_ops("/livez").await] {
        assert_eq!((heard.status.as_u16(), heard.json()), (200, json!({ "alive": true })));
    }
    let checks = |serving, database| json!({ "serving": serving, "database": database });
    for heard in [up.get("/readyz").await, up.get_ops("/readyz").await] {
        let ready = json!({ "ready": true, "checks": checks("ok", "ok") });
        assert_eq!((heard.status.as_u16(), heard.json()), (200, ready));
    }
    up.app.store.close().await;
    let heard = up.get("/readyz").await;
    let failed = json!({ "ready": false, "checks": checks("ok", "failed") });
    assert_eq!((heard.status.as_u16(), heard.json()), (503, failed));
    // Internal causes are not sent to clients.
    let heard = up.register("a@example.com").await;
    assert_eq!(heard.status, 500);
    assert_eq!(heard.problem()["detail"], "Something went wrong on our side. Please try again later.");
    up.shutdown.begin();
    let heard = until("it is not ready", async || {
        let heard = up.get("/readyz").await;
        (heard.json()["checks"]["serving"] == "failed").then_some(heard)
    });
    assert_eq!(heard.await.status, 503);
    assert_eq!(up.get("/livez").await.status, 200);
}
