//! Keeps cookies in a file between runs, in the format that curl shares.
//!
//! ```sh
//! cargo run -p trunkline --example cookies_file -- https://httpbin.org/cookies/set/color/blue cookies.txt
//! cargo run -p trunkline --example cookies_file -- https://httpbin.org/cookies cookies.txt
//! ```

#![expect(clippy::print_stdout, reason = "the output of the example")]

use std::path::Path;

use anyhow::Context as _;
use trunkline::{CookieJar, Session};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().context("usage: cookies_file URL FILE")?;
    let file = arguments.next().context("usage: cookies_file URL FILE")?;

    // The first run has no file yet.
    let jar = if Path::new(&file).exists() { CookieJar::load(&file).await? } else { CookieJar::new() };
    println!("{} cookies loaded", jar.len());

    // A clone is a handle to the same jar: the session adds the cookies that servers set.
    let session = Session::builder().cookie_jar(jar.clone()).build()?;
    println!("{}", session.get(&url).await?.text().await?);
    session.close().await;

    jar.save(&file).await?;
    println!("{} cookies saved", jar.len());
    Ok(())
}
