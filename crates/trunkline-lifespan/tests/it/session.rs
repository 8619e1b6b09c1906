//! The session as a resource: tried out before the application serves, closed after its last
//! request.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use trunkline::Session;
use trunkline_lifespan::{Phase, session};

use crate::support::{run, serve, settings};

#[tokio::test]
async fn it_is_checked_shared_and_closed() {
    let served = serve(settings(), |_| Router::new().route("/", get(async || "hello"))).await;
    let address = format!("http://{}/", served.address);
    let mut kept = None;
    let ending = run(async |life| {
        let resource = session(Session::builder().base_url(&address)).probe("/");
        let session = life.open("session", resource).await?;
        assert_eq!(session.stats().created, 1, "the probe's");
        let text = session.get("/").await.unwrap().text().await.unwrap();
        assert_eq!(text, "hello");
        kept = Some(session);
        Ok(())
    })
    .await;
    assert!(ending.is_success(), "{ending}");
    let session = kept.unwrap();
    assert_eq!(session.stats().open, 0);
    assert!(session.get(&address).await.unwrap_err().is_closed());
    served.shutdown.begin();
    assert!(served.ending.await.unwrap().is_success());
}

#[tokio::test]
async fn if_its_probe_fails_it_is_closed_and_the_application_does_not_start() {
    let served = serve(settings(), |_| Router::new().route("/", get(async || StatusCode::FORBIDDEN))).await;
    let address = format!("http://{}/", served.address);
    let ending = run(async |life| {
        life.open("session", session(Session::builder()).probe(&address)).await?;
        Ok(())
    })
    .await;
    let [error] = ending.errors() else { panic!("{ending}") };
    assert_eq!(error.phase(), Phase::Check);
    assert_eq!(error.to_string(), format!("failed validation for \"session\": GET {address}: status 403 Forbidden"));
    assert!(error.get_ref().unwrap().downcast_ref::<trunkline::Error>().unwrap().is_status());
    assert_eq!(ending.steps()[0].name, "session");

    let ending = run(async |life| {
        life.open("session", session(Session::builder().base_url("no address"))).await?;
        Ok(())
    })
    .await;
    assert_eq!(ending.errors()[0].phase(), Phase::Acquire);
    served.shutdown.begin();
    assert!(served.ending.await.unwrap().is_success());
}
