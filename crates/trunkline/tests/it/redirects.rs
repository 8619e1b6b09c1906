//! Where redirects lead, what goes with them, and where they end (RFC 9110 section 15.4).

use std::time::Duration;

use http::{Method, StatusCode};
use trunkline::{RequestSent, Response, Session};

use crate::exchange::fed;
use crate::support::{Recorded, Rogue, Step};
use crate::{SOON, within};

/// A redirecting response with no body.
fn moved(status: u16, location: &str) -> Step {
    Step::send(format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"))
}

/// Redirects the first request to `location`, and answers all others with `there`.
async fn redirecting(status: u16, location: &str) -> Rogue {
    redirecting_by(moved(status, location)).await
}

async fn redirecting_by(answer: Step) -> Rogue {
    Rogue::start(move |connection| match connection {
        0 => [vec![Step::ReadHead, Step::ReadBody, answer.clone()], Step::serve("there")].concat(),
        _ => Step::serve("there"),
    })
    .await
}

async fn get(session: &Session, url: String) -> trunkline::Result<Response> {
    within(SOON, session.get(url).send()).await
}

#[tokio::test]
async fn method_body_and_what_describes_it_follow_the_status() {
    let all = [Method::GET, Method::POST, Method::HEAD, Method::PUT];
    for status in [301, 302, 303, 307, 308] {
        for method in &all {
            let becomes = match (status, method) {
                (301 | 302, &Method::POST) | (303, &Method::POST | &Method::PUT) => Method::GET,
                _ => method.clone(),
            };
            let with_body = [Method::POST, Method::PUT].contains(method);
            // A HEAD's answer has no body.
            let rogue = Rogue::start(vec![
                Step::ReadHead,
                Step::ReadBody,
                moved(status, "/there"),
                Step::ReadHead,
                Step::ReadBody,
                Step::ok(""),
                Step::Drain,
            ])
            .await;
            let session = Session::new();
            let mut request = session.request(method.clone(), rogue.url("/here")).header("x-kept", "yes");
            if with_body {
                request = request.header("content-type", "text/plain").header("content-language", "en").body("data");
            }
            let response = within(SOON, request.send()).await.unwrap();
            assert_eq!(response.url().path(), "/there");

            let what = format!("{status} {method}");
            let seen: [Recorded; 2] = rogue.requests().try_into().unwrap();
            assert_eq!(seen[0].line(), format!("{method} /here"));
            assert_eq!(seen[1].line(), format!("{becomes} /there"), "{what}");
            assert_eq!(seen[1].header("x-kept"), Some("yes"), "{what}");
            let kept = with_body && becomes == *method;
            assert_eq!(seen[1].body, if kept { b"data".as_slice() } else { b"" }, "{what}");
            for (name, value) in [("content-type", "text/plain"), ("content-language", "en"), ("content-length", "4")] {
                assert_eq!(seen[1].header(name), kept.then_some(value), "{what} {name}");
            }
        }
    }
}

#[tokio::test]
async fn a_length_set_by_hand_does_not_outlive_its_body() {
    let rogue = redirecting(303, "/there").await;
    let request = Session::new().put(rogue.url("/")).header("content-length", "4").body("data");
    assert_eq!(within(SOON, request.send()).await.unwrap().status(), StatusCode::OK);
    assert_eq!(rogue.requests()[1].header("content-length"), None);
}

/// What the target saw of the secrets that the first request carried.
async fn secrets_at(target: &Rogue, first: &Rogue) -> Vec<String> {
    let session = Session::builder().header("x-session", "s").header("cookie", "from=session").build().unwrap();
    let request = session
        .get(first.url("/"))
        .bearer_auth("token")
        .header("proxy-authorization", "Basic cHJveHk=")
        .header("cookie", "by=hand")
        .header("x-other", "kept");
    within(SOON, request.send()).await.unwrap();
    let seen = target.requests().pop().unwrap();
    assert_eq!((seen.header("x-other"), seen.header("x-session")), (Some("kept"), Some("s")));
    assert_eq!(seen.header("host"), Some(target.address().to_string().as_str()));
    let secrets = ["authorization", "proxy-authorization", "cookie"];
    secrets.into_iter().filter_map(|name| seen.header(name).map(str::to_owned)).collect()
}

#[tokio::test]
async fn secrets_stay_within_their_origin() {
    let same = redirecting(302, "/there").await;
    assert_eq!(secrets_at(&same, &same).await, ["Bearer token", "Basic cHJveHk=", "by=hand"]);

    let other = Rogue::start(Step::serve("there")).await;
    let first = redirecting(302, &other.url("/there")).await;
    assert_eq!(secrets_at(&other, &first).await, [""; 0]);
}

#[tokio::test]
async fn secrets_that_were_dropped_do_not_come_back_with_the_origin() {
    let back = Rogue::start(Step::serve("back")).await;
    let away = redirecting(302, &back.url("/back")).await;
    let first = redirecting(302, &away.url("/away")).await;
    assert_eq!(secrets_at(&back, &first).await, [""; 0]);
}

#[tokio::test]
async fn another_name_for_the_same_server_is_another_origin() {
    let rogue = Rogue::start(Step::serve("there")).await;
    let first = redirecting(307, &rogue.url_at("localhost", "/there")).await;
    let request = Session::new().get(first.url("/")).basic_auth("ann", "secret").header("host", "first.example");
    within(SOON, request.send()).await.unwrap();
    let seen = rogue.requests().pop().unwrap();
    assert_eq!(seen.header("authorization"), None);
    assert_eq!(seen.header("host"), Some(format!("localhost:{}", rogue.port()).as_str()));
}

#[tokio::test]
async fn credentials_of_the_address_stay_within_its_origin() {
    let with_credentials = |url: String| url.replace("http://", "http://ann:secret@");
    let same = redirecting(302, "/there").await;
    let response = get(&Session::new(), with_credentials(same.url("/"))).await.unwrap();
    assert_eq!(same.requests()[1].header("authorization"), Some("Basic YW5uOnNlY3JldA=="));
    assert!(!format!("{} {response:?}", response.url()).contains("secret"));

    let other = Rogue::start(Step::serve("there")).await;
    let first = redirecting(302, &other.url("/there")).await;
    get(&Session::new(), with_credentials(first.url("/"))).await.unwrap();
    assert_eq!(first.requests()[0].header("authorization"), Some("Basic YW5uOnNlY3JldA=="));
    assert_eq!(other.requests()[0].header("authorization"), None);

    // Nor may a stranger choose who we are elsewhere.
    let first = redirecting(302, &with_credentials(other.url("/there"))).await;
    get(&Session::new(), first.url("/")).await.unwrap();
    assert_eq!(other.requests()[1].header("authorization"), None);
    assert_eq!(other.requests()[1].path, "/there");
}

#[tokio::test]
async fn locations_are_resolved_as_browsers_do() {
    for (location, path) in [
        ("next", "/a/next"),
        ("./next", "/a/next"),
        ("../next", "/next"),
        ("../../../next", "/next"),
        ("/next?a=b&c", "/next?a=b&c"),
        ("?q=1", "/a/b?q=1"),
        ("", "/a/b?start"),
        ("/two words", "/two%20words"),
        ("/caf\u{e9}?\u{fc}", "/caf%C3%A9?%C3%BC"),
        ("/a%2Fb/%7e", "/a%2Fb/%7e"),
        ("\\back\\slash", "/back/slash"),
        (" \t/blanks ", "/blanks"),
        ("/next#part", "/next"),
    ] {
        let rogue = redirecting(302, location).await;
        let response = get(&Session::new(), rogue.url("/a/b?start")).await.unwrap();
        assert_eq!(rogue.requests()[1].path, path, "{location:?}");
        assert_eq!(response.text().await.unwrap(), "there", "{location:?}");
        assert_eq!(rogue.accepted(), 1, "{location:?}");
    }
}

#[tokio::test]
async fn a_location_may_leave_out_the_scheme() {
    let other = Rogue::start(Step::serve("there")).await;
    let rogue = redirecting(301, &format!("//{}/there", other.address())).await;
    assert_eq!(get(&Session::new(), rogue.url("/")).await.unwrap().url().as_str(), other.url("/there"));
}

#[tokio::test]
async fn the_fragment_is_inherited_and_never_sent() {
    for (location, fragment) in [("/there", Some("asked")), ("/there#own", Some("own")), ("/there#", Some(""))] {
        let rogue = redirecting(302, location).await;
        let response = get(&Session::new(), rogue.url("/here#asked")).await.unwrap();
        assert_eq!(response.url().fragment(), fragment, "{location}");
        let paths: Vec<_> = rogue.requests().into_iter().map(|request| request.path).collect();
        assert_eq!(paths, ["/here", "/there"]);
    }
}

#[tokio::test]
async fn what_is_no_redirect_is_returned_as_it_is() {
    for answer in [
        moved(300, "/there"),
        moved(304, "/there"),
        moved(305, "/there"),
        moved(201, "/there"),
        Step::respond(302, "no location"),
        Step::respond(308, ""),
    ] {
        let rogue = redirecting_by(answer.clone()).await;
        let response = get(&Session::new(), rogue.url("/")).await.unwrap();
        assert_eq!((response.history().len(), rogue.requests().len()), (0, 1), "{answer:?}");
        assert_ne!(response.status(), StatusCode::OK);
        within(SOON, response.bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn a_location_that_cannot_be_followed_is_an_error_that_says_why() {
    for (location, why) in [
        ("ftp://example.com/file", "ftp:"),
        ("file:///etc/passwd", "file:"),
        ("javascript:alert(1)", "javascript:"),
        ("data:text/plain,hello", "data:"),
        ("http://", "not an address"),
        ("http://[::1", "not an address"),
        ("https://exa mple.com/", "not an address"),
        ("http://example.com:99999/", "not an address"),
    ] {
        let rogue = redirecting(302, location).await;
        let error = get(&Session::new(), rogue.url("/here")).await.unwrap_err();
        assert!(error.is_redirect() && error.to_string().contains(why), "{location}: {error:?}");
        assert_eq!(error.request_sent(), RequestSent::Yes);
        assert_eq!(error.url().unwrap().as_str(), rogue.url("/here"));
        assert_eq!(rogue.requests().len(), 1);
    }
    let latin = b"HTTP/1.1 302 Found\r\nLocation: /caf\xe9\r\nContent-Length: 0\r\n\r\n";
    let rogue = redirecting_by(Step::send(latin)).await;
    assert!(get(&Session::new(), rogue.url("/")).await.unwrap_err().is_redirect());
}

#[tokio::test]
async fn loops_end_at_max_redirects() {
    let rogue = Rogue::start(vec![Step::Loop(vec![Step::ReadHead, moved(302, "/again?token=secret")])]).await;
    let error = get(&Session::new(), rogue.url("/")).await.unwrap_err();
    assert!(error.is_redirect(), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("10 redirects") && text.contains("max_redirects") && text.contains("/again"), "{text}");
    assert!(!text.contains("secret"), "{text}");
    assert_eq!((rogue.requests().len(), rogue.accepted()), (11, 1));

    let session = Session::builder().max_redirects(2).build().unwrap();
    get(&session, rogue.url("/")).await.unwrap_err();
    assert_eq!(rogue.requests().len(), 11 + 3);
    within(SOON, session.get(rogue.url("/")).max_redirects(1).send()).await.unwrap_err();
    assert_eq!(rogue.requests().len(), 11 + 3 + 2);
}

/// Redirects so many times, then answers.
async fn chain(hops: usize) -> Rogue {
    let hop = |to: usize| [Step::ReadHead, moved(302, &format!("/{to}"))];
    let steps = (1..=hops).flat_map(hop).chain(Step::serve("arrived")).collect::<Vec<_>>();
    Rogue::start(steps).await
}

#[tokio::test]
async fn as_many_as_max_redirects_are_followed_and_told() {
    let rogue = chain(10).await;
    let response = get(&Session::new(), rogue.url("/0")).await.unwrap();
    assert_eq!(response.url().path(), "/10");
    let history: Vec<_> = response.history().iter().map(|hop| (hop.status.as_u16(), hop.url.path())).collect();
    let expected: Vec<_> = (0..10).map(|hop| format!("/{hop}")).collect();
    assert_eq!(history, expected.iter().map(|path| (302, path.as_str())).collect::<Vec<_>>());
    assert_eq!(response.text().await.unwrap(), "arrived");

    let rogue = chain(11).await;
    assert!(get(&Session::new(), rogue.url("/0")).await.unwrap_err().is_redirect());
    let request = Session::new().get(rogue.url("/0")).max_redirects(11);
    assert!(within(SOON, request.send()).await.is_ok());
}

#[tokio::test]
async fn with_none_followed_the_redirect_itself_is_returned() {
    let rogue = redirecting(302, "/there").await;
    let session = Session::builder().max_redirects(0).error_for_status(true).build().unwrap();
    let response = get(&session, rogue.url("/")).await.unwrap();
    assert_eq!((response.status(), &response.headers()["location"]), (StatusCode::FOUND, &"/there".parse().unwrap()));
    let rogue = redirecting(302, "ftp://example.com/").await;
    assert_eq!(get(&session, rogue.url("/")).await.unwrap().status(), StatusCode::FOUND);
}

#[tokio::test]
async fn a_body_that_cannot_be_sent_twice_is_not_redirected_but_may_be_left_behind() {
    for status in [307, 308, 303, 302] {
        let rogue = redirecting(status, "/there").await;
        let (upload, body) = fed();
        upload.send(Ok("once".into())).unwrap();
        drop(upload);
        let outcome = within(SOON, Session::new().post(rogue.url("/")).body(body).send()).await;
        if status < 307 {
            assert_eq!(outcome.unwrap().text().await.unwrap(), "there");
            let seen = rogue.requests().pop().unwrap();
            assert_eq!((seen.method.as_str(), seen.header("transfer-encoding")), ("GET", None));
        } else {
            let error = outcome.unwrap_err();
            assert!(error.is_redirect() && error.to_string().contains("a second time"), "{error:?}");
            assert_eq!(error.request_sent(), RequestSent::Yes);
            assert_eq!(rogue.requests().len(), 1);
        }
        assert_eq!(rogue.requests()[0].body, b"once");
    }
}

#[tokio::test]
async fn a_redirect_whose_small_body_comes_late_leaves_its_connection_to_the_next_hop() {
    let rogue = Rogue::start(
        [
            vec![
                Step::ReadHead,
                Step::send("HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 5\r\n\r\n"),
                Step::pause_ms(30),
                Step::send("moved"),
            ],
            Step::serve("there"),
        ]
        .concat(),
    )
    .await;
    let session = Session::new();
    let response = get(&session, rogue.url("/")).await.unwrap();
    assert!(response.connection().reused);
    assert_eq!((rogue.accepted(), session.stats().created), (1, 1));
}

#[tokio::test]
async fn a_redirect_whose_body_is_long_or_never_ends_is_followed_on_another_connection() {
    let head = "HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 100000000\r\n\r\n";
    for rest in [Step::Hold, Step::Loop(vec![Step::send([b'x'; 4096])])] {
        let rogue = Rogue::start(move |connection| match connection {
            0 => vec![Step::ReadHead, Step::send(head), rest.clone()],
            _ => Step::serve("there"),
        })
        .await;
        let session = Session::builder().pool(trunkline::Pool::builder().limit(1).build().unwrap()).build().unwrap();
        let response = within(Duration::from_secs(5), session.get(rogue.url("/")).send()).await.unwrap();
        assert_eq!(response.text().await.unwrap(), "there");
        assert_eq!((rogue.requests()[1].connection, session.stats().created), (1, 2));
    }
}

#[tokio::test]
async fn an_error_on_the_way_names_the_hop_it_happened_at() {
    let rogue = chain(1).await;
    let first = redirecting(302, &rogue.url("/0")).await;
    let session = Session::builder().error_for_status(true).build().unwrap();
    let broken = Rogue::start(vec![Step::ReadHead, Step::Close]).await;
    let to_broken = redirecting(302, &broken.url("/broken?token=secret")).await;
    let error = get(&session, to_broken.url("/")).await.unwrap_err();
    assert_eq!(error.url().unwrap().as_str(), broken.url("/broken"));
    // The request that was redirected has been answered.
    assert_eq!(error.request_sent(), RequestSent::Yes);
    let response = get(&session, first.url("/")).await.unwrap();
    assert_eq!(
        response.history().iter().map(|hop| hop.url.port()).collect::<Vec<_>>(),
        [Some(first.port()), Some(rogue.port())]
    );
}
