//! hyper-util's legacy client: a pool without cookies, decoding and timeouts. A semaphore serves as
//! its limit.

use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use http::Uri;
use http_body_util::{BodyExt as _, Empty};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Semaphore;

use crate::plan::Plan;
use crate::workload;

#[derive(Clone)]
pub(crate) struct Client {
    inner: hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    limit: Option<Arc<Semaphore>>,
}

impl Client {
    pub(crate) fn new(plan: &Plan) -> Result<Self> {
        let mut sockets = HttpConnector::new();
        sockets.enforce_http(false);
        sockets.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(plan.tls()?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(sockets);
        let inner = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self { inner, limit: plan.semaphore() })
    }
}

impl workload::Client for Client {
    async fn get(&self, url: &'static str) -> Result<usize> {
        let _permit = match &self.limit {
            Some(limit) => Some(limit.acquire().await?),
            None => None,
        };
        let response = self.inner.get(Uri::from_static(url)).await?;
        Ok(response.into_body().collect().await?.to_bytes().len())
    }

    async fn read(&self, url: &'static str) -> Result<u64> {
        let mut body = self.inner.get(Uri::from_static(url)).await?.into_body();
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            length += frame?.data_ref().map_or(0, |data| data.len() as u64);
        }
        Ok(length)
    }
}
