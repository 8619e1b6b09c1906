//! Pages that mean harm: each is refused, or read in good time; none is too much for a small stack.

use std::time::{Duration, Instant};

use http::HeaderMap;
use trunkline_scrape::{Document, Parser, Result};

use crate::support::pages::{parsed, url};

/// A page of 10 MiB takes a second or two in a test build on a quiet machine; what goes wrong here
/// takes hours.
const IN_GOOD_TIME: Duration = Duration::from_secs(120);

/// Read on a thread with a small stack.
fn read(html: String) -> Result<Document> {
    let started = Instant::now();
    let reader = std::thread::Builder::new().stack_size(512 * 1024).spawn(move || parsed(html)).unwrap();
    let read = reader.join().unwrap();
    assert!(started.elapsed() < IN_GOOD_TIME, "{:?}", started.elapsed());
    read
}

fn refused(html: String, why: &str) {
    let error = read(html).unwrap_err();
    assert!(error.is_page() && error.to_string().contains(why), "{error}");
}

/// A large page; in a long run, one as large as is allowed.
fn size() -> usize {
    if std::env::var_os("TRUNKLINE_SOAK").is_some() { 10_000_000 } else { 1_000_000 }
}

fn repeated(what: &str) -> String {
    what.repeat(size() / what.len())
}

/// As many as there is room for.
fn numbered(what: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    while let next = what(text.len())
        && text.len() + next.len() < size()
    {
        text += &next;
    }
    text
}

#[test]
fn a_million_inputs_are_refused() {
    refused(
        format!("<form>{}", "<input>".repeat(1_000_000)),
        "more than 500000 elements, attributes and texts (max_nodes)",
    );
}

#[test]
fn as_many_inputs_as_are_allowed_make_a_form() {
    let page = read(format!("<form>{}", "<input name=a value=1>".repeat(100_000))).unwrap();
    assert_eq!(page.forms()[0].submit().unwrap().entries().count(), 100_000);
}

#[test]
fn deep_nesting_is_refused() {
    refused(repeated("<div>"), "nests more than 512 elements");
    refused(repeated("<fieldset>"), "nests more than 512 elements");
    refused(format!("<svg>{}", repeated("<g>")), "nests more than 512 elements");
    refused(format!("<table>{}", repeated("<table><tr><td>")), "nests more than 512 elements");
    refused(repeated("<template>"), "nests more than 512 elements");
    assert!(read("<div>".repeat(500)).is_ok());
}

#[test]
fn a_tag_with_too_many_attributes_is_refused() {
    refused(format!("<input {}>", numbered(|n| format!("a{n} "))), "a tag with more than 1000 attributes");
    refused(format!("<input {}>", numbered(|n| format!("a{n}='x'"))), "a tag with more than 1000 attributes");
    refused(format!("<input {}>", numbered(|n| format!("a{n}/"))), "a tag with more than 1000 attributes");
    // Nor may they come one by one.
    refused(numbered(|n| format!("<html a{n}>")), "a tag with more than 1000 attributes");
    refused(numbered(|n| format!("<body a{n}=x>")), "a tag with more than 1000 attributes");
}

#[test]
fn long_values_and_texts_are_no_harm() {
    let long = repeated("a b/c='d' ");
    assert!(read(format!("<input value=\"{long}\">")).is_ok());
    assert!(read(format!("<!-- {long} -->")).is_ok());
    assert!(read(format!("<!-- {} -->", repeated("<a b=c d='e f'>"))).is_ok());
    assert!(read(format!("<script>if (a<b) {{ {long} }}</script>")).is_ok());
    assert!(read(format!("<textarea>{long}</textarea>")).is_ok());
    assert!(read(format!("<p>{long}")).is_ok());
    assert!(read(format!("<!doctype {long}>")).is_ok());
}

#[test]
fn formatting_that_is_opened_again_and_again_is_refused() {
    let open: String = (0..400).map(|n| format!("<b id=b{n}>")).collect();
    refused(format!("{open}{}", repeated("<p></p>x")), "cannot be parsed in good time");
}

#[test]
fn tags_that_make_the_parser_search_all_open_ones_are_refused() {
    let open: String = (0..500).map(|n| format!("<x{n}>")).collect();
    refused(format!("{open}{}", repeated("</y>")), "so misnested that it cannot be parsed in good time");
}

#[test]
fn misnested_markup_is_read_in_good_time() {
    for pattern in [
        "<a><div>",
        "<b><p></b>",
        "<table><a>",
        "<select><option>",
        "<form><table>",
        "</p>",
        "<p>",
        "<li>",
        "<i><table><td></i>",
        "<!--",
        "<a href=x",
        "<option selected>",
        "<input form=x id=x>",
        "&amp;&#x41;&",
        "<frameset>",
        "<noscript>",
        "<select><optgroup>",
        "<textarea>",
        "\0",
        "<svg><desc><p>",
    ] {
        if let Err(error) = read(repeated(pattern)) {
            assert!(error.is_page(), "{pattern}: {error}");
        }
    }
}

#[test]
fn options_of_a_huge_select_are_read_in_good_time() {
    let mut form =
        read(format!("<form><select name=s multiple>{}", "<option selected>1".repeat(100_000))).unwrap().forms()[0]
            .clone();
    assert_eq!(form.submit().unwrap().entries().count(), 100_000);
    let error = form.fill("s", "x").unwrap_err().to_string();
    assert!(error.ends_with("and 99980 more"), "{error}");
}

#[test]
fn a_page_that_is_too_large_is_refused() {
    refused(" ".repeat((10 << 20) + 1), "larger than 10485760 bytes (max_size)");
    let small = Parser::default().max_size(10).max_nodes(4);
    assert!(small.parse(&url(), &HeaderMap::new(), "x".repeat(11)).unwrap_err().is_page());
    assert!(small.parse(&url(), &HeaderMap::new(), "x".repeat(10)).is_ok());
    assert!(small.parse(&url(), &HeaderMap::new(), "<p><p>x").unwrap_err().is_page());
}
