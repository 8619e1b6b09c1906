//! Downloads a URL into a file, which appears under its name only when it is complete.
//!
//! ```sh
//! cargo run -p trunkline --example download_file -- https://example.com page.html
//! ```

#![expect(clippy::print_stdout, reason = "the output of the example")]

use anyhow::Context as _;
use trunkline::Session;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().context("usage: download_file URL FILE")?;
    let file = arguments.next().context("usage: download_file URL FILE")?;

    let session = Session::new();
    // Without `error_for_status` the page that explains a 404 would be saved.
    let response = session.get(&url).await?.error_for_status()?;
    let bytes = response.save_to(&file).await?;
    println!("{bytes} bytes saved to {file}");

    session.close().await;
    Ok(())
}
