//! Redirect policies: follow, stop or refuse each hop, per session or per request.

use std::sync::{Arc, Mutex};

use http::{Method, StatusCode};
use trunkline::{Pool, RedirectAction, RequestSent, Session};

use crate::exchange::fed;
use crate::support::{Rogue, Step};
use crate::{SOON, within};

fn moved(status: u16, location: &str) -> Vec<Step> {
    let head = format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 5\r\n\r\nmoved");
    vec![Step::ReadHead, Step::ReadBody, Step::send(head)]
}

/// Redirects once, to that place, then answers.
async fn redirecting(status: u16, location: &str) -> Rogue {
    Rogue::start([moved(status, location), Step::serve("there")].concat()).await
}

/// Redirects for ever, from each path to the next number.
async fn endless() -> Rogue {
    Rogue::start((1..100).flat_map(|hop| moved(302, &format!("/{hop}"))).collect::<Vec<_>>()).await
}

#[tokio::test]
async fn a_policy_sees_each_hop_before_it_is_followed() {
    let far = Rogue::start(Step::serve("far")).await;
    let rogue = Rogue::start([moved(308, "/second?q"), moved(303, &far.url("/far#part"))].concat()).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = seen.clone();
    let session = Session::builder()
        .redirect_policy(move |hop| {
            let history: Vec<_> = hop.history().iter().map(|hop| (hop.status.as_u16(), hop.url.to_string())).collect();
            let (from, to) = (hop.from().to_string(), hop.url().to_string());
            let hop = (hop.status().as_u16(), from, hop.method().clone(), to, hop.is_cross_origin());
            notes.lock().unwrap().push((hop, history));
            RedirectAction::Follow
        })
        .build()
        .unwrap();
    let response = within(SOON, session.post(rogue.url("/first")).body("data").send()).await.unwrap();
    assert_eq!(response.url().as_str(), far.url("/far#part"));
    let (first, second) = (rogue.url("/first"), rogue.url("/second?q"));
    let hops = [
        ((308, first.clone(), Method::POST, second.clone(), false), vec![]),
        ((303, second, Method::GET, far.url("/far#part"), true), vec![(308, first)]),
    ];
    assert_eq!(*seen.lock().unwrap(), hops);
}

#[tokio::test]
async fn where_a_policy_stops_the_redirecting_response_is_returned() {
    let rogue = endless().await;
    let session = Session::builder()
        .error_for_status(true)
        .redirect_policy(|hop| if hop.history().len() == 2 { RedirectAction::Stop } else { RedirectAction::Follow })
        .build()
        .unwrap();
    let response = within(SOON, session.get(rogue.url("/0")).send()).await.unwrap();
    assert_eq!((response.status(), response.url().path()), (StatusCode::FOUND, "/2"));
    assert_eq!((response.history().len(), &response.headers()["location"]), (2, &"/3".parse().unwrap()));
    assert_eq!(response.text().await.unwrap(), "moved");
    assert_eq!((rogue.requests().len(), session.stats().idle), (3, 1));
}

#[tokio::test]
async fn a_policy_can_stop_at_what_could_not_be_followed() {
    let stopping = Session::builder().redirect_policy(|_| RedirectAction::Stop).build().unwrap();
    let app = redirecting(302, "myapp://callback?code=secret").await;
    let response = within(SOON, stopping.get(app.url("/")).send()).await.unwrap();
    assert_eq!(response.headers()["location"], "myapp://callback?code=secret");

    let rogue = redirecting(307, "/there").await;
    let (upload, body) = fed();
    upload.send(Ok("once".into())).unwrap();
    drop(upload);
    let response = within(SOON, stopping.put(rogue.url("/")).body(body).send()).await.unwrap();
    assert_eq!(response.status(), StatusCode::TEMPORARY_REDIRECT);

    let following = Session::builder().redirect_policy(|_| RedirectAction::Follow).build().unwrap();
    let app = redirecting(302, "myapp://callback?code=secret").await;
    let error = within(SOON, following.get(app.url("/")).send()).await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(error.is_redirect() && text.contains("leads to myapp:") && !text.contains("secret"), "{text}");
}

#[tokio::test]
async fn what_a_policy_refuses_is_an_error_that_says_why() {
    let away = "http://ann:pass-word@internal.example/admin?token=se-cret";
    let rogue = redirecting(302, away).await;
    let session = Session::builder()
        .redirect_policy(|hop| match hop.is_cross_origin() {
            true => RedirectAction::refuse("it leaves the house"),
            false => RedirectAction::Follow,
        })
        .build()
        .unwrap();
    let error = within(SOON, session.get(rogue.url("/here?x")).send()).await.unwrap_err();
    assert!(error.is_redirect() && error.request_sent() == RequestSent::Yes, "{error:?}");
    let told = "redirect not followed: the redirect policy refuses http://internal.example/admin: it leaves the house";
    assert_eq!(error.to_string(), format!("GET {}: {told}", rogue.url("/here")));
    for secret in ["ann", "pass-word", "se-cret"] {
        assert!(!format!("{error:?}").contains(secret), "{error:?}");
    }
    assert_eq!((rogue.requests().len(), rogue.accepted()), (1, 1));
}

#[tokio::test]
async fn what_a_policy_is_shown_can_be_logged_without_secrets() {
    let shown = Arc::new(Mutex::new(String::new()));
    let note = shown.clone();
    let rogue = redirecting(302, "http://ann:pass-word@other.example/?token=se-cret").await;
    let request = Session::new().get(rogue.url("/here?mine")).redirect_policy(move |hop| {
        *note.lock().unwrap() = format!("{hop:?}");
        RedirectAction::Stop
    });
    within(SOON, request.send()).await.unwrap();
    let shown = shown.lock().unwrap();
    assert!(shown.contains("302") && shown.contains("http://other.example/"), "{shown}");
    for secret in ["mine", "ann", "pass-word", "se-cret"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn max_redirects_holds_with_a_policy_and_zero_skips_it() {
    let asked = Arc::new(Mutex::new(0));
    let count = asked.clone();
    let session = Session::builder()
        .max_redirects(2)
        .redirect_policy(move |_| {
            *count.lock().unwrap() += 1;
            RedirectAction::Follow
        })
        .build()
        .unwrap();
    let rogue = endless().await;
    let error = within(SOON, session.get(rogue.url("/")).send()).await.unwrap_err();
    assert!(error.is_redirect() && error.to_string().contains("max_redirects"), "{error}");
    assert_eq!((rogue.requests().len(), *asked.lock().unwrap()), (3, 3));
    let response = within(SOON, session.get(rogue.url("/")).max_redirects(0).send()).await.unwrap();
    assert_eq!((response.status(), *asked.lock().unwrap()), (StatusCode::FOUND, 3));
}

#[tokio::test]
async fn a_request_s_own_policy_takes_the_place_of_the_session_s() {
    let session = Session::builder().redirect_policy(|_| RedirectAction::refuse("never")).build().unwrap();
    let rogue = redirecting(302, "/there").await;
    let request = session.get(rogue.url("/")).redirect_policy(|_| RedirectAction::Follow);
    assert_eq!(within(SOON, request.send()).await.unwrap().text().await.unwrap(), "there");
    let rogue = redirecting(302, "/there").await;
    let error = within(SOON, session.get(rogue.url("/")).send()).await.unwrap_err();
    assert!(error.to_string().ends_with("never"), "{error}");
}

#[tokio::test]
async fn a_policy_that_panics_takes_its_request_along_and_no_slot() {
    let pool = Pool::builder().limit(1).build().unwrap();
    let session = Session::builder().pool(pool).redirect_policy(|_| panic!("a fault of the policy")).build().unwrap();
    let rogue = Rogue::start(move |connection| match connection {
        0 => moved(302, "/there"),
        _ => Step::serve("fine"),
    })
    .await;
    let panicked = within(SOON, tokio::spawn(session.get(rogue.url("/")).send())).await.unwrap_err();
    assert!(panicked.is_panic());
    let response = within(SOON, session.get(rogue.url("/")).send()).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "fine");
}
