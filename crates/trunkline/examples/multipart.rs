//! Sends a form with a text field, a file and a part made in memory.
//!
//! ```sh
//! cargo run -p trunkline --example multipart -- https://httpbin.org/post README.md
//! ```

#![expect(clippy::print_stdout, reason = "the output of the example")]

use anyhow::Context as _;
use trunkline::{Multipart, Part, Session};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().context("usage: multipart URL FILE")?;
    let file = arguments.next().context("usage: multipart URL FILE")?;

    let form = Multipart::new()
        .text("title", "Holidays")
        // Read while it is sent; its name and type are derived from the path.
        .file("attachment", &file)
        .part("notes", Part::bytes("day,place\n").file_name("notes.csv").content_type("text/csv"));

    let session = Session::new();
    let response = session.post(&url).multipart(form).await?;
    println!("status: {}", response.status());
    println!("{}", response.text().await?);

    session.close().await;
    Ok(())
}
