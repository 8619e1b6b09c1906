//! Prints the statistics of a pool after a few requests to each URL.
//!
//! ```sh
//! cargo run -p trunkline --example statistics -- https://example.com https://example.org
//! ```

#![expect(clippy::print_stdout, reason = "the output of the example")]

use std::env;

use trunkline::Session;

#[tokio::main]
async fn main() -> trunkline::Result<()> {
    let session = Session::new();
    for url in env::args().skip(1) {
        for _ in 0..3 {
            session.get(&url).await?.bytes().await?;
        }
    }

    // A snapshot: all figures are of the same moment.
    let stats = session.stats();
    println!("open: {}, idle: {}, in use: {}, waiting: {}", stats.open, stats.idle, stats.in_use, stats.waiting);
    println!("created: {}, reused: {}", stats.created, stats.reused);
    if let Some(median) = stats.connect.quantile(0.5) {
        println!("half of the connections were made within {median:?}");
    }
    for host in &stats.hosts {
        println!("{}: {} open", host.host, host.open);
    }

    session.close().await;
    for (reason, count) in session.stats().closed.iter().filter(|(_, count)| *count > 0) {
        println!("closed, {reason:?}: {count}");
    }
    Ok(())
}
