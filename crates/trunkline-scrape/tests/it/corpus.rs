//! Every case of the corpus, sent by Chromium and by us: the requests are the same to the byte.

use trunkline::Session;
use trunkline_scrape::{Document, FormChoice, Submitter, Upload, Value};
use url::Url;

use crate::support::cases::{self, Case, Given};
use crate::support::chromium::Chromium;
use crate::support::recorder::Recorder;
use crate::support::temp_dir::TempDir;

#[tokio::test]
async fn forms_are_sent_as_chromium_sends_them() {
    let (cases, pages) = (cases::all(), cases::pages());
    let folder = files(&cases);
    let chromium = Chromium::start().await;
    println!("compared with {}", chromium.version().await);
    let session = Session::new();
    let mut recorder = Recorder::start().await;
    let mut differing = Vec::new();
    for case in &cases {
        let url = format!("http://127.0.0.1:{}{}", recorder.port, case.path);
        let html = case.html(&pages, recorder.port);
        recorder.show(&case.path, case.headers(), html.clone());
        chromium.send(&url, case, folder.path()).await;
        let expected = recorder.next().await;
        ours(&session, &url, case, &html, folder.path()).await;
        let sent = recorder.next().await;
        recorder.assert_silent();
        let same = expected == sent;
        println!("{} {} ({}.html)", if same { "same  " } else { "DIFFER" }, case.rule, case.page);
        if !same {
            differing
                .push(format!("{} ({}.html)\n  Chromium: {expected:?}\n  we:       {sent:?}", case.rule, case.page));
        }
    }
    chromium.quit().await;
    session.close().await;
    assert!(differing.is_empty(), "{} of {} differ:\n{}", differing.len(), cases.len(), differing.join("\n"));
}

/// Each page is of some use, and there are enough of them.
#[test]
fn each_page_of_the_corpus_is_used() {
    let (cases, mut pages) = (cases::all(), cases::pages());
    assert!(pages.len() >= 60, "{} pages", pages.len());
    for case in &cases {
        pages.remove(&case.page);
    }
    assert_eq!(pages.keys().collect::<Vec<_>>(), Vec::<&String>::new(), "these belong to no case");
}

async fn ours(session: &Session, url: &str, case: &Case, html: &[u8], folder: &std::path::Path) {
    let document = Document::parse(&Url::parse(url).unwrap(), &case.headers(), html).unwrap();
    let mut form = document.form(&FormChoice::Selector(case.form.clone())).unwrap();
    for (name, files) in &case.files {
        let uploads = files.iter().map(|file| Upload::file(folder.join(file)).content_type("text/plain"));
        form.fill(name, uploads.collect::<Vec<_>>()).unwrap();
    }
    for (name, given) in &case.fill {
        let value = match given.clone() {
            Given::Tick(on) => Value::from(on),
            Given::Text(text) => Value::from(text),
            Given::Texts(texts) => Value::from(texts),
        };
        form.fill(name, value).unwrap();
    }
    let submitter = match (case.press.as_str(), case.at) {
        ("none", _) => Submitter::None,
        ("enter", _) => Submitter::Default,
        (id, None) => Submitter::Id(id.to_owned()),
        (_, Some((x, y))) => Submitter::Image("map".to_owned(), x, y),
    };
    let answer = form.submit_with(&submitter).unwrap().request(session).unwrap().await.unwrap();
    answer.bytes().await.unwrap();
}

/// The files that the cases send, each with something in it.
fn files(cases: &[Case]) -> TempDir {
    let folder = TempDir::new();
    for name in cases.iter().flat_map(|case| &case.files).flat_map(|(_, names)| names) {
        std::fs::write(folder.path().join(name), format!("this is {name}\n\r\x00\u{e4}\n")).unwrap();
    }
    folder
}
