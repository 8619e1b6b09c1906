//! The corpus, damaged at random: no panic, no hang, and each form that is still there can be sent
//! or is refused with an error.

use std::time::{Duration, Instant};

use trunkline_scrape::{Document, Error, Submitter, Upload};

use crate::support::cases;
use crate::support::pages::url;

const BITS: &[&str] = &[
    "<",
    ">",
    "\"",
    "'",
    "=",
    "&",
    "\0",
    "</form>",
    "<form>",
    "<table>",
    "<select>",
    "</select>",
    "<template>",
    "<fieldset disabled>",
    "<legend>",
    "<textarea>",
    "<script>",
    "<svg>",
    "<!--",
    "-->",
    "<base href=//x>",
    "<meta charset=utf-16>",
    "<meta charset=iso-2022-jp>",
    "\u{1b}$B",
    "<a>",
    "<b>",
    "<p>",
    "<option>",
    "form=f",
    "id=f",
    "type=range min=9 max=1 step=0",
    "value=1e308",
    "type=image",
    "size=99999999999",
    "wrap=hard cols=1",
    "&#x110000;",
    "<math>",
    "<frameset>",
    "<plaintext>",
    "<input type=date value=99999-99-99>",
    "accept-charset=x",
    "dirname=d dir=auto",
    "é",
    "\u{5d0}",
    "\r\n",
];

#[test]
fn no_damage_to_a_page_is_too_much() {
    let count = if std::env::var_os("TRUNKLINE_SOAK").is_some() { 10_000 } else { 500 };
    let (cases, pages) = (cases::all(), cases::pages());
    // Any other seed is as good; this one makes a failure come again.
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut sent = 0;
    for round in 0..count {
        let case = &cases[random.below(cases.len())];
        let mut html = case.html(&pages, 80);
        for _ in 0..=random.below(8) {
            damage(&mut html, &pages[&cases[random.below(cases.len())].page], &mut random);
        }
        let started = Instant::now();
        let headers = if random.below(2) == 0 { case.headers() } else { http::HeaderMap::new() };
        match Document::parse(&url(), &headers, &html) {
            Ok(document) => sent += use_all(&document),
            Err(error) => assert!(error.is_page(), "{error}"),
        }
        let took = started.elapsed();
        assert!(took < Duration::from_secs(20), "round {round}: {took:?} for {}", html.escape_ascii());
    }
    assert!(sent > count / 2, "only {sent} forms could be sent: the mutations are too wild to be of use");
}

/// The number of forms that could be sent.
fn use_all(document: &Document) -> usize {
    let mut sent = 0;
    for form in document.forms() {
        let mut form = form.clone();
        let names: Vec<_> = form.fields().map(|field| field.name().to_owned()).collect();
        for name in &names {
            check(form.fill(name, "x\ny").err());
            check(form.fill(name, true).err());
            check(form.fill(name, Upload::bytes("é\"", "x")).err());
        }
        let buttons = form.buttons().count();
        for submitter in (0..buttons).map(Submitter::Position).chain([Submitter::Default, Submitter::None]) {
            match form.submit_with(&submitter) {
                Ok(submission) => {
                    let request = submission.request(&trunkline::Session::new()).unwrap().build();
                    sent += usize::from(request.is_ok());
                }
                Err(error) => check(Some(error)),
            }
        }
    }
    sent
}

fn check(error: Option<Error>) {
    if let Some(error) = error {
        assert!(error.is_input() || error.is_form(), "{error}");
        assert!(!error.to_string().is_empty());
    }
}

fn damage(html: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let (from, to) = random.range(html.len());
    match random.below(6) {
        0 => drop(html.drain(from..to.min(from + 40))),
        1 => {
            let bit = BITS[random.below(BITS.len())];
            html.splice(from..from, bit.bytes());
        }
        2 => {
            let copy = html[from..to].to_vec();
            html.splice(from..from, copy);
        }
        3 => {
            let (start, end) = random.range(other.len());
            html.splice(from..from, other[start..end].iter().copied());
        }
        4 => {
            if let Some(byte) = html.get_mut(from) {
                *byte = random.below(256) as u8;
            }
        }
        _ => html.truncate(to),
    }
}

/// xorshift64*
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end.max(1)
    }

    fn range(&mut self, length: usize) -> (usize, usize) {
        let (one, other) = (self.below(length + 1), self.below(length + 1));
        (one.min(other), one.max(other))
    }
}
