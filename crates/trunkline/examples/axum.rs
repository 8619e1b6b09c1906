//! One session for a whole axum application: opened before it serves, shared by every handler,
//! closed after the last of them.
//!
//! ```sh
//! cargo run -p trunkline --example axum                            # forwards to https://httpbin.org
//! cargo run -p trunkline --example axum -- http://127.0.0.1:8080   # or to an httpbin of your own (or HTTPBIN_URL)
//! curl -d 'hello' http://127.0.0.1:3000/
//! ```
//!
//! `LISTEN` sets another address to listen on.

#![expect(clippy::print_stdout, reason = "what it says is what it is for")]

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

/// Posts what it is given to httpbin, as the form field `data`, and returns what httpbin says to
/// that.
async fn forward(State(session): State<Session>, data: String) -> Result<String, Failed> {
    let response = session.post("post").form(&[("data", &data)]).await?;
    println!("{}", response.status());
    let text = response.text().await?;
    println!("{text}");
    Ok(text)
}

struct Failed(trunkline::Error);

impl From<trunkline::Error> for Failed {
    fn from(error: trunkline::Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (StatusCode::BAD_GATEWAY, format!("{}\n", self.0)).into_response()
    }
}

async fn interrupted() {
    // Without a handler for Ctrl-C the process just ends; there is nothing better to do about it here.
    let _ = tokio::signal::ctrl_c().await;
}
