//! Gets a page and prints its status, type and text.
//!
//! ```sh
//! cargo run -p trunkline --example get -- https://example.com
//! ```

#![expect(clippy::print_stdout, reason = "the output of the example")]

use anyhow::Context as _;
use http::header::CONTENT_TYPE;
use trunkline::Session;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::args().nth(1).context("usage: get URL")?;

    let session = Session::builder().user_agent("trunkline-example").build()?;
    let response = session.get(&url).await?;
    println!("status: {}", response.status());
    if let Some(content_type) = response.headers().get(CONTENT_TYPE) {
        println!("content-type: {}", content_type.to_str()?);
    }
    // The connection returns to the pool when the body has been read.
    println!("{}", response.text().await?);

    session.close().await;
    Ok(())
}
