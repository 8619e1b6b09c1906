//! PEM settings: parses root certificates and the client identity, and explains unusable text.

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::error::{Error, Result};

/// Parses the root certificates of one PEM text.
pub(super) fn roots(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    const WANTED: &str = "expected PEM text with one or more sections \"-----BEGIN CERTIFICATE-----\"";
    let certificates = certificates(pem, "root certificate", WANTED)?;
    for certificate in &certificates {
        // Parsed now, so that an invalid certificate fails here and not at the first connection.
        RootCertStore::empty().add(certificate.clone()).map_err(|error| {
            Error::input(format!("root certificate: a section is not an X.509 certificate; {WANTED}")).because(error)
        })?;
    }
    Ok(certificates)
}

/// Parses a certificate chain and its private key.
pub(super) fn identity(pem: &[u8], provider: &CryptoProvider) -> Result<CertifiedKey> {
    const WANTED: &str = "expected PEM text with the certificate chain (the client's own certificate first, as \
        \"-----BEGIN CERTIFICATE-----\") and its unencrypted key (\"-----BEGIN PRIVATE KEY-----\", \"RSA PRIVATE KEY\" or \
        \"EC PRIVATE KEY\")";
    let chain = certificates(pem, "client identity", WANTED)?;
    let mut keys = PrivateKeyDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().map_err(|_| {
        // Without a source: the parser's error may quote a line of the text.
        Error::input(format!("client identity: the private key is not readable; {WANTED}"))
    })?;
    let (Some(key), true) = (keys.pop(), keys.is_empty()) else {
        let found = describe_content(pem);
        return Err(Error::input(format!("client identity: not exactly one private key: found {found}; {WANTED}")));
    };
    CertifiedKey::from_der(chain, key, provider).map_err(|error| {
        let detail = match error {
            rustls::Error::InconsistentKeys(_) => {
                "client identity: the private key is not the first certificate's".into()
            }
            _ => format!("client identity: the certificate or its key cannot be used; {WANTED}"),
        };
        Error::input(detail).because(error)
    })
}

fn certificates(pem: &[u8], setting: &str, wanted: &str) -> Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().map_err(|_| {
        // Without a source: the parser's error may quote a line of the text.
        Error::input(format!("{setting}: the PEM text is damaged; {wanted}"))
    })?;
    if certificates.is_empty() {
        return Err(Error::input(format!("{setting}: no certificate: found {}; {wanted}", describe_content(pem))));
    }
    Ok(certificates)
}

/// Describes the text by its headings only: its content may be a key.
fn describe_content(pem: &[u8]) -> String {
    const MAX_HEADINGS: usize = 5;
    if pem.is_empty() {
        return "nothing".into();
    }
    let text = String::from_utf8_lossy(pem);
    let heading = |line: &str| {
        let label = line.trim_end().strip_prefix("-----BEGIN ")?.strip_suffix("-----")?;
        let is_label = label.len() <= 40
            && label.bytes().all(|byte| byte.is_ascii_uppercase() || matches!(byte, b' ' | b'0'..=b'9'));
        is_label.then(|| format!("\"{label}\""))
    };
    let headings: Vec<_> = text.lines().filter_map(heading).take(MAX_HEADINGS).collect();
    match pem {
        _ if !headings.is_empty() => headings.join(", "),
        // The tag of an ASN.1 sequence, the first byte of every DER certificate and key.
        [0x30, length, ..] if 0x80 < *length => {
            "binary data (DER: `openssl x509 -inform der` converts a certificate)".into()
        }
        _ => format!("{} bytes without a PEM heading", pem.len()),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey as GeneratedKey, generate_simple_self_signed};
    use rustls::crypto::ring::default_provider;

    use super::*;

    fn generate() -> (String, String) {
        let GeneratedKey { cert, signing_key } = generate_simple_self_signed(["client.test".to_owned()]).unwrap();
        (cert.pem(), signing_key.serialize_pem())
    }

    #[test]
    fn valid_settings_are_accepted() {
        let (cert, key) = generate();
        assert_eq!(roots(format!("{cert}\n# a comment\n{cert}").as_bytes()).unwrap().len(), 2);
        assert_eq!(identity(format!("{key}{cert}").as_bytes(), &default_provider()).unwrap().cert.len(), 1);
    }

    #[test]
    fn bad_settings_are_explained_without_their_secrets() {
        let (cert, key) = generate();
        let (_, other_key) = generate();
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let fake = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let cut = cert.replace("-----END CERTIFICATE-----", "");
        let identity = |pem: String| identity(pem.as_bytes(), &default_provider()).map(drop);
        let cases = [
            (roots(b"").map(drop), "found nothing"),
            (roots(b"hello").map(drop), "found 5 bytes without a PEM heading"),
            (roots(&[0x30, 0x82, 1, 2, 3]).map(drop), "binary data (DER"),
            (roots(key.as_bytes()).map(drop), "found \"PRIVATE KEY\""),
            (roots(fake.as_bytes()).map(drop), "not an X.509 certificate"),
            (roots(cut.as_bytes()).map(drop), "the PEM text is damaged"),
            (identity(cert.clone()), "not exactly one private key: found \"CERTIFICATE\""),
            (identity(key.clone()), "no certificate: found \"PRIVATE KEY\""),
            (identity(format!("{cert}{encrypted}")), "\"ENCRYPTED PRIVATE KEY\""),
            (identity(format!("{cert}{other_key}")), "the private key is not the first certificate's"),
            (identity(format!("{cert}{key}{other_key}")), "not exactly one private key"),
        ];
        for (outcome, expected) in cases {
            let error = outcome.unwrap_err();
            assert!(error.is_input());
            let shown = format!("{error} {error:?}");
            assert!(error.to_string().contains(expected), "{shown}");
            for key in [&key, &other_key] {
                assert!(!shown.contains(key.lines().nth(1).unwrap()), "{shown}");
            }
        }
    }
}
