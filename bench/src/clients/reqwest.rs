//! reqwest with cookies, decoding and the timeouts of trunkline's defaults. A semaphore serves as
//! its limit.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::sync::Semaphore;

use crate::plan::Plan;
use crate::workload;

#[derive(Clone)]
pub(crate) struct Client {
    inner: reqwest::Client,
    limit: Option<Arc<Semaphore>>,
}

impl Client {
    pub(crate) fn new(plan: &Plan) -> Result<Self> {
        let mut builder = reqwest::Client::builder()
            .cookie_store(true)
            .timeout(Duration::from_secs(300))
            .connect_timeout(Duration::from_secs(30))
            .read_timeout(Duration::from_secs(60));
        if let Some(ca) = plan.ca()? {
            builder = builder.tls_certs_only([reqwest::Certificate::from_pem(&ca)?]);
        }
        Ok(Self { inner: builder.build()?, limit: plan.semaphore() })
    }
}

impl workload::Client for Client {
    async fn get(&self, url: &'static str) -> Result<usize> {
        let _permit = match &self.limit {
            Some(limit) => Some(limit.acquire().await?),
            None => None,
        };
        Ok(self.inner.get(url).send().await?.bytes().await?.len())
    }

    async fn read(&self, url: &'static str) -> Result<u64> {
        let mut response = self.inner.get(url).send().await?;
        let mut length = 0;
        while let Some(chunk) = response.chunk().await? {
            length += chunk.len() as u64;
        }
        Ok(length)
    }
}
