//! Sets time limits and prints the error of a request that exceeds one.
//!
//! ```sh
//! cargo run -p trunkline --example timeouts -- https://httpbin.org/delay/5
//! ```

#![expect(clippy::print_stdout, reason = "the output of the example")]

use std::time::Duration;

use anyhow::Context as _;
use trunkline::{Session, Timeouts};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::args().nth(1).context("usage: timeouts URL")?;

    // Limits of every request: 30 s in all, 5 s to connect, 10 s of silence from the server.
    let limits =
        Timeouts::new().total(Duration::from_secs(30)).connect(Duration::from_secs(5)).read(Duration::from_secs(10));
    let session = Session::builder().timeouts(limits).build()?;

    // A request can replace single limits and keeps the others.
    let limits = Timeouts::new().read(Duration::from_secs(1));
    match session.get(&url).timeouts(limits).await {
        Ok(response) => println!("in time: {}", response.status()),
        Err(error) if error.is_timeout() => {
            println!("{error}");
            println!("phase: {:?}", error.phase());
            // Tells if the server can have acted on the request.
            println!("sent: {:?}", error.request_sent());
        }
        Err(error) => return Err(error.into()),
    }

    session.close().await;
    Ok(())
}
