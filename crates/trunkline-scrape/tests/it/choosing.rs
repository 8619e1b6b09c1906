//! Choice of a form of a page.

use http::HeaderMap;
use trunkline_scrape::{Document, FormChoice, Submitter};

use crate::support::pages::{form, parsed, url};

const PAGE: &str = r#"<form action=/search?token=x><input name=q></form>
    <div class=box><form id=login name=in action=/in method=post><input name=user><input type=password name=pass></form></div>
    <template><form id=never><input type=password name=pass></form></template>"#;

#[test]
fn a_form_is_chosen_in_five_ways() {
    let page = parsed(PAGE).unwrap();
    for choice in [
        FormChoice::default(),
        FormChoice::Id("login".into()),
        FormChoice::Name("in".into()),
        FormChoice::Position(1),
        FormChoice::Selector(".box > form:has(input[type=password])".into()),
    ] {
        assert_eq!(page.form(&choice).unwrap().id(), Some("login"), "{choice:?}");
    }
    assert_eq!(page.forms().len(), 2);
}

/// A form that creates an account or changes a password asks for it twice.
#[test]
fn a_form_to_log_in_with_asks_for_one_password() {
    let twice = "<form id=new><input type=password name=one><input type=password name=two></form>";
    let chosen = |html: &str| parsed(html).unwrap().form(&FormChoice::Password).unwrap().id().map(str::to_owned);
    let both = format!("{twice}<form id=in><input type=password name=pass></form>{twice}");
    assert_eq!(chosen(&both).as_deref(), Some("in"));
    assert_eq!(chosen(twice).as_deref(), Some("new"));
}

#[test]
fn a_form_that_is_not_there_is_told_with_those_that_are() {
    let page = parsed(PAGE).unwrap();
    for (choice, wanted) in [
        (FormChoice::Id("x\u{1b}".into()), r#"with the id "x\u{1b}""#),
        (FormChoice::Name("x".into()), r#"with the name "x""#),
        (FormChoice::Position(2), "number 2 (the first is 0)"),
        (FormChoice::Selector("#never".into()), r##"that "#never" finds"##),
    ] {
        let error = page.form(&choice).unwrap_err();
        let there = r#"it has 0: action="/search", 1: id="login" name="in" action="/in""#;
        assert_eq!(error.to_string(), format!("the page has no form {wanted}; {there}"));
        assert!(error.is_input());
    }
    let error = parsed("<p>x").unwrap().form(&FormChoice::Password).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the page has no form with a password field; it has no form at all (scripts are not run)"
    );
    let error = page.form(&FormChoice::Selector("form[".into())).unwrap_err();
    assert!(error.is_input() && error.to_string().starts_with(r#""form[" is no CSS selector, as "#), "{error}");
}

#[test]
fn a_button_that_is_not_there_is_told_with_those_that_are() {
    let form = form("<form><input name=a><button id=b name=go value=1>x</button><input type=image name=i></form>");
    for (submitter, wanted) in [
        (Submitter::Name("a".into()), r#"with the name "a""#),
        (Submitter::Value("go".into(), "2".into()), r#"with the name "go" and the value "2""#),
        (Submitter::Id("x".into()), r#"with the id "x""#),
        (Submitter::Position(2), "number 2 (the first is 0)"),
        (Submitter::Image("go".into(), 1, 1), r#"that is an image with the name "go""#),
    ] {
        let error = form.submit_with(&submitter).unwrap_err();
        let there = r#"it has "go" (submit) id="b" value="1", "i" (image) value="""#;
        assert_eq!(error.to_string(), format!("the form has no button {wanted} that submits; {there}"));
        assert!(error.is_input());
    }
}

#[test]
fn what_no_browser_would_send_is_an_error() {
    for (html, told) in [
        (
            "<form><button disabled name=go>x</button><button>y</button></form>",
            r#"the form's button "go" (submit) is disabled"#,
        ),
        ("<form method=dialog><button>x</button></form>", "the form's method is `dialog`"),
        ("<form><button formmethod=DIALOG>x</button></form>", "the form's method is `dialog`"),
        ("<form action=javascript:alert(1)></form>", "the form leads to javascript:"),
        ("<form action=mailto:ann@a.test></form>", "the form leads to mailto:"),
        ("<form action=http://[></form>", "the form's action is no address"),
        ("<form action='https:///'></form>", "the form's action is no address"),
    ] {
        let error = form(html).submit().unwrap_err();
        assert!(error.is_form() && error.to_string().starts_with(told), "{html}: {error}");
    }
    // Without the button it goes.
    assert!(form("<form><button disabled>x</button></form>").submit_with(&Submitter::None).is_ok());
}

#[test]
fn a_page_tells_what_a_selector_finds() {
    let page = parsed("<base href=/b/><p class=e>Please  enter\n a <b>cor</b>rect name</p><p class=e>2").unwrap();
    assert!(page.has("p.e + p").unwrap() && !page.has("p.f").unwrap());
    assert_eq!(page.text_of(".e").unwrap().as_deref(), Some("Please enter a correct name"));
    assert_eq!(page.text_of(".f").unwrap(), None);
    assert!(page.has("::x").unwrap_err().is_input());
    assert_eq!((page.base_url().as_str(), page.charset()), ("https://example.com/b/", "UTF-8"));
}

#[test]
fn a_late_meta_still_says_what_the_charset_is() {
    let filler = "x".repeat(100_000);
    let html = format!("<!--{filler}--><title>{filler}</title><p>{filler}<meta charset=utf-8><i id=word>ü</i>");
    let page = Document::parse(&url(), &HeaderMap::new(), html).unwrap();
    assert_eq!((page.charset(), page.text_of("#word").unwrap().as_deref()), ("UTF-8", Some("ü")));
}

#[test]
fn pages_and_forms_go_from_thread_to_thread() {
    fn everywhere<T: Send + Sync + 'static>(_: &T) {}
    let page = parsed(PAGE).unwrap();
    let form = page.form(&FormChoice::Password).unwrap();
    everywhere(&page);
    everywhere(&form);
    everywhere(&form.submit().unwrap());
}

#[test]
fn debug_shows_no_values() {
    let mut form = form("<form><input type=hidden name=token value=se-cret><input type=password name=pass></form>");
    form.fill("pass", "pass-word").unwrap();
    let submission = form.submit().unwrap();
    let shown = format!("{form:?} {submission:?} {:?}", form.fields().collect::<Vec<_>>());
    assert!(shown.contains("token"), "{shown}");
    for secret in ["se-cret", "pass-word"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
