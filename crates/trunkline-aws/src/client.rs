//! HTTP client of an SDK, and the connector it creates for each call.

use std::time::Duration;

use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient as SmithyHttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use trunkline::{Pool, Session, Timeouts};

use crate::capture::Capture;
use crate::{body, error};

/// HTTP client for an AWS SDK over the connections of a [`Pool`]: the value for `http_client` of an
/// SDK configuration.
///
/// Set on `aws_config`, it serves all clients and credentials providers of that configuration. It
/// is a handle: clones, and other clients of the same pool, share the pool's connections.
///
/// ```no_run
/// # async fn run() -> trunkline::Result<()> {
/// use trunkline::Pool;
/// use trunkline_aws::HttpClient;
///
/// let pool = Pool::builder().limit(50).build()?;
/// let config = aws_config::from_env().http_client(HttpClient::new(&pool)).load().await;
/// # let _ = config;
/// # Ok(())
/// # }
/// ```
///
/// Calls must run in a tokio runtime with I/O and time enabled, as all requests of a pool.
#[derive(Clone, Debug)]
pub struct HttpClient {
    pool: Pool,
    timeouts: Timeouts,
}

impl HttpClient {
    /// Creates a client over this pool; [`Session::pool`] is the pool of a session.
    pub fn new(pool: &Pool) -> Self {
        Self { pool: pool.clone(), timeouts: Timeouts::none() }
    }

    /// Sets timeouts for each attempt of a call, in addition to the SDK's own. `connect` and `read`
    /// apply where the SDK's configuration sets none. An unset timeout means no limit. Default:
    /// [`Timeouts::none`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use trunkline::{Pool, Timeouts};
    /// use trunkline_aws::HttpClient;
    ///
    /// // A call that waits 5 s for a connection fails; its error lists the current holders.
    /// let timeouts = Timeouts::new().acquire(Duration::from_secs(5));
    /// let client = HttpClient::new(&Pool::new()).timeouts(timeouts);
    /// # let _ = client;
    /// ```
    #[must_use = "the returned client has the timeouts"]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        let or_none = |limit: Option<Duration>| limit.unwrap_or(Duration::MAX);
        self.timeouts = Timeouts::new()
            .total(or_none(timeouts.total))
            .acquire(or_none(timeouts.acquire))
            .connect(or_none(timeouts.connect))
            .read(or_none(timeouts.read));
        self
    }
}

impl From<Pool> for HttpClient {
    fn from(pool: Pool) -> Self {
        Self::new(&pool)
    }
}

impl From<&Pool> for HttpClient {
    fn from(pool: &Pool) -> Self {
        Self::new(pool)
    }
}

impl From<&Session> for HttpClient {
    fn from(session: &Session) -> Self {
        Self::new(session.pool())
    }
}

impl SmithyHttpClient for HttpClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let mut timeouts = self.timeouts;
        if let Some(limit) = settings.connect_timeout() {
            timeouts = timeouts.connect(limit);
        }
        if let Some(limit) = settings.read_timeout() {
            timeouts = timeouts.read(limit);
        }
        SharedHttpConnector::new(Connector { pool: self.pool.clone(), timeouts })
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        Some(ConnectorMetadata::new("trunkline", Some(env!("CARGO_PKG_VERSION").into())))
    }
}

/// Connector of one call: the pool, with the timeouts of the call's configuration.
#[derive(Debug)]
struct Connector {
    pool: Pool,
    timeouts: Timeouts,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (pool, timeouts) = (self.pool.clone(), self.timeouts);
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let capture = Capture::of(&request);
            let response = pool.send(request.map(body::convert), timeouts).await.map_err(error::classify)?;
            capture.set_connection(response.body());
            HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}
