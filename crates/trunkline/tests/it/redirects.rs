//! Redirects: targets, forwarded headers and bodies, and limits (RFC 9110 section 15.4).

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::StatusCode;
use trunkline::{RequestSent, Response, Session};

use crate::exchange::fed;
use crate::support::{Rogue, Step};
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
async fn a_length_set_by_hand_does_not_outlive_its_body() {
    let rogue = redirecting(303, "/there").await;
    let request = Session::new().put(rogue.url("/")).header("content-length", "4").body("data");
    assert_eq!(within(SOON, request.send()).await.unwrap().status(), StatusCode::OK);
    assert_eq!(rogue.requests()[1].header("content-length"), None);
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

#[tokio::test]
async fn a_loop_of_two_servers_ends_as_well() {
    let own = Arc::new(OnceLock::<String>::new());
    let here = own.clone();
    let away = Rogue::start(move |_| vec![Step::Loop(vec![Step::ReadHead, moved(302, here.get().unwrap())])]).await;
    let there = away.url("/there");
    let rogue = Rogue::start(move |_| vec![Step::Loop(vec![Step::ReadHead, moved(307, &there)])]).await;
    own.set(rogue.url("/here")).unwrap();
    assert!(get(&Session::new(), rogue.url("/here")).await.unwrap_err().is_redirect());
    assert_eq!((rogue.requests().len(), away.requests().len()), (6, 5));
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
async fn a_one_shot_body_is_not_redirected_but_may_be_dropped() {
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
async fn a_late_small_redirect_body_frees_its_connection_for_the_hop() {
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
async fn a_long_or_endless_redirect_body_moves_to_a_new_connection() {
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
