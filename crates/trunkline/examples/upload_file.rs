//! Uploads a file, read from disk as it is sent.
//!
//! ```sh
//! cargo run -p trunkline --example upload_file -- https://httpbin.org/put README.md
//! ```

#![expect(clippy::print_stdout, reason = "the output of the example")]

use anyhow::Context as _;
use trunkline::{Body, Session};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().context("usage: upload_file URL FILE")?;
    let file = arguments.next().context("usage: upload_file URL FILE")?;

    let session = Session::new();
    // With `expect_continue` the server can refuse the upload before the file is sent.
    let response = session.put(&url).body(Body::file(&file)).expect_continue(true).await?;
    println!("{file}: {}", response.error_for_status()?.status());

    session.close().await;
    Ok(())
}
