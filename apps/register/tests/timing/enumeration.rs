//! Neither a response nor its duration reveals that an address has an account.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::StatusCode;
use serde_json::{Value, json};
use trunkline::Session;

use crate::MACHINE;
use crate::support::{
    Database, Load, PASSWORD, Random, Service, Ses, Settings, TestResponse, auc, auc_by_chance, soak, until,
};

/// Kinds of address: unknown, registered, registered and activated.
const KINDS: [&str; 3] = ["unknown", "pending", "active"];

/// Response times in seconds, by kind.
type Times = [Vec<f64>; 3];

#[tokio::test(flavor = "multi_thread")]
async fn known_and_unknown_addresses_cannot_be_told_apart_on_sqlite() {
    cannot_be_told_apart(Database::sqlite(), soak(500, 120)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn known_and_unknown_addresses_cannot_be_told_apart_on_postgres() {
    cannot_be_told_apart(Database::postgres().await, soak(500, 80)).await;
}

async fn cannot_be_told_apart(database: Database, count: usize) {
    let _machine = MACHINE.lock().await;
    let ses = Ses::start();
    let service = with_known_addresses(&database, &ses, count).await;
    let times = measure(&service.url("/api/register"), count).await;
    let chance = auc_by_chance(count, count);
    for kind in [1, 2] {
        let area = auc(&times[kind], &times[0]);
        println!("{} against unknown, {count} each: an area of {area:.3}, ± {chance:.3} is chance", KINDS[kind]);
        assert!(
            (area - 0.5).abs() <= chance,
            "{} against unknown: an area of {area:.3}, ± {chance:.3} is chance",
            KINDS[kind]
        );
    }
}

/// The same test detects a service that skips the hash for known addresses.
#[tokio::test(flavor = "multi_thread")]
async fn the_timing_test_detects_a_service_that_skips_the_hash() {
    let _machine = MACHINE.lock().await;
    let (database, ses) = (Database::sqlite(), Ses::start());
    let count = 40;
    let service = with_known_addresses(&database, &ses, count).await;
    let times = measure(&skipping(&service, &database).await, count).await;
    for kind in [1, 2] {
        let area = auc(&times[kind], &times[0]);
        assert!(area < 0.5 - auc_by_chance(count, count), "{}: {area:.3}", KINDS[kind]);
    }
}

/// Starts a service with this number of addresses of each known kind, and all mails sent. No
/// interval or limit delays the next mail, as for an attacker who begins.
async fn with_known_addresses(database: &Database, ses: &Ses, count: usize) -> Service {
    let settings = Settings::new(database).ses(ses).with("--mail-interval", "0s").with("--address-limit", "off");
    let service = settings.start().await;
    for kind in ["pending", "active"] {
        let outcomes = Load::start(kind, 4, count, &[service.url("")]).finish().await;
        assert!(outcomes.iter().all(|outcome| outcome.status == Some(204)), "{outcomes:?}");
    }
    until("all mails are sent", async || (ses.count() == 2 * count).then_some(())).await;
    for mail in ses.sent().iter().filter(|mail| mail.to.starts_with("active")) {
        assert_eq!(service.activate(mail.token()).await.unwrap().status, 204);
    }
    service
}

/// Sends one request per address on one connection. The order of the kinds is random, so that other
/// load on the machine affects all kinds alike.
async fn measure(url: &str, count: usize) -> Times {
    let random = Random::new("the order of kinds");
    let session = Session::new();
    let mut times = Times::default();
    let mut first = None;
    for number in 0..count {
        let mut order = [0, 1, 2];
        random.shuffle(&mut order);
        for kind in order {
            let body = json!({ "email": format!("{}{number}@example.com", KINDS[kind]), "password": PASSWORD });
            let begun = Instant::now();
            let answer = TestResponse::of(session.post(url).json(&body)).await.unwrap();
            times[kind].push(begun.elapsed().as_secs_f64());
            let seen = (answer.status, answer.stable_headers(), answer.body);
            assert_eq!(seen.0, 204);
            assert_eq!(&seen, first.get_or_insert_with(|| seen.clone()), "{body}");
        }
    }
    times
}

/// Front of the service that answers for known addresses itself after a database query, like a
/// service that hashes for new addresses only.
async fn skipping(service: &Service, database: &Database) -> String {
    struct Front {
        known: HashSet<String>,
        ready: String,
        register: String,
        session: Session,
    }

    async fn register(State(front): State<Arc<Front>>, Json(body): Json<Value>) -> Response {
        let known = body["email"].as_str().is_some_and(|email| front.known.contains(email));
        let answer = if known {
            TestResponse::of(front.session.get(&front.ready)).await
        } else {
            TestResponse::of(front.session.post(&front.register).json(&body)).await
        };
        assert!(answer.is_ok_and(|answer| matches!(answer.status, 200 | 204)));
        StatusCode::NO_CONTENT.into_response()
    }

    let front = Front {
        known: database.users().await.into_iter().collect(),
        ready: service.url("/readyz"),
        register: service.url("/api/register"),
        session: Session::new(),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = Router::new().route("/", post(register)).with_state(Arc::new(front));
    // Until the test's runtime ends.
    tokio::spawn(async { axum::serve(listener, router).await });
    url
}
