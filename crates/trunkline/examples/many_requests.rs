//! Runs many requests at once over a limited number of connections.
//!
//! ```sh
//! cargo run -p trunkline --example many_requests -- https://example.com 100
//! ```

#![expect(clippy::print_stdout, reason = "the output of the example")]

use anyhow::Context as _;
use tokio::task::JoinSet;
use trunkline::{Pool, Session};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().context("usage: many_requests URL COUNT")?;
    let count: usize = arguments.next().context("usage: many_requests URL COUNT")?.parse()?;

    // At most 20 sockets in all and 4 per host. Further requests wait, first come, first served.
    let pool = Pool::builder().limit(20).limit_per_host(4).build()?;
    let session = Session::builder().pool(pool).build()?;

    let mut requests = JoinSet::new();
    for _ in 0..count {
        let request = session.get(&url);
        requests.spawn(async move { request.await?.bytes().await });
    }

    let (mut succeeded, mut bytes) = (0, 0);
    while let Some(request) = requests.join_next().await {
        match request? {
            Ok(body) => {
                succeeded += 1;
                bytes += body.len();
            }
            Err(error) => println!("{error}"),
        }
    }
    println!("{succeeded} of {count} requests succeeded: {bytes} bytes");
    println!("{} connections made", session.stats().created);

    session.close().await;
    Ok(())
}
