//! Forms with files, as servers understand them.

use std::io;

use futures_util::stream;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use trunkline::{Body, Multipart, Part, RequestBuilder, Session};

use crate::support::{Httpbin, Rogue, Step, TempDir};
use crate::{SOON, within};

/// The request as httpbin parsed it.
async fn echoed(request: RequestBuilder) -> Value {
    within(SOON, async { request.await?.json().await }).await.unwrap()
}

fn streamed(text: &'static str) -> Body {
    Body::stream(stream::iter([Ok::<_, io::Error>(text)]))
}

#[tokio::test]
async fn httpbin_finds_every_field_and_file() {
    let (httpbin, session) = (Httpbin::shared().await, Session::new());
    let dir = TempDir::new("multipart");
    let path = dir.write("photo å.txt", "the photo");
    let form = || {
        Multipart::new()
            .text("title", "Ferie på Læsø & co")
            .text("many", "one")
            .text("many", "two")
            .text("", "no name")
            .text("lines", "a\nb\r\nc")
            .file("photo", &path)
            .part("notes", Part::bytes("a,b\n").file_name("notes.csv").content_type("text/csv"))
            .part("plain", Part::bytes("no file"))
    };
    let fields = json!({
        "title": "Ferie på Læsø & co", "many": ["one", "two"], "": "no name", "lines": "a\r\nb\r\nc", "plain": "no file",
    });
    let seen = echoed(session.post(httpbin.url("/post")).multipart(form())).await;
    assert_eq!(seen["form"], fields);
    assert_eq!(seen["files"], json!({ "photo": "the photo", "notes": "a,b\n" }));
    assert!(seen["headers"]["Content-Length"].is_string() && seen["headers"]["Transfer-Encoding"].is_null(), "{seen}");

    // With one part of unknown length, all of it goes in chunks.
    let form = form().part("streamed", Part::new(streamed("piece by piece")).file_name("s"));
    let seen = echoed(session.post(httpbin.url("/post")).multipart(form)).await;
    assert_eq!(seen["form"], fields);
    assert_eq!(seen["files"]["streamed"], "piece by piece");
    assert_eq!(seen["headers"]["Transfer-Encoding"], "chunked");

    let seen = echoed(session.post(httpbin.url("/post")).multipart(Multipart::new())).await;
    assert_eq!((&seen["form"], &seen["files"]), (&json!({}), &json!({})));
}

#[tokio::test]
async fn odd_names_arrive_as_a_browser_would_send_them() {
    let (httpbin, session) = (Httpbin::shared().await, Session::new());
    // Browsers escape three characters; this server undoes one of them.
    for (name, arrives) in [
        ("quo\"te", "quo\"te"),
        ("new\nline", "new%0D%0Aline"),
        ("semi;colon=x", "semi;colon=x"),
        ("日本語", "日本語"),
        ("a'b c", "a'b c"),
        ("100%", "100%"),
        ("x\"; filename=\"evil", "x\"; filename=\"evil"),
        ("x\r\nContent-Type: text/evil\r\n\r\n", "x%0D%0AContent-Type: text/evil%0D%0A%0D%0A"),
    ] {
        let file = Part::bytes("content").file_name(name);
        let form = Multipart::new().text(name, "value").part("file", file);
        let seen = echoed(session.post(httpbin.url("/post")).multipart(form)).await;
        assert_eq!(seen["form"], json!({ arrives: "value" }));
        assert_eq!(seen["files"], json!({ "file": "content" }));
    }
}

#[tokio::test]
async fn the_length_that_is_announced_is_the_length_that_is_sent() {
    let dir = TempDir::new("multipart");
    let rogue = Rogue::start(Step::serve("")).await;
    let session = Session::new();
    for size in [0, 1, 128 << 10, 1_000_000] {
        let form = Multipart::new()
            .file("first", dir.write("first", vec![b'x'; size]))
            .part("known", Part::new(streamed("12345").with_length(5)))
            .text("å", "ø");
        within(SOON, session.post(rogue.url("/")).multipart(form).send()).await.unwrap();
        let seen = rogue.requests().pop().unwrap();
        assert!(seen.whole);
        assert_eq!(seen.header("content-length"), Some(seen.body.len().to_string().as_str()));
        let boundary = seen.header("content-type").unwrap().strip_prefix("multipart/form-data; boundary=").unwrap();
        assert!(seen.body.ends_with(format!("\r\n--{boundary}--\r\n").as_bytes()));
    }
    assert_eq!(rogue.accepted(), 1);
}

#[tokio::test]
async fn a_part_that_fails_is_named() {
    let rogue = Rogue::start(Step::serve("")).await;
    let session = Session::new();
    let fails = Part::stream(stream::iter([Ok("x"), Err(io::Error::other("the disk is on fire"))]));
    let short = Part::new(streamed("12345").with_length(6));
    for (part, why) in [(fails, "the disk is on fire"), (short, "ended after 5 bytes, where 6")] {
        let form = Multipart::new().text("a", "b").part("photo", part);
        let error = within(SOON, session.post(rogue.url("/")).multipart(form).send()).await.unwrap_err();
        let causes = crate::exchange::causes(&error);
        assert!(error.is_body() && causes.iter().any(|cause| cause.contains("part \"photo\"")), "{error:?}");
        assert!(causes.iter().any(|cause| cause.contains(why)), "{error:?}");
    }
    let log = rogue.wait_until(|log| log.open == 0).await;
    assert!(log.requests.iter().all(|request| !request.whole));
}

#[tokio::test]
async fn a_content_type_set_by_hand_is_completed_or_refused() {
    let rogue = Rogue::start(Step::serve("")).await;
    let session = Session::new();
    let form = || Multipart::new().text("a", "b");
    let before = session.post(rogue.url("/")).header(CONTENT_TYPE, "multipart/related; type=x").multipart(form());
    let after = session.post(rogue.url("/")).multipart(form()).header(CONTENT_TYPE, "Multipart/Mixed");
    for (request, begins) in
        [(before, "multipart/related; type=x; boundary=trunkline-"), (after, "Multipart/Mixed; boundary=trunkline-")]
    {
        within(SOON, request.send()).await.unwrap();
        let seen = rogue.requests().pop().unwrap();
        let types: Vec<_> = seen.headers.iter().filter(|(name, _)| name == "content-type").collect();
        assert!(types.len() == 1 && types[0].1.starts_with(begins), "{types:?}");
    }
    for given in ["application/json", "multipart/form-data; boundary=mine", "text/plain; x=multipart/form-data"] {
        let error = session.post(rogue.url("/")).header(CONTENT_TYPE, given).multipart(form()).await.unwrap_err();
        assert!(error.is_input() && error.to_string().contains(given), "{error:?}");
    }
    // A body that replaces the form also replaces its type.
    within(SOON, session.post(rogue.url("/")).multipart(form()).json(&1).send()).await.unwrap();
    assert_eq!(rogue.requests().pop().unwrap().header("content-type"), Some("application/json"));
}
