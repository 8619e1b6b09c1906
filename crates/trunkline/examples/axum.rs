//! One session for a whole axum application: opened before it serves, shared by every handler,
//! closed after the last of them.
//!
//! ```sh
//! cargo run -p trunkline --example axum                           # forwards to https://httpbin.org
//! cargo run -p trunkline --example axum -- http://127.0.0.1:8080  # forwards to another httpbin
//! curl -d 'hello' http://127.0.0.1:3000/
//! ```
//!
//! `HTTPBIN_URL` also sets the httpbin, `LISTEN` the address to listen on.

#![expect(clippy::print_stdout, reason = "the output of the example")]

use std::env;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::net::TcpListener;
use trunkline::{Pool, Session};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let httpbin = env::args().nth(1).or_else(|| env::var("HTTPBIN_URL").ok());
    let httpbin = httpbin.unwrap_or_else(|| "https://httpbin.org".to_owned());
    let listen = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());

    // Opened before the application serves: at most 30 sockets, whatever the number of handlers.
    let pool = Pool::builder().limit(30).build()?;
    let session = Session::builder().pool(pool).base_url(&httpbin).build()?;

    let app = Router::new().route("/", post(forward)).with_state(session.clone());
    let listener = TcpListener::bind(listen).await?;
    println!("http://{} forwards to {httpbin}", listener.local_addr()?);
    axum::serve(listener, app).with_graceful_shutdown(interrupted()).await?;

    // Closed after the last handler has ended.
    println!("closed: {}", session.close().await);
    Ok(())
}

/// Posts the request's text to httpbin as the form field `data` and returns httpbin's answer.
async fn forward(State(session): State<Session>, data: String) -> Result<String, UpstreamError> {
    let response = session.post("post").form(&[("data", &data)]).await?;
    println!("{}", response.status());
    let text = response.text().await?;
    println!("{text}");
    Ok(text)
}

/// An upstream failure, answered with 502 and the error's text.
struct UpstreamError(trunkline::Error);

impl From<trunkline::Error> for UpstreamError {
    fn from(error: trunkline::Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for UpstreamError {
    fn into_response(self) -> Response {
        (StatusCode::BAD_GATEWAY, format!("{}\n", self.0)).into_response()
    }
}

async fn interrupted() {
    // An error means that no handler could be installed: shut down as well.
    let _ = tokio::signal::ctrl_c().await;
}
