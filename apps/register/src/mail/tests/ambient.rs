//! Credentials and region from the environment.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use aws_sdk_sesv2::primitives::{DateTime, DateTimeFormat};
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use trunkline::Pool;
use url::Url;

use super::alone::{assert_passes_with, inside};
use super::{Credentials, Ses, SesSettings, mail_to, settings};
use crate::dev_mail::DevMail;
use crate::mail::Unsent;

fn ambient(endpoint: Option<Url>) -> SesSettings {
    SesSettings { region: None, endpoint, credentials: Credentials::Ambient, ..settings("http://127.0.0.1:9") }
}

#[tokio::test]
async fn credentials_and_region_of_the_environment_are_found() {
    if inside() {
        let server = DevMail::open(10).await.unwrap();
        let ses = Ses::open(ambient(Some(server.endpoint())), &Pool::new()).await.unwrap();
        ses.send(&mail_to("ada@example.org")).await.unwrap();
        return server.close().await;
    }
    let environment = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), ("AWS_REGION", "eu-central-1")];
    assert_passes_with("ambient::credentials_and_region_of_the_environment_are_found", &environment).await;
}

#[tokio::test]
async fn no_credentials_is_an_error_at_the_start() {
    if inside() {
        let error = Ses::open(ambient(None), &Pool::new()).await.unwrap_err();
        let told = format!("{error:#}");
        assert!(told.starts_with("no AWS credentials (looked in the environment"), "{told}");
        return assert!(told.contains("'--mail dev' needs none"), "{told}");
    }
    let environment = [("AWS_REGION", "eu-central-1")];
    assert_passes_with("ambient::no_credentials_is_an_error_at_the_start", &environment).await;
}

#[tokio::test]
async fn no_region_is_an_error_at_the_start() {
    if inside() {
        let error = Ses::open(ambient(None), &Pool::new()).await.unwrap_err();
        return assert!(format!("{error:#}").contains("--aws-region"), "{error:#}");
    }
    let environment = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")];
    assert_passes_with("ambient::no_region_is_an_error_at_the_start", &environment).await;
}

/// Credentials endpoint like that of ECS: its keys soon expire, and after two requests it fails.
async fn vault(State(asked): State<Arc<AtomicUsize>>) -> Result<Json<Value>, StatusCode> {
    if asked.fetch_add(1, Ordering::SeqCst) >= 2 {
        return Err(StatusCode::NOT_FOUND);
    }
    let soon = DateTime::from(SystemTime::now() + Duration::from_secs(1)).fmt(DateTimeFormat::DateTime).unwrap();
    Ok(Json(json!({ "AccessKeyId": "a", "SecretAccessKey": "b", "Token": "c", "Expiration": soon })))
}

#[tokio::test]
async fn credentials_use_the_same_pool_and_their_loss_pauses_all() {
    if inside() {
        let server = DevMail::open(10).await.unwrap();
        let pool = Pool::new();
        let ses = Ses::open(ambient(Some(server.endpoint())), &pool).await.unwrap();
        ses.send(&mail_to("ada@example.org")).await.unwrap();
        assert_eq!(pool.stats().hosts.len(), 2, "{:?}", pool.stats());
        let unsent = ses.send(&mail_to("bob@example.org")).await.unwrap_err();
        assert!(matches!(unsent, Unsent::Paused(_)), "{}", unsent.chain());
        return server.close().await;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/credentials", listener.local_addr().unwrap());
    let router = Router::new().route("/credentials", get(vault)).with_state(Arc::default());
    let server = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
    let environment = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", address.as_str()), ("AWS_REGION", "eu-central-1")];
    let test = "ambient::credentials_use_the_same_pool_and_their_loss_pauses_all";
    assert_passes_with(test, &environment).await;
    server.abort();
}

#[tokio::test]
async fn an_invalid_sender_is_an_error_at_the_start() {
    for from in
        ["", "mail", "mail@", "Example mail@example.com", "Jörg <mail@example.com>", "a@b.example\r\nBcc: c@d.example"]
    {
        let settings = SesSettings { from: from.to_owned(), ..settings("http://127.0.0.1:9") };
        let error = Ses::open(settings, &Pool::new()).await.unwrap_err();
        assert!(error.to_string().starts_with(&format!("{from:?} is no sender")), "{error:#}");
    }
    for from in ["mail@example.com", "Example <mail@example.com>", "\"Example, Inc.\" <mail@example.com>"] {
        let settings = SesSettings { from: from.to_owned(), ..settings("http://127.0.0.1:9") };
        Ses::open(settings, &Pool::new()).await.unwrap();
    }
}

#[tokio::test]
async fn an_invalid_region_is_an_error_at_the_start() {
    for region in ["", "Frankfurt", "eu-central-1.example.com/"] {
        let settings = SesSettings { region: Some(region.to_owned()), ..settings("http://127.0.0.1:9") };
        let error = Ses::open(settings, &Pool::new()).await.unwrap_err();
        let error = error.to_string();
        assert!(error.contains(&format!("{region:?}")) && error.contains("no AWS region"), "{error}");
    }
}

#[test]
fn no_debug_shows_a_secret() {
    let shown = format!(
        "{:?} {:?}",
        settings("http://127.0.0.1:9"),
        SesSettings {
            credentials: Credentials::Fixed { key_id: "AKIA".to_owned(), secret: "very secret".into() },
            ..settings("http://127.0.0.1:9")
        }
    );
    assert!(shown.contains("AKIA") && !shown.contains("secret\""), "{shown}");
}
