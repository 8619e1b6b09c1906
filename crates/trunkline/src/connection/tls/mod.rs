//! TLS of a pool's connections: trusted roots, client identity and handshake.

mod verify;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::SingleCertAndKey;
use rustls_platform_verifier::Verifier;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use self::verify::{AcceptAny, describe};
use super::pem;
use super::socket::SocketIo;
use crate::error::{Error, Kind, Phase, Result};

/// TLS settings of the pool builder.
#[derive(Clone, Default)]
pub(crate) struct TlsSettings {
    /// PEM texts of certificates to trust besides the platform's roots.
    pub(crate) extra_roots: Vec<Vec<u8>>,
    /// PEM text of a certificate chain and its key, for servers that request a client certificate.
    pub(crate) identity: Option<Vec<u8>>,
    /// Accepts any server certificate. Dangerous: a machine in the middle can read and change all
    /// traffic.
    pub(crate) accept_invalid: bool,
}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSettings")
            .field("extra_roots", &self.extra_roots.len())
            .field("identity", &self.identity.is_some())
            .field("accept_invalid", &self.accept_invalid)
            .finish()
    }
}

/// TLS client of a pool: one configuration for all connections, so that sessions resume.
#[derive(Clone)]
pub(crate) struct Tls(Arc<Inner>);

struct Inner {
    provider: Arc<CryptoProvider>,
    extra_roots: Vec<CertificateDer<'static>>,
    identity: Option<Arc<SingleCertAndKey>>,
    accept_invalid: bool,
    /// Locked for one assignment at a time.
    config: Mutex<LazyConfig>,
}

/// Client configuration, built once, at the first handshake: loading the platform's roots takes
/// tens of milliseconds of blocking work.
enum LazyConfig {
    Unbuilt,
    Building(watch::Receiver<Option<BuildResult>>),
    Ready(Arc<ClientConfig>),
}

type BuildResult = Result<Arc<ClientConfig>, rustls::Error>;

impl Tls {
    /// # Errors
    ///
    /// Fails if a PEM text lacks the certificates or the key it must contain.
    pub(crate) fn new(settings: &TlsSettings) -> Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let mut extra_roots = Vec::new();
        for text in &settings.extra_roots {
            extra_roots.extend(pem::roots(text)?);
        }
        let identity = match &settings.identity {
            Some(text) => Some(Arc::new(SingleCertAndKey::from(pem::identity(text, &provider)?))),
            None => None,
        };
        let accept_invalid = settings.accept_invalid;
        Ok(Self(Arc::new(Inner {
            provider,
            extra_roots,
            identity,
            accept_invalid,
            config: Mutex::new(LazyConfig::Unbuilt),
        })))
    }

    /// Runs the client side of the handshake with `host`, a name or an IP address without brackets.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops `io`.
    pub(crate) async fn handshake(&self, host: &str, io: SocketIo) -> Result<TlsStream<SocketIo>> {
        // Certificates never contain the root dot of a name.
        let name = ServerName::try_from(host.strip_suffix('.').unwrap_or(host).to_owned()).map_err(|error| {
            let detail = format!("{host} is neither a DNS name nor an IP address: no certificate can be valid for it");
            Error::new(Kind::Connect).at(Phase::Tls).detail(detail).because(error)
        })?;
        let config = self.config().await?;
        let stream =
            TlsConnector::from(config).connect(name, io).await.map_err(|error| handshake_failed(host, error))?;
        let (_, session) = stream.get_ref();
        tracing::debug!(
            target: "trunkline::connection",
            host,
            version = ?session.protocol_version(),
            handshake = ?session.handshake_kind(),
            "TLS established"
        );
        Ok(stream)
    }

    async fn config(&self) -> Result<Arc<ClientConfig>> {
        let mut building = match self.ready_or_building() {
            Ok(config) => return Ok(config),
            Err(building) => building,
        };
        let failed = || Error::new(Kind::Connect).at(Phase::Tls);
        let built = match building.wait_for(Option::is_some).await {
            Ok(built) => built.clone(),
            Err(_) => None,
        };
        built.ok_or_else(|| failed().detail("TLS could not be set up because the runtime is ending"))?.map_err(|error| {
            let detail = "no certificate authorities are installed on this machine, so no certificate can be verified: install \
                them (on Linux usually the package ca-certificates) or add a root with `add_root_certificate`";
            failed().detail(detail).because(error)
        })
    }

    fn ready_or_building(&self) -> Result<Arc<ClientConfig>, watch::Receiver<Option<BuildResult>>> {
        let mut config = self.0.config.lock().unwrap_or_else(PoisonError::into_inner);
        match &*config {
            LazyConfig::Ready(config) => return Ok(config.clone()),
            // The sender is dropped without a result only if its runtime ended: the next caller
            // builds anew.
            LazyConfig::Building(building) if building.has_changed().is_ok() => return Err(building.clone()),
            LazyConfig::Building(_) | LazyConfig::Unbuilt => {}
        }
        let (done, building) = watch::channel(None);
        *config = LazyConfig::Building(building.clone());
        drop(config);
        let inner = self.0.clone();
        // A blocking thread also runs while its runtime is not polled, so all runtimes may wait for
        // it.
        tokio::task::spawn_blocking(move || {
            let built = inner.build().map(Arc::new);
            // A failure is reported to the waiting callers and not kept: the machine may be
            // repaired.
            let next = built.as_ref().map_or(LazyConfig::Unbuilt, |config| LazyConfig::Ready(config.clone()));
            *inner.config.lock().unwrap_or_else(PoisonError::into_inner) = next;
            done.send_replace(Some(built));
        });
        Err(building)
    }
}

impl Inner {
    fn build(&self) -> Result<ClientConfig, rustls::Error> {
        let provider = || self.provider.clone();
        let verifier: Arc<dyn ServerCertVerifier> = if self.accept_invalid {
            Arc::new(AcceptAny(provider()))
        } else {
            Arc::new(Verifier::new_with_extra_roots(self.extra_roots.iter().cloned(), provider())?)
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &self.identity {
            Some(identity) => builder.with_client_cert_resolver(identity.clone()),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = Resumption::in_memory_sessions(512);
        Ok(config)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("extra_roots", &self.0.extra_roots.len())
            .field("identity", &self.0.identity.is_some())
            .field("accept_invalid", &self.0.accept_invalid)
            .finish_non_exhaustive()
    }
}

/// Describes a failed handshake; the original error is the source.
fn handshake_failed(host: &str, error: io::Error) -> Error {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let invalid_certificate = matches!(tls, Some(rustls::Error::InvalidCertificate(_)));
    let failed = Error::new(if invalid_certificate { Kind::Certificate } else { Kind::Connect }).at(Phase::Tls);
    match tls {
        Some(tls) => failed.detail(describe(host, tls)).because(tls.clone()),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            failed.detail(format!("{host} closed the connection during the TLS handshake")).because(error)
        }
        None => failed.detail(format!("the connection to {host} broke during the TLS handshake")).because(error),
    }
}
