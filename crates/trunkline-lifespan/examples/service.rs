//! The service of trunkline's own `axum` example, with its life in order: opened, checked, served,
//! drained, closed.
//!
//! ```sh
//! cargo run -p trunkline-lifespan --all-features --example service                            # forwards to https://httpbin.org
//! cargo run -p trunkline-lifespan --all-features --example service -- http://127.0.0.1:8080   # or to an httpbin of your own
//! curl -d 'hello' http://127.0.0.1:3000/
//! ```
//!
//! `LISTEN` sets another address to listen on.

use std::env;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use trunkline::{Pool, Session};
use trunkline_lifespan as lifespan;

#[tokio::main]
async fn main() -> lifespan::Report {
    tracing_subscriber::fmt().init();
    let httpbin = env::args().nth(1).unwrap_or_else(|| "https://httpbin.org".to_owned());
    let listen = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());

    lifespan::run(async |app| -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let pool = Pool::builder().limit(30).build()?;
        let session = lifespan::session(Session::builder().pool(pool).base_url(&httpbin));
        let session = app.open("session", session.probe("get")).await?;

        let readiness = app.readiness();
        let router =
            Router::new().route("/", post(forward)).route("/readyz", get(async || readiness)).with_state(session);
        let listener = app.bind(&listen).await?;
        Ok(app.serve(listener, router).await?)
    })
    .await
}

/// Posts what it is given to httpbin, as the form field `data`, and returns what httpbin says to
/// that.
async fn forward(State(session): State<Session>, data: String) -> Result<String, (StatusCode, String)> {
    let bad_gateway = |error: trunkline::Error| (StatusCode::BAD_GATEWAY, format!("{error}\n"));
    let response = session.post("post").form(&[("data", &data)]).await.map_err(bad_gateway)?;
    response.text().await.map_err(bad_gateway)
}
