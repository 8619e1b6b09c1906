//! Over a session: what redirects do to it, files in charsets of old, pages read from a response.

use http::HeaderMap;
use trunkline::{Body, Session};
use trunkline_scrape::{Document, FormChoice, Parser, Upload};
use url::Url;

use crate::support::recorder::Recorder;

const LEGACY: &str = "<form action=/to method=post enctype=multipart/form-data accept-charset=windows-1252><input type=file name=f></form>";

#[tokio::test]
async fn a_page_is_read_from_a_response_up_to_the_limit() {
    let (recorder, session) = (Recorder::start().await, Session::new());
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "text/html; charset=utf-8".parse().unwrap());
    recorder.show("/page", headers, format!("<form id=ü></form>{}", " ".repeat(1 << 20)).into_bytes());
    let url = format!("http://127.0.0.1:{}/page", recorder.port);
    let page = Document::read(session.get(&url).await.unwrap()).await.unwrap();
    assert_eq!((page.url().as_str(), page.forms()[0].id()), (url.as_str(), Some("ü")));
    let error = Parser::default().max_size(1000).read(session.get(&url).await.unwrap()).await.unwrap_err();
    assert!(error.is_page(), "{error}");
    session.close().await;
}

#[tokio::test]
async fn what_the_session_says_is_told() {
    let session = Session::new();
    session.close().await;
    let error = trunkline_scrape::Error::from(session.get("http://127.0.0.1:9/").await.unwrap_err());
    assert!(error.http().is_some_and(trunkline::Error::is_closed) && !error.is_page());
}

#[tokio::test]
async fn a_file_made_anew_is_sent_twice_in_a_charset_of_old() {
    let (mut recorder, session) = (Recorder::start().await, Session::new());
    let url = Url::parse(&format!("http://127.0.0.1:{}/page", recorder.port)).unwrap();
    let page = Document::parse(&url, &HeaderMap::new(), LEGACY).unwrap();
    let mut form = page.form(&FormChoice::Position(0)).unwrap();
    form.fill("f", Upload::new("ü€Ж.txt", || Body::from("made"))).unwrap();
    let submission = form.submit().unwrap();
    let sent = submission.request(&session).unwrap().build().unwrap();
    assert!(sent.body().is_replayable());
    for _ in 0..2 {
        submission.request(&session).unwrap().await.unwrap().bytes().await.unwrap();
    }
    let (first, second) = (recorder.next().await, recorder.next().await);
    assert_eq!(first, second);
    let shown = format!("{first:?}");
    assert!(shown.contains(r#"filename=\"\xfc\x80&#1046;.txt\""#) && shown.contains("made"), "{shown}");
    session.close().await;
}

#[test]
fn referer_and_origin_stay_where_they_belong() {
    let session = Session::new();
    let url = Url::parse("https://example.com/login?next=x#top").unwrap();
    let page = Document::parse(&url, &HeaderMap::new(), "<form method=post></form>").unwrap();
    let request = page.forms()[0].submit().unwrap().request(&session).unwrap().build().unwrap();
    assert_eq!(request.headers()["referer"], "https://example.com/login?next=x");
    assert_eq!(request.headers()["origin"], "https://example.com");
    // A redirect to another origin takes none of them along.
    assert!(["referer", "origin"].iter().all(|name| request.headers()[*name].is_sensitive()));
}
