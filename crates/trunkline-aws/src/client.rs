//! The client that an SDK is given, and the connector that each of its calls gets from it.

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

/// The connections of a [`Pool`], for an AWS SDK: what `http_client` of a configuration wants.
///
/// Give one to `aws_config`, and its clients and credentials providers all use it. It is a handle,
/// as the pool is: clone it or make another, they name the same connections.
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
/// It needs what the pool needs: calls are made in a tokio runtime with I/O and time.
#[derive(Clone, Debug)]
pub struct HttpClient {
    pool: Pool,
    timeouts: Timeouts,
}

impl HttpClient {
    /// A client over this pool; [`Session::pool`] is a session's.
    pub fn new(pool: &Pool) -> Self {
        Self { pool: pool.clone(), timeouts: Timeouts::none() }
    }

    /// Limits for each attempt of a call, beside those that the SDK knows. `connect` and `read`
    /// hold where the SDK's configuration sets none. What is left unset has no limit. Default:
    /// [`Timeouts::none`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use trunkline::{Pool, Timeouts};
    /// use trunkline_aws::HttpClient;
    ///
    /// // A call that waits this long for a connection fails, and its error says who holds them.
    /// let impatient = Timeouts::new().acquire(Duration::from_secs(5));
    /// let client = HttpClient::new(&Pool::new()).timeouts(impatient);
    /// # let _ = client;
    /// ```
    #[must_use = "it is the client returned that has the limits"]
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

/// The pool, with the limits of one configuration.
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
            let response = pool.send(request.map(body::to_send), timeouts).await.map_err(error::classified)?;
            capture.answered(response.body());
            HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}
