//! A certificate authority of a test's own, and the certificates it signs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;

/// A certificate and its key, both PEM.
pub type Identity = (String, String);

pub struct TestCa {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl TestCa {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // By its name a client finds an authority: two of one name would be taken for one.
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("test authority {}", NEXT.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer }
    }

    /// The authority's own certificate: what a client is to trust.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A server's certificate for these names; IP addresses become IP names.
    pub fn server_cert(&self, names: &[&str]) -> Identity {
        self.sign(names, ExtendedKeyUsagePurpose::ServerAuth, |_| {})
    }

    /// A server's certificate that ended in 2001.
    pub fn expired_cert(&self, names: &[&str]) -> Identity {
        self.sign(names, ExtendedKeyUsagePurpose::ServerAuth, |params| {
            params.not_before = date_time_ymd(2000, 1, 1);
            params.not_after = date_time_ymd(2001, 1, 1);
        })
    }

    /// A server's certificate for a host that no test asks for.
    pub fn wrong_name_cert(&self) -> Identity {
        self.server_cert(&["elsewhere.invalid"])
    }

    /// A client's certificate.
    pub fn client_cert(&self, name: &str) -> Identity {
        self.sign(&[name], ExtendedKeyUsagePurpose::ClientAuth, |_| {})
    }

    /// A TLS server's settings with this identity; with `client_ca`, clients must show a
    /// certificate of that authority.
    pub fn server_config(identity: &Identity, client_ca: Option<&Self>) -> Arc<rustls::ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(ca) => builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(ca.roots()), provider).build().unwrap(),
            ),
        };
        let (chain, key) = parse(identity);
        Arc::new(builder.with_single_cert(chain, key).unwrap())
    }

    /// A plain rustls client's settings that trust this authority only, to test the tests with.
    pub fn client_config(&self, identity: Option<&Identity>) -> Arc<rustls::ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots());
        Arc::new(match identity.map(parse) {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
        })
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.as_ref().der().clone()).unwrap();
        roots
    }

    fn sign(
        &self,
        names: &[&str],
        purpose: ExtendedKeyUsagePurpose,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Identity {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names.clone()).unwrap();
        params.distinguished_name.push(DnType::CommonName, names.join(" "));
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

fn parse((certificate, key): &Identity) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).map(Result::unwrap).collect();
    (chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap())
}

#[tokio::test]
async fn certificates_are_accepted_or_refused_for_what_they_are() {
    let (ca, stranger) = (TestCa::new(), TestCa::new());
    let good = ca.server_cert(&["localhost", "127.0.0.1"]);
    handshake(&ca, &good, None).await.unwrap();

    let refused = [
        (ca.expired_cert(&["localhost"]), "Expired"),
        (ca.wrong_name_cert(), "not valid for name"),
        (stranger.server_cert(&["localhost"]), "UnknownIssuer"),
    ];
    for (identity, why) in refused {
        let error = handshake(&ca, &identity, None).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(why), "{why}: {text}");
    }
}

#[tokio::test]
async fn a_server_can_insist_on_a_client_certificate() {
    let ca = TestCa::new();
    let server = ca.server_cert(&["localhost"]);
    handshake(&ca, &server, Some(Some(&ca.client_cert("tester")))).await.unwrap();
    handshake(&ca, &server, Some(None)).await.unwrap_err();
}

/// `client`: whether the server asks for a client's certificate, and the one it is shown.
#[cfg(test)]
async fn handshake(ca: &TestCa, server: &Identity, client: Option<Option<&Identity>>) -> std::io::Result<()> {
    let (ours, theirs) = tokio::io::duplex(16 * 1024);
    let acceptor = tokio_rustls::TlsAcceptor::from(TestCa::server_config(server, client.map(|_| ca)));
    let connector = tokio_rustls::TlsConnector::from(ca.client_config(client.flatten()));
    let (accepted, connected) =
        tokio::join!(acceptor.accept(theirs), connector.connect("localhost".try_into().unwrap(), ours));
    // The client's word comes first: it names what it refuses.
    connected?;
    accepted.map(drop)
}
