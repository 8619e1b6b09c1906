//! Sends a value as JSON and reads the answer as a value.
//!
//! ```sh
//! cargo run -p trunkline --example json -- https://httpbin.org/post
//! ```

#![expect(clippy::print_stdout, reason = "the output of the example")]

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use trunkline::Session;

#[derive(Debug, Deserialize, Serialize)]
struct Order {
    item: String,
    quantity: u32,
}

/// The part of httpbin's answer that this program needs: the JSON it received.
#[derive(Deserialize)]
struct Echo {
    json: Order,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::args().nth(1).context("usage: json URL")?;

    // A status of 4xx or 5xx becomes an error, so that an error page is never parsed as an order.
    let session = Session::builder().error_for_status(true).build()?;
    let order = Order { item: "tea".to_owned(), quantity: 2 };
    let echo: Echo = session.post(&url).json(&order).await?.json().await?;
    println!("received {} of {}", echo.json.quantity, echo.json.item);

    session.close().await;
    Ok(())
}
