//! TLS: what is trusted, who we are, and the handshake.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use rustls_platform_verifier::Verifier;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::pem;
use super::socket::SocketIo;
use super::verdict;
use crate::error::{Error, Kind, Phase, Result};

/// What the caller chose.
#[derive(Clone, Default)]
pub(crate) struct TlsSettings {
    /// PEM texts of certificates to trust besides the platform's.
    pub(crate) extra_roots: Vec<Vec<u8>>,
    /// PEM text of a certificate chain and its key, for servers that ask who we are.
    pub(crate) identity: Option<Vec<u8>>,
    /// Trust whatever the server shows. Dangerous: anybody on the way can read and change
    /// everything.
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

/// The TLS side of a pool's connections: one configuration for all, so that sessions resume.
#[derive(Clone)]
pub(crate) struct Tls(Arc<Inner>);

struct Inner {
    provider: Arc<CryptoProvider>,
    extra_roots: Vec<CertificateDer<'static>>,
    identity: Option<Arc<SingleCertAndKey>>,
    accept_invalid: bool,
    /// Held for an assignment at a time.
    config: Mutex<Config>,
}

/// Reading the platform's roots takes tens of milliseconds of blocking work: not done before it is
/// needed, nor twice.
enum Config {
    Unbuilt,
    Building(watch::Receiver<Option<Built>>),
    Ready(Arc<ClientConfig>),
}

type Built = Result<Arc<ClientConfig>, rustls::Error>;

impl Tls {
    /// # Errors
    ///
    /// A PEM text that does not hold what it should.
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
            config: Mutex::new(Config::Unbuilt),
        })))
    }

    /// Runs the client's side of the handshake with `host`, a name or an IP address without
    /// brackets.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops `io`.
    pub(crate) async fn handshake(&self, host: &str, io: SocketIo) -> Result<TlsStream<SocketIo>> {
        // A name with its root dot is the same name; certificates never have the dot.
        let name = ServerName::try_from(host.strip_suffix('.').unwrap_or(host).to_owned()).map_err(|error| {
            let detail = format!("{host} can be no certificate's name: neither a DNS name nor an IP address");
            Error::new(Kind::Connect).at(Phase::Tls).detail(detail).because(error)
        })?;
        let config = self.config().await?;
        let stream = TlsConnector::from(config).connect(name, io).await.map_err(|error| refused(host, error))?;
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
        built.ok_or_else(|| failed().detail("TLS could not be set up: the runtime is ending"))?.map_err(|error| {
            let detail = "no certificate authorities are installed on this machine (on Linux the package is mostly called \
                ca-certificates): nothing could be verified; a root can also be given with `add_root_certificate`";
            failed().detail(detail).because(error)
        })
    }

    fn ready_or_building(&self) -> Result<Arc<ClientConfig>, watch::Receiver<Option<Built>>> {
        let mut config = self.0.config.lock().unwrap_or_else(PoisonError::into_inner);
        match &*config {
            Config::Ready(config) => return Ok(config.clone()),
            // Its thread can have ended without a word only with its runtime; then the next one to ask begins again.
            Config::Building(building) if building.has_changed().is_ok() => return Err(building.clone()),
            Config::Building(_) | Config::Unbuilt => {}
        }
        let (done, building) = watch::channel(None);
        *config = Config::Building(building.clone());
        drop(config);
        let inner = self.0.clone();
        // A blocking thread runs whether or not the runtime that started it is polled, so all runtimes may
        // wait for it.
        tokio::task::spawn_blocking(move || {
            let built = inner.build().map(Arc::new);
            // A failure is told to those who wait, and not kept: the machine may be repaired.
            let next = built.as_ref().map_or(Config::Unbuilt, |config| Config::Ready(config.clone()));
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

/// A failed handshake in plain words; the original is its source.
fn refused(host: &str, error: io::Error) -> Error {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let untrusted = matches!(tls, Some(rustls::Error::InvalidCertificate(_)));
    let failed = Error::new(if untrusted { Kind::Certificate } else { Kind::Connect }).at(Phase::Tls);
    match tls {
        Some(tls) => failed.detail(verdict::in_words(host, tls)).because(tls.clone()),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            failed.detail(format!("{host} closed the connection during the TLS handshake")).because(error)
        }
        None => failed.detail(format!("the connection to {host} broke in the TLS handshake")).because(error),
    }
}

/// Accepts any certificate. The handshake's signature is still checked where the certificate can be
/// read, so that at least the server has the key of the certificate it shows.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl AcceptAny {
    fn unless_forged(
        checked: Result<HandshakeSignatureValid, rustls::Error>,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match checked {
            Err(rustls::Error::InvalidCertificate(CertificateError::BadSignature)) => checked,
            // A certificate webpki cannot read (X.509 v1, unknown critical extensions): what old devices have.
            Err(rustls::Error::InvalidCertificate(_)) => Ok(HandshakeSignatureValid::assertion()),
            _ => checked,
        }
    }
}

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Self::unless_forged(verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Self::unless_forged(verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
