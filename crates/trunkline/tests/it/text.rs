//! Bodies read as text and as JSON: charsets, byte order marks.

use serde_json::{Value, json};
use trunkline::Session;

use crate::decoding::{always, response};
use crate::support::{Httpbin, Rogue};
use crate::{SOON, within};

async fn serving(content_type: &str, body: &[u8]) -> Rogue {
    let header = if content_type.is_empty() { String::new() } else { format!("Content-Type: {content_type}\r\n") };
    always(response("200 OK", &header, body)).await
}

async fn text(content_type: &str, body: &[u8]) -> String {
    let rogue = serving(content_type, body).await;
    within(SOON, async { Session::new().get(rogue.url("/")).await?.text().await }).await.unwrap()
}

async fn text_or(charset: &str, content_type: &str, body: &[u8]) -> trunkline::Result<String> {
    let rogue = serving(content_type, body).await;
    within(SOON, async { Session::new().get(rogue.url("/")).await?.text_with_charset(charset).await }).await
}

#[tokio::test]
async fn text_is_read_in_the_charset_that_the_header_names() {
    let cases: [(&str, &[u8], &str); 11] = [
        ("", "Käse €".as_bytes(), "Käse €"),
        ("text/plain", "Käse €".as_bytes(), "Käse €"),
        ("text/plain; charset=utf-8", "Käse €".as_bytes(), "Käse €"),
        ("text/plain; charset=iso-8859-1", b"K\xe4se \x80", "Käse €"),
        ("text/html;CharSet=\"Windows-1251\"; x=y", b"\xcf\xf0\xe8\xe2\xe5\xf2", "Привет"),
        ("text/html; x=\"y\"; charset = shift_jis", b"\x82\xb1\x82\xf1", "こん"),
        ("text/plain; charset=gb18030", b"\xc4\xe3\xba\xc3", "你好"),
        ("text/plain; charset=utf-16le", b"h\0i\0", "hi"),
        ("text/plain; charset=utf-16be", b"\0h\0i", "hi"),
        // Malformed.
        ("text/plain", b"K\xe4se", "K\u{fffd}se"),
        ("text/plain; charset=shift_jis", b"\x82", "\u{fffd}"),
    ];
    for (content_type, body, expected) in cases {
        assert_eq!(text(content_type, body).await, expected, "{content_type}");
    }
}

#[tokio::test]
async fn a_charset_nobody_knows_is_taken_for_utf_8() {
    for content_type in [
        "text/plain; charset=klingon",
        "text/plain; charset=",
        "text/plain; charset",
        "; charset=x",
        "text/plain; charset=\"\"",
    ] {
        assert_eq!(text(content_type, "Käse".as_bytes()).await, "Käse", "{content_type}");
    }
}

#[tokio::test]
async fn a_byte_order_mark_is_worth_more_than_the_header() {
    for content_type in ["", "text/plain; charset=utf-8", "text/plain; charset=windows-1252"] {
        assert_eq!(text(content_type, "\u{feff}Käse".as_bytes()).await, "Käse", "{content_type}");
        assert_eq!(text(content_type, b"\xff\xfeh\0i\0").await, "hi", "{content_type}");
        assert_eq!(text(content_type, b"\xfe\xff\0h\0i").await, "hi", "{content_type}");
    }
    assert_eq!(text("", b"\xef\xbb\xbf").await, "");
}

#[tokio::test]
async fn a_charset_may_be_assumed_where_the_header_names_none() {
    assert_eq!(text_or("latin1", "text/html", b"K\xe4se").await.unwrap(), "Käse");
    assert_eq!(text_or("latin1", "text/html; charset=utf-8", "Käse".as_bytes()).await.unwrap(), "Käse");
    assert_eq!(text_or("latin1", "", "\u{feff}Käse".as_bytes()).await.unwrap(), "Käse");
    let error = text_or("klingon", "", b"").await.unwrap_err();
    assert!(error.is_input() && error.to_string().contains("\"klingon\""), "{error}");
}

#[tokio::test]
async fn json_is_utf_8_and_may_begin_with_a_mark() {
    for (content_type, body) in [
        ("application/json", "{\"a\": \"Käse\"}".as_bytes()),
        ("text/html; charset=windows-1252", "{\"a\": \"Käse\"}".as_bytes()),
        ("application/json", "\u{feff}{\"a\": \"Käse\"}".as_bytes()),
    ] {
        let rogue = serving(content_type, body).await;
        let value: Value =
            within(SOON, async { Session::new().get(rogue.url("/")).await?.json().await }).await.unwrap();
        assert_eq!(value, json!({ "a": "Käse" }));
    }
    let rogue = serving("application/json; charset=latin1", b"{\"a\": \"K\xe4se\"}").await;
    let error =
        within(SOON, async { Session::new().get(rogue.url("/")).await?.json::<Value>().await }).await.unwrap_err();
    assert!(error.is_body() && error.to_string().contains("not the JSON that was expected"), "{error}");
}

#[tokio::test]
async fn httpbin_s_utf_8_is_read() {
    let httpbin = Httpbin::shared().await;
    let text =
        within(SOON, async { Session::new().get(httpbin.url("/encoding/utf8")).await?.text().await }).await.unwrap();
    assert!(text.contains("STARGΛ̊TE SG-1"), "{text}");
}
