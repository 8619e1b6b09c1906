//! isahc with cookies, decoding and timeouts, and libcurl's limit. libcurl runs on an additional
//! thread.

use std::time::Duration;

use anyhow::Result;
use futures_util::AsyncReadExt as _;
use isahc::config::Configurable as _;
use isahc::tls::{TlsConfig, TrustStore};
use isahc::{AsyncReadResponseExt as _, HttpClient};

use crate::plan::Plan;
use crate::workload;

#[derive(Clone)]
pub(crate) struct Client(HttpClient);

impl Client {
    pub(crate) fn new(plan: &Plan) -> Result<Self> {
        let mut builder = HttpClient::builder()
            .cookies()
            .timeout(Duration::from_secs(300))
            .connect_timeout(Duration::from_secs(30))
            // Without this setting libcurl derives the size from the current number of transfers.
            .connection_cache_size(plan.tasks.max(64) + 64);
        if let Some(limit) = plan.limit.filter(|limit| *limit > 0) {
            builder = builder.max_connections(limit);
        }
        if let Some(ca) = plan.ca()? {
            builder = builder.tls_config(
                TlsConfig::builder().trust_store(TrustStore::builder().certificate_from_pem(ca).build()).build(),
            );
        }
        Ok(Self(builder.build()?))
    }
}

impl workload::Client for Client {
    async fn get(&self, url: &'static str) -> Result<usize> {
        Ok(self.0.get_async(url).await?.bytes().await?.len())
    }

    async fn read(&self, url: &'static str) -> Result<u64> {
        let mut body = self.0.get_async(url).await?.into_body();
        let mut buffer = vec![0; 64 * 1024];
        let mut length = 0;
        loop {
            match body.read(&mut buffer).await? {
                0 => return Ok(length),
                read => length += read as u64,
            }
        }
    }
}
