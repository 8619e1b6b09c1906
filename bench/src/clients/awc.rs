//! awc with decoding, cookies and a timeout, and its own limit. A client belongs to one thread.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use futures_util::StreamExt as _;

use crate::plan::Plan;
use crate::workload;

#[derive(Clone)]
pub(crate) struct Client(awc::Client);

impl Client {
    pub(crate) fn new(plan: &Plan) -> Result<Self> {
        let timeout = Duration::from_secs(300);
        let mut connector = awc::Connector::new().timeout(Duration::from_secs(30)).rustls_0_23(Arc::new(plan.tls()?));
        if let Some(limit) = plan.limit {
            connector = connector.limit(limit);
        }
        Ok(Self(awc::Client::builder().timeout(timeout).connector(connector).finish()))
    }
}

impl workload::Client for Client {
    async fn get(&self, url: &'static str) -> Result<usize> {
        let mut response = self.0.get(url).send().await.map_err(|error| anyhow!("{error}"))?;
        Ok(response.body().await?.len())
    }

    async fn read(&self, url: &'static str) -> Result<u64> {
        let mut response = self.0.get(url).send().await.map_err(|error| anyhow!("{error}"))?;
        let mut length = 0;
        while let Some(chunk) = response.next().await {
            length += chunk?.len() as u64;
        }
        Ok(length)
    }
}
