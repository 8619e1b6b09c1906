//! httpbin's endpoints, one after the other, requested as a user of this crate would.
//!
//! Not here: digest authentication (`/digest-auth`), which a session does not do, except that its
//! challenge is told.

use std::time::{Duration, Instant};

use http::header::{CONTENT_ENCODING, ETAG, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, RANGE};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use trunkline::{RequestBuilder, Response, Session};

use crate::support::Httpbin;
use crate::{SOON, within};

/// A session whose relative addresses are httpbin's.
async fn session() -> Session {
    Session::builder().base_url(Httpbin::shared().await.url("/")).build().unwrap()
}

async fn answer(request: RequestBuilder) -> Response {
    within(SOON, request.send()).await.unwrap()
}

async fn status(request: RequestBuilder) -> u16 {
    answer(request).await.status().as_u16()
}

async fn json(request: RequestBuilder) -> Value {
    within(SOON, async { request.await?.error_for_status()?.json().await }).await.unwrap()
}

async fn text(request: RequestBuilder) -> String {
    within(SOON, async { request.await?.error_for_status()?.text().await }).await.unwrap()
}

async fn bytes(request: RequestBuilder) -> bytes::Bytes {
    within(SOON, async { request.await?.error_for_status()?.bytes().await }).await.unwrap()
}

// ---- methods

#[tokio::test]
async fn each_method_has_its_endpoint() {
    let session = session().await;
    let query = [("a", "1"), ("b", "two words"), ("b", "\u{e9}")];
    let args = json!({ "a": "1", "b": ["two words", "\u{e9}"] });
    for (request, path) in [
        (session.get("get"), "/get"),
        (session.post("post").body("data"), "/post"),
        (session.put("put").body("data"), "/put"),
        (session.patch("patch").body("data"), "/patch"),
        (session.delete("delete").body("data"), "/delete"),
    ] {
        let seen = json(request.query(&query)).await;
        assert_eq!(seen["args"], args, "{path}");
        assert!(seen["url"].as_str().unwrap().contains(path), "{seen}");
        assert_eq!(seen["data"], if path == "/get" { Value::Null } else { json!("data") }, "{path}");
    }
    assert_eq!(status(session.post("get")).await, 405);
    assert_eq!(status(session.get("post")).await, 405);
}

#[tokio::test]
async fn anything_echoes_every_method() {
    let session = session().await;
    for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::TRACE] {
        let seen = json(session.request(method.clone(), "anything/a/b?c=d")).await;
        assert_eq!((seen["method"].as_str(), &seen["args"]), (Some(method.as_str()), &json!({ "c": "d" })));
        assert!(seen["url"].as_str().unwrap().ends_with("/anything/a/b?c=d"));
    }
    let head = answer(session.head("anything")).await;
    assert!(head.headers()["content-length"] != "0" && head.bytes().await.unwrap().is_empty());
    let options = answer(session.request(Method::OPTIONS, "get")).await;
    let mut allowed: Vec<_> = options.headers()["allow"].to_str().unwrap().split(", ").collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "OPTIONS"]);
}

// ---- bodies sent

#[tokio::test]
async fn forms_json_and_bytes_arrive_as_what_they_are() {
    let session = session().await;
    let page = text(session.get("forms/post")).await;
    assert!(page.contains(r#"<form method="post" action="/post">"#) && page.contains(r#"name="custname""#), "{page}");
    let pizza = [("custname", "\u{c5}sa & Co"), ("size", "medium"), ("topping", "bacon"), ("topping", "cheese")];
    let seen = json(session.post("post").form(&pizza)).await;
    let form = json!({ "custname": "\u{c5}sa & Co", "size": "medium", "topping": ["bacon", "cheese"] });
    assert_eq!((&seen["form"], &seen["data"], &seen["json"]), (&form, &json!(""), &Value::Null));

    let value = json!({ "text": "\u{1f355}", "numbers": [1, -2.5, 1e300], "nothing": null });
    let seen = json(session.put("put").json(&value)).await;
    assert_eq!((&seen["json"], &seen["form"]), (&value, &json!({})));

    let seen = json(session.patch("patch").body(vec![0, 159, 146, 150])).await;
    assert_eq!(seen["data"], "data:application/octet-stream;base64,AJ+Slg==");
    let large = "x".repeat(300_000);
    assert_eq!(json(session.post("post").body(large.clone())).await["data"], large);
}

// ---- authentication

#[tokio::test]
async fn basic_authentication_is_by_name_and_password() {
    let session = session().await;
    let basic = || session.get("basic-auth/ann/p%40ss");
    let challenged = answer(basic()).await;
    assert_eq!(challenged.headers()["www-authenticate"], r#"Basic realm="Fake Realm""#);
    assert_eq!(challenged.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(status(basic().basic_auth("ann", "wrong")).await, 401);
    let welcome = json!({ "authenticated": true, "user": "ann" });
    assert_eq!(json(basic().basic_auth("ann", "p@ss")).await, welcome);
    let in_url = Httpbin::shared().await.url("/basic-auth/ann/p%40ss").replace("://", "://ann:p%40ss@");
    assert_eq!(json(session.get(in_url)).await, welcome);

    // Here a stranger is told that there is nothing.
    let hidden = || session.get("hidden-basic-auth/ann/secret");
    assert_eq!(status(hidden()).await, 404);
    assert_eq!(json(hidden().basic_auth("ann", "secret")).await, welcome);
}

#[tokio::test]
async fn bearer_authentication_is_by_token() {
    let session = session().await;
    assert_eq!(status(session.get("bearer")).await, 401);
    assert_eq!(status(session.get("bearer").basic_auth("ann", "secret")).await, 401);
    let seen = json(session.get("bearer").bearer_auth("to.ken-_~+/=")).await;
    assert_eq!(seen, json!({ "authenticated": true, "token": "to.ken-_~+/=" }));
}

#[tokio::test]
async fn a_digest_challenge_is_told_and_not_met() {
    let session = session().await;
    for (path, algorithm) in [("auth", "MD5"), ("auth-int", "SHA-256"), ("auth", "SHA-512")] {
        let path = format!("digest-auth/{path}/ann/secret/{algorithm}/never");
        let challenged = answer(session.get(path).basic_auth("ann", "secret")).await;
        assert_eq!(challenged.status(), StatusCode::UNAUTHORIZED);
        let challenge = challenged.headers()["www-authenticate"].to_str().unwrap();
        assert!(challenge.starts_with("Digest ") && challenge.contains(algorithm), "{challenge}");
    }
    assert_eq!(status(session.get("digest-auth/auth/ann/secret")).await, 401);
}

// ---- status codes and redirects

#[tokio::test]
async fn every_status_is_told_as_it_is() {
    let session = session().await;
    for code in
        [200, 201, 202, 203, 204, 205, 206, 304, 400, 401, 403, 404, 405, 406, 410, 418, 429, 451, 500, 502, 599]
    {
        let response = answer(session.get(format!("status/{code}"))).await;
        assert_eq!((response.status().as_u16(), response.history().len()), (code, 0));
        assert_eq!(response.error_for_status().is_err(), code >= 400, "{code}");
        assert_eq!(status(session.post(format!("status/{code}"))).await, code);
    }
    assert_eq!(session.stats().in_use, 0);
}

#[tokio::test]
async fn statuses_that_redirect_do() {
    let session = session().await;
    for code in [301, 302, 303, 307] {
        let response = answer(session.get(format!("status/{code}"))).await;
        // It redirects to /redirect/1, and from there to /get.
        let history: Vec<_> = response.history().iter().map(|hop| hop.status.as_u16()).collect();
        assert_eq!((response.status(), history), (StatusCode::OK, vec![code, 302]));
        assert_eq!(response.url().path(), "/get");
        assert_eq!(status(session.get(format!("status/{code}")).max_redirects(0)).await, code);
    }
}

#[tokio::test]
async fn redirects_are_followed_to_their_end() {
    let session = session().await;
    for kind in ["redirect", "absolute-redirect", "relative-redirect"] {
        let response = answer(session.get(format!("{kind}/5"))).await;
        assert_eq!((response.status(), response.history().len()), (StatusCode::OK, 5), "{kind}");
        assert_eq!(response.url().path(), "/get", "{kind}");
        let error = within(SOON, session.get(format!("{kind}/11")).send()).await.unwrap_err();
        assert!(error.is_redirect(), "{kind}: {error:?}");
    }
}

#[tokio::test]
async fn redirect_to_leads_where_it_is_told() {
    let session = session().await;
    for (code, becomes, data) in
        [("302", "GET", ""), ("303", "GET", ""), ("307", "POST", "kept"), ("308", "POST", "kept")]
    {
        let request = session.post("redirect-to").query(&[("url", "/anything?x=y"), ("status_code", code)]);
        let seen = json(request.body("kept")).await;
        assert_eq!((&seen["method"], &seen["data"]), (&json!(becomes), &json!(data)), "{code}");
        assert_eq!(seen["args"], json!({ "x": "y" }), "{code}");
    }
    // Other methods outlive a 301 and a 302.
    for method in [Method::PUT, Method::PATCH, Method::DELETE] {
        let request =
            session.request(method.clone(), "redirect-to").query(&[("url", "/anything"), ("status_code", "301")]);
        let seen = json(request.body("kept")).await;
        assert_eq!((&seen["method"], &seen["data"]), (&json!(method.as_str()), &json!("kept")));
    }
    let away = session.get("redirect-to").query(&[("url", "ftp://example.com/")]);
    assert!(within(SOON, away.send()).await.unwrap_err().is_redirect());
    let elsewhere = Httpbin::shared().await.url("/headers").replace("127.0.0.1", "localhost");
    let request = session.get("redirect-to").query(&[("url", &elsewhere)]).bearer_auth("token");
    let seen = json(request).await;
    assert_eq!(seen["headers"]["Authorization"], Value::Null);
    assert!(seen["headers"]["Host"].as_str().unwrap().starts_with("localhost:"), "{seen}");
}

// ---- what is said of the request

#[tokio::test]
async fn headers_arrive_and_come_back() {
    let session = session().await;
    let seen = json(session.get("headers").header("X-Custom", "a, b").header("x-empty", "")).await;
    assert_eq!((&seen["headers"]["X-Custom"], &seen["headers"]["X-Empty"]), (&json!("a, b"), &json!("")));
    let own = concat!("trunkline/", env!("CARGO_PKG_VERSION"));
    assert_eq!(json(session.get("user-agent")).await, json!({ "user-agent": own }));
    let named = session.get("user-agent").header("user-agent", "tester/2 (x)");
    assert_eq!(json(named).await, json!({ "user-agent": "tester/2 (x)" }));
    assert_eq!(json(session.get("ip")).await, json!({ "origin": "127.0.0.1" }));

    let wanted = [("X-Twice", "1"), ("X-Twice", "2"), ("X-Text", "two words; x=\"y\"")];
    for request in [session.get("response-headers"), session.post("response-headers")] {
        let response = answer(request.query(&wanted)).await;
        let twice: Vec<_> = response.headers().get_all("x-twice").iter().collect();
        assert_eq!(twice, ["1", "2"]);
        assert_eq!(response.headers()["x-text"], "two words; x=\"y\"");
    }
}

// ---- caching

#[tokio::test]
async fn conditions_are_answered_without_a_body() {
    let session = session().await;
    let response = answer(session.get("cache")).await;
    let tag = response.headers()[ETAG].clone();
    let modified = response.headers()["last-modified"].clone();
    assert!(!response.bytes().await.unwrap().is_empty());
    for condition in
        [session.get("cache").header(IF_NONE_MATCH, tag), session.get("cache").header(IF_MODIFIED_SINCE, modified)]
    {
        let unchanged = answer(condition).await;
        assert_eq!((unchanged.status(), unchanged.history().len()), (StatusCode::NOT_MODIFIED, 0));
        assert!(unchanged.bytes().await.unwrap().is_empty());
    }
    // An answer without a body costs no connection.
    assert_eq!(session.stats().created, 1);
    assert_eq!(answer(session.get("cache/60")).await.headers()["cache-control"], "public, max-age=60");

    assert_eq!(answer(session.get("etag/tag")).await.headers()[ETAG], "tag");
    assert_eq!(status(session.get("etag/tag").header(IF_NONE_MATCH, "tag")).await, 304);
    assert_eq!(status(session.get("etag/tag").header(IF_NONE_MATCH, "other")).await, 200);
    assert_eq!(status(session.get("etag/tag").header(IF_MATCH, "other")).await, 412);
    assert_eq!(status(session.get("etag/tag").header(IF_MATCH, "*")).await, 200);
}

#[tokio::test]
async fn a_range_is_a_part_of_the_whole() {
    let session = session().await;
    let whole = bytes(session.get("range/1000")).await;
    assert_eq!((whole.len(), &whole[..4]), (1000, b"abcd".as_slice()));
    for (range, part, says) in [
        ("bytes=0-9", 0..10, "bytes 0-9/1000"),
        ("bytes=990-", 990..1000, "bytes 990-999/1000"),
        ("bytes=-5", 995..1000, "bytes 995-999/1000"),
    ] {
        let response = answer(session.get("range/1000?chunk_size=7").header(RANGE, range)).await;
        assert_eq!(
            (response.status(), says),
            (StatusCode::PARTIAL_CONTENT, response.headers()["content-range"].to_str().unwrap())
        );
        assert_eq!(response.bytes().await.unwrap(), whole.slice(part), "{range}");
    }
    assert_eq!(status(session.get("range/1000").header(RANGE, "bytes=2000-3000")).await, 416);
}

// ---- bodies received

#[tokio::test]
async fn bodies_of_every_kind_come_whole() {
    let session = session().await;
    let seen = json(session.get("json")).await;
    assert_eq!(seen["slideshow"]["title"], "Sample Slide Show");
    assert!(text(session.get("html")).await.contains("Herman Melville"));
    assert!(text(session.get("xml")).await.starts_with("<?xml"));
    assert!(text(session.get("robots.txt")).await.contains("Disallow: /deny"));
    assert!(text(session.get("deny")).await.contains("YOU SHOULDN'T BE HERE"));
    let utf8 = text(session.get("encoding/utf8")).await;
    assert!(["∮ E⋅da", "Οὐχὶ", "⡌⠁⠧⠑"].iter().all(|words| utf8.contains(words)), "{utf8}");
    assert_eq!(text(session.get("base64/dHJ1bmtsaW5l")).await, "trunkline");
    let id = json(session.get("uuid")).await;
    assert_eq!(id["uuid"].as_str().unwrap().len(), 36);
    let page = text(session.get("links/10/3")).await;
    assert_eq!((page.matches("<a href='/links/10/").count(), page.contains("/links/10/3'")), (9, false));
    assert_eq!(answer(session.get("links/10")).await.url().path(), "/links/10/0");
}

#[tokio::test]
async fn compressed_bodies_are_asked_for_and_decoded() {
    let session = session().await;
    for (path, flag, coding) in
        [("gzip", "gzipped", "gzip"), ("deflate", "deflated", "deflate"), ("brotli", "brotli", "br")]
    {
        let response = answer(session.get(path)).await;
        assert!(!response.headers().contains_key(CONTENT_ENCODING), "{path}");
        let seen: Value = within(SOON, response.json()).await.unwrap();
        assert_eq!((&seen[flag], &seen["method"]), (&json!(true), &json!("GET")), "{path}");
        assert_eq!(seen["headers"]["Accept-Encoding"], "gzip, deflate, br, zstd");

        let coded = answer(session.get(path).decompress(false)).await;
        assert_eq!(coded.headers()[CONTENT_ENCODING], coding);
        let length = coded.content_length().unwrap();
        let coded = within(SOON, coded.bytes()).await.unwrap();
        assert!(coded.len() as u64 == length && !coded.starts_with(b"{"), "{path}: {coded:?}");
    }
    assert_eq!(session.stats().created, 1);
}

#[tokio::test]
async fn images_are_what_was_asked_for() {
    let session = session().await;
    for (kind, begins) in
        [("png", b"\x89PNG".as_slice()), ("jpeg", b"\xff\xd8\xff"), ("webp", b"RIFF"), ("svg", b"<svg")]
    {
        let image = bytes(session.get(format!("image/{kind}"))).await;
        assert!(image.starts_with(begins), "{kind}");
        let media = if kind == "svg" { "image/svg+xml".to_owned() } else { format!("image/{kind}") };
        let accepted = answer(session.get("image").header("accept", &media)).await;
        assert_eq!(accepted.headers()["content-type"].to_str().unwrap(), media);
        assert_eq!(accepted.bytes().await.unwrap(), image, "{kind}");
    }
    assert!(bytes(session.get("image").header("accept", "image/*")).await.starts_with(b"\x89PNG"));
    assert_eq!(status(session.get("image").header("accept", "text/plain")).await, 406);
}

#[tokio::test]
async fn bytes_come_whole_or_piece_by_piece() {
    let session = session().await;
    let seeded = bytes(session.get("bytes/10000?seed=7")).await;
    assert_eq!((seeded.len(), &seeded), (10_000, &bytes(session.get("bytes/10000?seed=7")).await));
    assert_ne!(seeded, bytes(session.get("bytes/10000?seed=8")).await);
    assert!(bytes(session.get("bytes/0")).await.is_empty());

    let mut response = answer(session.get("stream-bytes/100000?seed=7&chunk_size=3001")).await;
    assert_eq!(response.content_length(), None);
    let mut streamed = Vec::new();
    while let Some(piece) = within(SOON, response.chunk()).await.unwrap() {
        streamed.extend(piece);
    }
    assert_eq!((streamed.len(), &streamed[..100]), (100_000, &seeded[..100]));

    let lines = text(session.get("stream/20")).await;
    let ids: Vec<_> = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone()).collect();
    assert_eq!(ids, (0..20).map(Value::from).collect::<Vec<_>>());
}

#[tokio::test]
async fn slow_answers_come_whole() {
    let session = session().await;
    let begun = Instant::now();
    let delayed = async { json(session.post("delay/1").body("patience")).await };
    let dripped = async { answer(session.get("drip?duration=1&numbytes=20&delay=0&code=203")).await };
    let ranged = async { bytes(session.get("range/26?duration=1&chunk_size=1")).await };
    let (delayed, dripped, ranged) = tokio::join!(delayed, dripped, ranged);
    assert_eq!((&delayed["data"], ranged.as_ref()), (&json!("patience"), b"abcdefghijklmnopqrstuvwxyz".as_slice()));
    assert_eq!(dripped.status(), StatusCode::NON_AUTHORITATIVE_INFORMATION);
    assert_eq!(within(SOON, dripped.bytes()).await.unwrap(), "*".repeat(20));
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(status(session.get("drip?numbytes=0")).await, 400);
    for (method, data) in [(Method::GET, ""), (Method::PUT, "x"), (Method::PATCH, "x"), (Method::DELETE, "x")] {
        let seen = json(session.request(method.clone(), "delay/0").body(data)).await;
        assert_eq!(
            (&seen["data"], seen["url"].as_str().unwrap().ends_with("/delay/0")),
            (&json!(data), true),
            "{method}"
        );
    }
    let limits = trunkline::Timeouts::new().total(Duration::from_millis(200));
    let error = within(SOON, session.get("delay/5").timeouts(limits).send()).await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
}

// ---- cookies

#[tokio::test]
async fn cookies_are_kept_and_given_back() {
    let session = session().await;
    // /cookies/set answers with a redirect to /cookies, which shows what it was sent.
    let seen = json(session.get("cookies/set/flavour/chocolate")).await;
    assert_eq!(seen, json!({ "cookies": { "flavour": "chocolate" } }));
    let seen = json(session.get("cookies/set").query(&[("size", "large"), ("flavour", "oat & \"raisin\"")])).await;
    assert_eq!(seen["cookies"]["size"], "large");
    assert_eq!(session.cookies().len(), 2);
    let other = self::session().await;
    assert_eq!(json(other.get("cookies")).await, json!({ "cookies": {} }));

    let by_hand = session.get("cookies").header("cookie", "size=small; extra=1");
    assert_eq!(json(by_hand).await["cookies"]["size"], "small");
    assert_eq!(json(session.get("cookies")).await["cookies"]["size"], "large");

    let seen = json(session.get("cookies/delete").query(&[("size", "")])).await;
    assert_eq!((seen["cookies"]["size"].clone(), session.cookies().len()), (Value::Null, 1));
    let set = answer(session.get("cookies/set/late/1").max_redirects(0)).await;
    assert_eq!((set.status(), session.cookies().len()), (StatusCode::FOUND, 2));
    session.cookies().clear();
    assert_eq!(json(session.get("cookies")).await, json!({ "cookies": {} }));
}
