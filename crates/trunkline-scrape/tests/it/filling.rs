//! Values into fields: what goes, and what is told of what does not.

use trunkline_scrape::{Upload, Value};

use crate::support::pages::form;

const FORM: &str = r#"<form><input type=hidden name=token value=t><input name=user><input type=password name=pass>
    <input type=number name=age><input type=date name=day><input name=two><input name=two><input name=off disabled>
    <select name=land><option value=de>Germany<option value=fr>France<option disabled value=xx>Nowhere</select>
    <select name=many multiple><option>1<option>2</select>
    <input type=checkbox name=one><input type=checkbox name=box value=a><input type=checkbox name=box value=b>
    <input type=radio name=size value=S checked><input type=radio name=size value=L>
    <input type=file name=file><textarea name=text></textarea><button name=go value=1>x</button></form>"#;

fn refused(name: &str, value: impl Into<Value>) -> String {
    let error = form(FORM).fill(name, value).unwrap_err();
    assert!(error.is_input());
    error.to_string()
}

#[test]
fn a_field_that_is_not_there_is_told_with_those_that_are() {
    let there = [
        r#"it has "token" (hidden), "user" (text), "pass" (password), "age" (number), "day" (date), "two" (text), "two" (text)"#,
        r#""off" (text), "land" (select), "many" (select multiple), "one" (checkbox), "box" (checkbox), "box" (checkbox)"#,
        r#""size" (radio), "size" (radio), "file" (file), "text" (textarea)"#,
    ]
    .join(", ");
    assert_eq!(refused("usr", "ann"), format!(r#"the form has no field "usr"; {there}"#));
    assert_eq!(refused("", "ann"), format!(r#"the form has no field ""; {there}"#));
    // A button is pressed, not filled in.
    assert_eq!(refused("go", "1"), format!(r#"the form has no field "go"; {there}"#));
    let many: String = (0..50).map(|n| format!("<input name=n{n}>")).collect();
    let error = form(&format!("<form>{many}</form>")).fill("x", "y").unwrap_err().to_string();
    assert!(error.ends_with(r#""n19" (text), and 30 more"#), "{error}");
    assert_eq!(
        form("<form></form>").fill("x", "y").unwrap_err().to_string(),
        r#"the form has no field "x"; it has none"#
    );
}

#[test]
fn a_refused_value_is_reported_with_the_accepted_ones() {
    assert_eq!(refused("land", "it"), r#""it" is no option of "land", which has "de" (Germany), "fr" (France)"#);
    assert_eq!(refused("land", "xx"), r#""xx" is no option of "land", which has "de" (Germany), "fr" (France)"#);
    assert_eq!(refused("many", ["1", "3"]), r#""3" is no option of "many", which has "1", "2""#);
    assert_eq!(refused("box", ["c"]), r#""c" is no choice of "box", which has "a", "b""#);
    assert_eq!(
        refused("box", true),
        r#"the field "box" has several checkboxes: name the values of those to be checked, of "a", "b""#
    );
    assert_eq!(refused("size", "M"), r#""M" is no choice of "size", which has "S", "L""#);
    assert_eq!(refused("size", ["S", "L"]), r#"of the radio buttons "size" one is chosen, of "S", "L""#);
    assert_eq!(refused("size", true), r#"the field "size" is no checkbox, which could be true, but radio"#);
    assert_eq!(refused("user", false), r#"the field "user" is no checkbox, which could be false, but text"#);
    assert_eq!(refused("two", ["1", "2", "3"]), r#"3 values for the field "two", of which the form has 2"#);
    assert_eq!(refused("off", "x"), r#"the field "off" is disabled: what it holds is not sent"#);
    assert_eq!(refused("file", "/etc/passwd"), r#"the field "file" holds no text: it is of the type file"#);
    assert_eq!(refused("user", Upload::bytes("a", "b")), r#"the field "user" takes no file: it is of the type text"#);
    assert_eq!(refused("file", vec![Upload::bytes("a", "b"); 2]), r#"the field "file" takes one file, not 2"#);
}

#[test]
fn a_free_text_is_never_told() {
    for (name, value) in [("age", "se-cret"), ("day", "23.11.2026 se-cret")] {
        let told = refused(name, value);
        assert!(!told.contains("se-cret"), "{told}");
        assert!(told.contains("does not hold such a value"), "{told}");
    }
}

#[test]
fn a_value_that_is_refused_changes_nothing() {
    let mut form = form(FORM);
    form.fill("many", ["1"]).unwrap().fill("size", "L").unwrap();
    let before: Vec<_> = form.submit().unwrap().entries().map(|(name, value)| format!("{name}={value}")).collect();
    for (name, value) in [("many", ["2", "3"]), ("box", ["a", "c"])] {
        assert!(form.fill(name, value).is_err());
    }
    assert!(form.fill("two", ["1", "2", "3"]).is_err());
    let after: Vec<_> = form.submit().unwrap().entries().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(before, after);
}

#[test]
fn what_is_filled_in_is_what_a_field_has() {
    let mut form = form(FORM);
    form.fill("user", "a\nb").unwrap().fill("many", ["2"]).unwrap().fill("two", "first").unwrap();
    form.fill("file", Upload::bytes("a.txt", "x")).unwrap().fill("token", "new").unwrap();
    form.fill("many", Vec::<String>::new()).unwrap().fill("age", "").unwrap();
    let values = |name: &str| {
        let fields = form.fields().filter(|field| field.name() == name);
        fields.flat_map(|field| field.values()).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(values("user"), ["ab"]);
    assert_eq!(values("two"), ["first", ""]);
    assert_eq!(values("many"), Vec::<String>::new());
    assert_eq!(values("file"), ["a.txt"]);
    assert_eq!(values("token"), ["new"]);
    let land = form.fields().find(|field| field.name() == "land").unwrap();
    assert_eq!((land.options(), land.kind(), land.is_disabled()), (vec!["de", "fr"], "select", false));
}
