//! A session under layers of tower: a header on every request, and a limit on concurrency.
//!
//! ```sh
//! cargo run -p trunkline --example tower_layer -- https://httpbin.org/headers
//! ```

#![expect(clippy::print_stdout, reason = "the output of the example")]

use anyhow::Context as _;
use http::{HeaderName, HeaderValue, Request};
use http_body_util::BodyExt as _;
use tower::{Service as _, ServiceBuilder, ServiceExt as _};
use tower_http::set_header::SetRequestHeaderLayer;
use trunkline::{Body, Session};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::args().nth(1).context("usage: tower_layer URL")?;

    let session = Session::new();
    let tenant = (HeaderName::from_static("x-tenant"), HeaderValue::from_static("blue"));
    let mut client = ServiceBuilder::new()
        .concurrency_limit(10)
        .layer(SetRequestHeaderLayer::overriding(tenant.0, tenant.1))
        .service(session.clone());

    let request = Request::get(&url).body(Body::empty())?;
    let response = client.ready().await?.call(request).await?;
    println!("status: {}", response.status());
    let body = response.into_body().collect().await?.to_bytes();
    println!("{}", String::from_utf8_lossy(&body));

    session.close().await;
    Ok(())
}
