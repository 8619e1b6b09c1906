//! Certificate verification: the verifier that accepts any certificate, and plain descriptions of
//! rustls errors.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, DigitallySignedStruct, Error, SignatureScheme};

/// Verifier that accepts any certificate. It still checks the handshake signature where webpki can
/// parse the certificate: the server must have the key of the certificate it presents.
#[derive(Debug)]
pub(super) struct AcceptAny(pub(super) Arc<CryptoProvider>);

impl AcceptAny {
    fn accept_unless_forged(checked: Result<HandshakeSignatureValid, Error>) -> Result<HandshakeSignatureValid, Error> {
        match checked {
            Err(Error::InvalidCertificate(CertificateError::BadSignature)) => checked,
            // webpki cannot parse the certificate (X.509 v1, unknown critical extensions), as on
            // old devices.
            Err(Error::InvalidCertificate(_)) => Ok(HandshakeSignatureValid::assertion()),
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
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::accept_unless_forged(verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        ))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::accept_unless_forged(verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        ))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Describes why the handshake with `host` failed.
pub(super) fn describe(host: &str, error: &Error) -> String {
    match error {
        Error::InvalidCertificate(reason) => {
            format!("the certificate of {host} was not accepted: {}", describe_certificate_error(reason))
        }
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            format!("{host} requires a client certificate (`client_identity`)")
        }
        Error::AlertReceived(alert) => format!("{host} ended the TLS handshake with the alert {alert:?}"),
        // The first bytes are not a TLS record.
        Error::InvalidMessage(_) => format!("{host} does not speak TLS on this port"),
        Error::PeerIncompatible(_) => format!("{host} has no TLS version or cipher suite in common with this program"),
        _ => format!("the TLS handshake with {host} failed"),
    }
}

fn describe_certificate_error(reason: &CertificateError) -> String {
    use CertificateError as E;
    match reason {
        E::Expired => "it expired".into(),
        E::ExpiredContext { not_after, .. } => format!("it expired on {}", date(*not_after)),
        E::NotValidYet => "it is not valid yet".into(),
        E::NotValidYetContext { not_before, .. } => {
            format!("it is not valid before {} (is this machine's clock right?)", date(*not_before))
        }
        E::NotValidForName => "it is not valid for this name".into(),
        E::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            "it is not valid for this name (it has no names)".into()
        }
        E::NotValidForNameContext { presented, .. } => {
            format!("it is not valid for this name (it is for {})", list_names(presented))
        }
        E::UnknownIssuer => "its issuer is not trusted here (`add_root_certificate` adds one)".into(),
        E::Revoked => "it was revoked".into(),
        // Usually an authority that was recreated under the same name.
        E::BadSignature => "it was not signed by the trusted issuer whose name it bears".into(),
        E::BadEncoding => "it is malformed".into(),
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => "it was not issued for servers".into(),
        // The source of the error has the details.
        _ => "its verification failed".into(),
    }
}

/// Formats the names of a certificate; webpki writes `DnsName("a.example")` and
/// `IpAddress(192.0.2.1)`.
fn list_names(presented: &[String]) -> String {
    const MAX_NAMES: usize = 5;
    let plain = |name: &String| {
        let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
        inner.trim_matches('"').to_owned()
    };
    let mut list = presented.iter().take(MAX_NAMES).map(plain).collect::<Vec<_>>().join(", ");
    if MAX_NAMES < presented.len() {
        list.push_str(&format!(" and {} more", presented.len() - MAX_NAMES));
    }
    list
}

/// Formats the UTC day, by Howard Hinnant's `civil_from_days`.
fn date(time: UnixTime) -> String {
    let days = time.as_secs() / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn days_are_formatted_as_iso_dates() {
        let cases = [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_735_689_599, "2024-12-31"),
            (4_107_542_400, "2100-03-01"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(date(UnixTime::since_unix_epoch(Duration::from_secs(seconds))), expected);
        }
        // A certificate may contain any date, however far away.
        let _ = date(UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX)));
    }

    #[test]
    fn names_are_listed_without_their_type() {
        let presented =
            ["DnsName(\"a.example\")".to_owned(), "IpAddress(192.0.2.1)".to_owned(), "DirectoryName".to_owned()];
        assert_eq!(list_names(&presented), "a.example, 192.0.2.1, DirectoryName");
        assert_eq!(list_names(&vec!["x".to_owned(); 7]), "x, x, x, x, x and 2 more");
    }
}
