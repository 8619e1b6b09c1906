//! Tests of the connector against loopback servers.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Mutex;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::super::resolve::{Resolving, SystemResolver};
use super::super::socket::MeteredStream;
use super::*;

struct NoPermits;

impl Attempts for NoPermits {
    fn begin(&self) -> bool {
        false
    }

    fn end(&self) {}
}

/// Resolver of every name to 127.0.0.1; "slow.test" gets no answer.
struct Loopback;

impl Resolve for Loopback {
    fn resolve(&self, host: &str) -> Resolving {
        if host == "slow.test" {
            return Box::pin(std::future::pending());
        }
        Box::pin(async { Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]) })
    }
}

fn connector(tls: &TlsSettings) -> Connector {
    Connector::new(Arc::new(Loopback), None, tls).unwrap()
}

fn target(https: bool, host: &str, port: u16) -> Target {
    Target { https, host: host.into(), port }
}

async fn open(connector: &Connector, target: &Target) -> Result<(Stream, Arc<Socket>)> {
    connector.open(target, &NoPermits, Some(Instant::now() + Duration::from_secs(20))).await
}

async fn failure(connector: &Connector, target: &Target) -> Error {
    open(connector, target).await.map(drop).unwrap_err()
}

/// Certificate authority of the tests.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        Self::named("an authority")
    }

    fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, names: &[&str], alter: impl FnOnce(&mut CertificateParams)) -> (rcgen::Certificate, KeyPair) {
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        alter(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }

    fn trusted(&self) -> TlsSettings {
        TlsSettings { extra_roots: vec![self.0.pem().into_bytes()], ..TlsSettings::default() }
    }

    /// Starts an echo server with this certificate; `client_auth` demands a client certificate of
    /// this authority.
    async fn serve(&self, (cert, key): (rcgen::Certificate, KeyPair), client_auth: bool) -> u16 {
        let provider = Arc::new(default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
        let builder = if client_auth {
            let mut roots = RootCertStore::empty();
            roots.add(self.0.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let mut config = builder.with_single_cert(vec![cert.der().clone()], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let (mut from, mut to) = tokio::io::split(acceptor.accept(tcp).await?);
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        port
    }
}

async fn echoes((stream, socket): (Stream, Arc<Socket>)) {
    let mut stream = MeteredStream::new(stream, socket.clone());
    stream.write_all(b"hello").await.unwrap();
    stream.flush().await.unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"hello");
    assert_eq!((socket.written(), socket.read()), (5, 5), "the counts are of plaintext");
}

#[test]
fn a_target_is_formatted_as_host_and_port() {
    assert_eq!(target(true, "a.test", 443).to_string(), "a.test:443");
    assert_eq!(target(false, "::1", 80).to_string(), "[::1]:80");
}

#[tokio::test]
async fn a_refused_connection_names_every_address() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let error = failure(&connector(&TlsSettings::default()), &target(false, "a.test", port)).await;
    assert_eq!((error.is_connect(), error.phase()), (true, Some(Phase::Connect)));
    assert!(error.to_string().contains(&format!("a.test: connection refused by 127.0.0.1:{port}")), "{error}");
}

#[tokio::test]
async fn the_filter_sees_every_address_in_canonical_form() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let filter = {
        let seen = seen.clone();
        move |address: IpAddr| {
            seen.lock().unwrap().push(address);
            !address.is_loopback()
        }
    };
    let connector = Connector::new(Arc::new(Loopback), Some(Arc::new(filter)), &TlsSettings::default()).unwrap();
    for host in ["a.test", "127.0.0.1", "::ffff:127.0.0.1"] {
        let error = failure(&connector, &target(false, host, 80)).await;
        assert_eq!((error.is_connect(), error.phase()), (true, Some(Phase::Resolve)));
        let expected = format!("every address of {host} was refused by the address filter: 127.0.0.1");
        assert!(error.to_string().contains(&expected), "{error}");
    }
    assert_eq!(*seen.lock().unwrap(), [IpAddr::V4(Ipv4Addr::LOCALHOST); 3]);
}

#[tokio::test]
async fn a_passed_deadline_names_the_phase() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let connector = connector(&TlsSettings { accept_invalid: true, ..TlsSettings::default() });
    for (host, phase, words) in [
        ("slow.test", Phase::Resolve, "slow.test".to_owned()),
        ("a.test", Phase::Tls, format!("a.test at 127.0.0.1:{port}")),
    ] {
        let deadline = Instant::now() + Duration::from_millis(200);
        let error = connector.open(&target(true, host, port), &NoPermits, Some(deadline)).await.map(drop).unwrap_err();
        assert!(error.is_timeout() && error.is_connect() && error.phase() == Some(phase), "{error}");
        assert!(error.to_string().contains(&words), "{error}");
    }
}

#[tokio::test]
async fn no_host_causes_a_panic() {
    let connector = Connector::new(Arc::new(SystemResolver), None, &TlsSettings::default()).unwrap();
    let long = "x".repeat(100_000);
    for host in ["", "nul\0here", &long, "::", "[", "%zz", " ", "..", "-", "0", "1.2.3", "\u{fc}.test", "127.0.0.1"] {
        for https in [false, true] {
            let error = failure(&connector, &target(https, host, 0)).await;
            assert!(error.is_connect(), "{error}");
        }
    }
}

#[tokio::test]
async fn tls_works_by_name_and_address_and_resumes() {
    let authority = Authority::new();
    let port = authority.serve(authority.issue(&["a.test", "127.0.0.1"], |_| {}), false).await;
    let connector = connector(&authority.trusted());
    let mut kinds = Vec::new();
    for host in ["a.test", "a.test.", "127.0.0.1", "127.0.0.1"] {
        let (stream, socket) = open(&connector, &target(true, host, port)).await.unwrap();
        let Stream::Tls(tls) = &stream else { panic!("not TLS") };
        assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        kinds.push(tls.get_ref().1.handshake_kind().unwrap());
        echoes((stream, socket)).await;
    }
    use HandshakeKind::{Full, Resumed};
    assert_eq!(kinds, [Full, Resumed, Full, Resumed]);
}

#[tokio::test]
async fn an_invalid_certificate_is_explained() {
    let authority = Authority::new();
    let verifying = connector(&authority.trusted());
    let expired = authority.issue(&["a.test"], |params| params.not_after = date_time_ymd(2020, 2, 29));
    let future = authority.issue(&["a.test"], |params| params.not_before = date_time_ymd(2150, 1, 2));
    let other = authority.issue(&["b.test", "192.0.2.1"], |_| {});
    let stranger = Authority::named("a stranger").issue(&["a.test"], |_| {});
    let namesake = Authority::new().issue(&["a.test"], |_| {});
    for (certificate, reason) in [
        (expired, "it expired on 2020-02-29"),
        (future, "it is not valid before 2150-01-02"),
        (other, "it is not valid for this name (it is for b.test, 192.0.2.1)"),
        (stranger, "its issuer is not trusted here"),
        (namesake, "it was not signed by the trusted issuer whose name it bears"),
    ] {
        let to = target(true, "a.test", authority.serve(certificate, false).await);
        let error = failure(&verifying, &to).await;
        assert_eq!((error.is_connect(), error.phase()), (true, Some(Phase::Tls)));
        let expected = format!("the certificate of a.test was not accepted: {reason}");
        assert!(error.to_string().contains(&expected), "{error}");
        assert!(std::error::Error::source(&error).is_some());

        let accepting = connector(&TlsSettings { accept_invalid: true, ..TlsSettings::default() });
        echoes(open(&accepting, &to).await.unwrap()).await;
    }
}

#[tokio::test]
async fn a_server_without_tls_is_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await?;
        tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await?;
        tcp.read_to_end(&mut Vec::new()).await
    });
    let error = failure(&connector(&Authority::new().trusted()), &target(true, "a.test", port)).await;
    assert!(error.to_string().contains("a.test does not speak TLS on this port"), "{error}");
}

#[tokio::test]
async fn a_client_certificate_is_presented_on_request() {
    let authority = Authority::new();
    let port = authority.serve(authority.issue(&["a.test"], |_| {}), true).await;
    let (cert, key) = authority.issue(&["client.test"], |_| {});
    let identity = Some(format!("{}{}", cert.pem(), key.serialize_pem()).into_bytes());
    let settings = TlsSettings { identity, ..authority.trusted() };
    let known = connector(&settings);
    echoes(open(&known, &target(true, "a.test", port)).await.unwrap()).await;

    let shown = format!("{settings:?} {known:?}");
    assert!(!shown.contains("BEGIN") && shown.contains("identity: true"), "{shown}");
}

#[test]
fn the_configuration_survives_the_runtime_that_built_it() {
    let authority = Authority::new();
    let connector = connector(&authority.trusted());
    for _ in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let port = authority.serve(authority.issue(&["a.test"], |_| {}), false).await;
            let to = target(true, "a.test", port);
            let (first, second) = tokio::join!(open(&connector, &to), open(&connector, &to));
            echoes(first.unwrap()).await;
            echoes(second.unwrap()).await;
        });
    }
}
