//! A resolver with addresses of its own for some names; all others go to the system.
//!
//! ```sh
//! cargo run -p trunkline --example resolver -- http://api.test:8000/
//! ```

#![expect(clippy::print_stdout, reason = "the output of the example")]

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use anyhow::Context as _;
use trunkline::{Pool, Resolve, Resolving, Session};

/// Static addresses by host name, as in a hosts file.
struct StaticHosts(HashMap<String, Vec<IpAddr>>);

impl Resolve for StaticHosts {
    fn resolve(&self, host: &str) -> Resolving {
        let (host, addresses) = (host.to_owned(), self.0.get(host).cloned());
        Box::pin(async move {
            if let Some(addresses) = addresses {
                return Ok(addresses);
            }
            // The port of the result is not used.
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::args().nth(1).context("usage: resolver URL")?;

    let hosts = HashMap::from([("api.test".to_owned(), vec![IpAddr::V4(Ipv4Addr::LOCALHOST)])]);
    let pool = Pool::builder().resolver(StaticHosts(hosts)).build()?;
    let session = Session::builder().pool(pool).build()?;

    let response = session.get(&url).await?;
    println!("answered by {}", response.connection().peer.ip());
    println!("{}", response.text().await?);

    session.close().await;
    Ok(())
}
