//! trunkline with its defaults.

use anyhow::Result;
use trunkline::{Pool, Session};

use crate::plan::Plan;
use crate::workload;

#[derive(Clone)]
pub(crate) struct Client(Session);

impl Client {
    pub(crate) fn new(plan: &Plan) -> Result<Self> {
        let mut pool = Pool::builder();
        if let Some(limit) = plan.limit {
            pool = pool.limit((limit > 0).then_some(limit));
        }
        if let Some(ca) = plan.ca()? {
            pool = pool.add_root_certificate(ca);
        }
        Ok(Self(Session::builder().pool(pool.build()?).build()?))
    }
}

impl workload::Client for Client {
    async fn get(&self, url: &'static str) -> Result<usize> {
        Ok(self.0.get(url).await?.bytes().await?.len())
    }

    async fn read(&self, url: &'static str) -> Result<u64> {
        let mut response = self.0.get(url).await?;
        let mut length = 0;
        while let Some(chunk) = response.chunk().await? {
            length += chunk.len() as u64;
        }
        Ok(length)
    }
}
