//! The session as a resource: probed before the application serves, closed after its last request.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use trunkline::Session;
use trunkline_lifespan::{Phase, session};

use crate::support::{chain, run, serve, settings};

#[tokio::test]
async fn it_is_checked_shared_and_closed() {
    let served = serve(settings(), |_| Router::new().route("/", get(async || "hello"))).await;
    let address = format!("http://{}/", served.address);
    let mut kept = None;
    let report = run(async |app| {
        let resource = session(Session::builder().base_url(&address)).probe("/");
        let session = app.open("session", resource).await?;
        assert_eq!(session.stats().created, 1, "the probe's");
        let text = session.get("/").await.unwrap().text().await.unwrap();
        assert_eq!(text, "hello");
        kept = Some(session);
        Ok(())
    })
    .await;
    assert!(report.is_success(), "{report}");
    let session = kept.unwrap();
    assert_eq!(session.stats().open, 0);
    assert!(session.get(&address).await.unwrap_err().is_closed());
    served.shutdown.begin();
    assert!(served.report.await.unwrap().is_success());
}

#[tokio::test]
async fn a_failed_probe_closes_it_and_ends_the_start() {
    let served = serve(settings(), |_| Router::new().route("/", get(async || StatusCode::FORBIDDEN))).await;
    let address = format!("http://{}/", served.address);
    let report = run(async |app| {
        app.open("session", session(Session::builder()).probe(&address)).await?;
        Ok(())
    })
    .await;
    let [error] = report.errors() else { panic!("{report}") };
    assert_eq!(error.phase(), Phase::Check);
    assert_eq!(chain(error), format!("failed validation for \"session\": GET {address}: status 403 Forbidden"));
    assert!(error.get_ref().unwrap().downcast_ref::<trunkline::Error>().unwrap().is_status());
    assert_eq!(report.steps()[0].name, "session");

    let report = run(async |app| {
        app.open("session", session(Session::builder().base_url("no address"))).await?;
        Ok(())
    })
    .await;
    assert_eq!(report.errors()[0].phase(), Phase::Acquire);
    served.shutdown.begin();
    assert!(served.report.await.unwrap().is_success());
}
