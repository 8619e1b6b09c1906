//! Cookies on the wire: storage from responses, selection for each hop, ownership of the jar.

use std::net::{IpAddr, Ipv4Addr};

use http::StatusCode;
use serde_json::json;
use trunkline::{CookieJar, Pool, PoolBuilder, Resolve, Resolving, Session};
use url::Url;

use crate::support::{Httpbin, Rogue, Step, TestCa};
use crate::{SOON, within};

/// Resolves every name to 127.0.0.1.
struct LoopbackResolver;

impl Resolve for LoopbackResolver {
    fn resolve(&self, _: &str) -> Resolving {
        Box::pin(async { Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]) })
    }
}

fn pool() -> PoolBuilder {
    Pool::builder().resolver(LoopbackResolver)
}

fn session() -> Session {
    Session::builder().pool(pool().build().unwrap()).build().unwrap()
}

/// An empty response that sets these.
fn setting(status: &str, cookies: &[&str]) -> Step {
    let cookies: String = cookies.iter().map(|cookie| format!("Set-Cookie: {cookie}\r\n")).collect();
    Step::send(format!("HTTP/1.1 {status}\r\n{cookies}Content-Length: 0\r\n\r\n"))
}

/// Answers the requests of its only connection with these, one after the other, then with nothing
/// of interest.
async fn answering(answers: impl IntoIterator<Item = Step>) -> Rogue {
    let steps = answers.into_iter().flat_map(|answer| [Step::ReadHead, Step::ReadBody, answer]);
    Rogue::start(steps.chain(Step::serve("")).collect::<Vec<_>>()).await
}

async fn get(session: &Session, url: impl Into<String>) {
    within(SOON, session.get(url.into()).send()).await.unwrap().bytes().await.unwrap();
}

/// The `Cookie` of each request.
fn cookies(rogue: &Rogue) -> Vec<Option<String>> {
    rogue.requests().iter().map(|request| request.header("cookie").map(str::to_owned)).collect()
}

fn some(cookies: &str) -> Option<String> {
    Some(cookies.to_owned())
}

#[tokio::test]
async fn what_a_response_sets_goes_with_the_next_request() {
    let rogue = answering([
        setting("200 OK", &["a=1; Path=/", "b=2", "refused=x; Domain=com", "again=1; HttpOnly"]),
        setting("404 Not Found", &["b=; Max-Age=0", "again=2", "c=3; Path=/elsewhere"]),
    ])
    .await;
    let session = session();
    for path in ["/1", "/2", "/3", "/elsewhere/x"] {
        get(&session, rogue.url(path)).await;
    }
    let expected = [None, some("a=1; b=2; again=1"), some("a=1; again=2"), some("c=3; a=1; again=2")];
    assert_eq!(cookies(&rogue), expected);
    let again = session.cookies().get(&Url::parse(&rogue.url("/")).unwrap(), "again").unwrap();
    assert_eq!((again.value(), again.http_only(), session.cookies().len()), ("2".into(), false, 3));
    assert_eq!(rogue.accepted(), 1);
}

#[tokio::test]
async fn bytes_of_no_encoding_come_back_as_they_were() {
    let set = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=\xe4\xff%20\"q\"\r\nContent-Length: 0\r\n\r\n";
    let rogue = answering([Step::send(set)]).await;
    let session = session();
    get(&session, rogue.url("/")).await;
    let url = Url::parse(&rogue.url("/")).unwrap();
    assert_eq!(session.cookies().get(&url, "a").unwrap().value_bytes(), b"\xe4\xff%20\"q\"");
    get(&session, rogue.url("/")).await;
    // The log shows what is not UTF-8 as U+FFFD.
    assert_eq!(cookies(&rogue)[1], some("a=\u{fffd}\u{fffd}%20\"q\""));
}

/// Redirects first to `there`, and says so with these cookies.
fn moved(there: &str, cookies: &[&str]) -> Step {
    setting(&format!("302 Found\r\nLocation: {there}"), cookies)
}

#[tokio::test]
async fn each_hop_sets_and_is_sent_its_own() {
    let other = answering([setting("200 OK", &["theirs=2"])]).await;
    let there = other.url_at("b.test", "/there");
    let first = answering([moved("/in/here", &["all=1; Path=/", "in=1; Path=/in"]), moved(&there, &["late=1"])]).await;
    let session = session();
    let theirs = Url::parse(&there).unwrap();
    session.cookies().set(&theirs, "before=1").unwrap();

    get(&session, first.url_at("a.test", "/")).await;
    assert_eq!(cookies(&first), [None, some("in=1; all=1")]);
    assert_eq!(cookies(&other), [some("before=1")], "the first host's stay there");
    get(&session, first.url_at("a.test", "/in/")).await;
    get(&session, there).await;
    assert_eq!(cookies(&first)[2], some("in=1; late=1; all=1"));
    assert_eq!(cookies(&other)[1], some("before=1; theirs=2"));
}

#[tokio::test]
async fn the_cookies_of_one_hop_are_not_those_of_the_next() {
    // To another path of the same origin, with another port, and there and back again.
    let other = answering([]).await;
    let rogue = answering([moved("/out", &[]), moved(&other.url_at("a.test", "/in"), &[])]).await;
    let session = session();
    let url = |path: &str| Url::parse(&rogue.url_at("a.test", path)).unwrap();
    session.cookies().set(&url("/in/"), "in=1; Path=/in").unwrap();
    session.cookies().set(&url("/"), "all=1").unwrap();
    get(&session, url("/in")).await;
    assert_eq!(cookies(&rogue), [some("in=1; all=1"), some("all=1")]);
    assert_eq!(cookies(&other), [some("in=1; all=1")], "a port makes no other host");
}

#[tokio::test]
async fn a_cookie_set_by_hand_precedes_the_jars_within_its_origin() {
    let other = answering([]).await;
    let rogue = answering([moved("/2", &["new=1"]), moved(&other.url_at("a.test", "/"), &[])]).await;
    let session = session();
    let url = Url::parse(&rogue.url_at("a.test", "/")).unwrap();
    session.cookies().set(&url, "name=jar").unwrap();
    session.cookies().set(&url, "more=jar").unwrap();
    let request = session.get(url).header("cookie", "name=hand; x=y").header("cookie", "z");
    within(SOON, request.send()).await.unwrap();
    let expected = [some("name=hand; x=y; z; more=jar"), some("name=hand; x=y; z; more=jar; new=1")];
    assert_eq!(cookies(&rogue), expected);
    assert_eq!(cookies(&other), [some("name=jar; more=jar; new=1")], "of the other origin the jar knows more");
    let one = rogue.requests()[1].headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("cookie")).count();
    assert_eq!(one, 1, "they go in one header");
}

#[tokio::test]
async fn what_is_not_followed_is_kept_all_the_same() {
    let session = session();
    let rogue = answering([moved("/next", &["a=1"]), moved("/next", &["b=1"]), moved("ftp://x/", &["c=1"])]).await;
    let unfollowed = session.get(rogue.url("/")).max_redirects(0);
    assert_eq!(within(SOON, unfollowed.send()).await.unwrap().status(), StatusCode::FOUND);
    within(SOON, session.get(rogue.url("/")).max_redirects(0).error_for_status(true).send()).await.unwrap();
    within(SOON, session.get(rogue.url("/")).send()).await.unwrap_err();
    get(&session, rogue.url("/")).await;
    assert_eq!(cookies(&rogue)[3], some("a=1; b=1; c=1"));

    let failing = answering([setting("500 Oh", &["d=1"])]).await;
    within(SOON, session.get(failing.url("/")).error_for_status(true).send()).await.unwrap_err();
    get(&session, failing.url("/")).await;
    assert_eq!(cookies(&failing)[1], some("a=1; b=1; c=1; d=1"));
}

#[tokio::test]
async fn sessions_on_one_pool_share_cookies_only_through_a_jar() {
    let pool = pool().build().unwrap();
    let make = |jar: Option<CookieJar>| {
        let builder = Session::builder().pool(pool.clone());
        jar.into_iter().fold(builder, |builder, jar| builder.cookie_jar(jar)).build().unwrap()
    };
    let (ann, bob) = (make(None), make(None));
    let (third, fourth) = (make(Some(ann.cookies().clone())), make(Some(CookieJar::disabled())));
    let who = |name: &str| setting("200 OK", &[&format!("who={name}; Path=/")]);
    let rogue = answering([who("ann"), who("bob"), who("third"), who("fourth")]).await;
    for session in [&ann, &bob, &third, &fourth, &ann, &bob, &fourth] {
        get(session, rogue.url("/")).await;
    }
    let expected = [None, None, some("who=ann"), None, some("who=third"), some("who=bob"), None];
    assert_eq!(cookies(&rogue), expected);
    assert_eq!((rogue.accepted(), fourth.cookies().len()), (1, 0));

    // A `Cookie` header set by hand is sent unchanged.
    within(SOON, fourth.get(rogue.url("/")).header("cookie", "by=hand").send()).await.unwrap();
    assert_eq!(cookies(&rogue)[7], some("by=hand"));
    let refused = fourth.cookies().set(&Url::parse("http://a.test/").unwrap(), "a=b").unwrap_err();
    assert!(refused.is_input() && refused.to_string().contains("keeps no cookies"), "{refused}");
}

#[tokio::test]
async fn secure_cookies_go_over_tls_alone() {
    let ca = TestCa::new();
    let set = setting("200 OK", &["s=1; Secure; Domain=a.test", "__Host-h=1; Secure; Path=/", "plain=1"]);
    let steps = [vec![Step::ReadHead, set], Step::serve("")].concat();
    let tls = Rogue::builder().identity(ca.server_cert(&["a.test", "www.a.test"])).start(steps).await;
    let spoof = setting("200 OK", &["s=stolen; Domain=a.test", "new=1; Secure", "own=1"]);
    let plain = answering([spoof]).await;
    let pool = pool().add_root_certificate(ca.pem()).build().unwrap();
    let session = Session::builder().pool(pool).build().unwrap();

    get(&session, tls.url_at("a.test", "/")).await;
    get(&session, plain.url_at("a.test", "/")).await;
    get(&session, plain.url_at("a.test", "/")).await;
    get(&session, tls.url_at("a.test", "/")).await;
    assert_eq!(cookies(&plain), [some("plain=1"), some("plain=1; own=1")]);
    assert_eq!(cookies(&tls), [None, some("s=1; __Host-h=1; plain=1; own=1")]);
}

#[tokio::test]
async fn httpbin_sees_what_it_has_set() {
    let httpbin = Httpbin::shared().await;
    let session = Session::new();
    // It answers with a redirect to /cookies.
    let set = session.get(httpbin.url("/cookies/set?theme=dark&lang=en"));
    let seen: serde_json::Value = within(SOON, set.send()).await.unwrap().json().await.unwrap();
    assert_eq!(seen, json!({"cookies": {"theme": "dark", "lang": "en"}}));
    let delete = session.get(httpbin.url("/cookies/delete?theme"));
    let seen: serde_json::Value = within(SOON, delete.send()).await.unwrap().json().await.unwrap();
    assert_eq!(seen, json!({"cookies": {"lang": "en"}}));
    assert_eq!(session.cookies().all()[0].value(), "en");
}

#[tokio::test]
async fn many_requests_at_once_share_one_jar() {
    let count = crate::soak(2_000, 200);
    let rogue = Rogue::start(vec![Step::Loop(vec![
        Step::ReadHead,
        setting("200 OK", &["a=1; Path=/", "b=2; Path=/", "c=; Max-Age=0"]),
    ])])
    .await;
    let session = session();
    get(&session, rogue.url("/")).await;
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..count {
        let (session, url) = (session.clone(), rogue.url("/"));
        crowd.spawn(async move { session.get(url).await.unwrap().bytes().await.unwrap() });
    }
    within(SOON * 6, crowd.join_all()).await;
    let sent = cookies(&rogue);
    assert_eq!(sent.len(), count + 1);
    assert!(sent[1..].iter().all(|sent| *sent == some("a=1; b=2")));
}

#[tokio::test]
async fn no_value_of_a_cookie_is_ever_shown() {
    let session = session();
    let url = Url::parse("https://ann:pass-word@a.test/?token=se-cret").unwrap();
    session.cookies().set(&url, "name=se-cret; Path=/").unwrap();
    session.cookies().set(&url, "se-cret").unwrap();
    let mut shown = format!("{session:?} {:?} {:?}", session.cookies(), session.cookies().all());
    for refused in ["a=se-cret; Domain=test", "se-cret\u{1}", "se-cret; Domain=b.test", "__Host-x=se-cret"] {
        let error = session.cookies().set(&url, refused).unwrap_err();
        assert!(error.is_input(), "{error:?}");
        shown += &format!("{error} {error:?}");
    }
    assert!(shown.contains("name") && shown.contains("a.test") && shown.contains("len: 2"), "{shown}");
    assert!(!shown.contains("se-cret") && !shown.contains("pass-word"), "{shown}");
}
