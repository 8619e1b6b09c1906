//! What rustls objects to, in words for somebody who does not know rustls.

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error};

/// Why the handshake with `host` failed.
pub(super) fn in_words(host: &str, error: &Error) -> String {
    match error {
        Error::InvalidCertificate(reason) => {
            format!("the certificate of {host} was not accepted: {}", certificate(reason))
        }
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            format!("{host} wants to know who is asking: it needs a client certificate (`client_identity`)")
        }
        Error::AlertReceived(alert) => format!("{host} ended the TLS handshake with the alert {alert:?}"),
        // The first bytes were no TLS record.
        Error::InvalidMessage(_) => format!("{host} does not speak TLS on this port"),
        Error::PeerIncompatible(_) => format!("{host} has no TLS version or cipher suite in common with this program"),
        _ => format!("the TLS handshake with {host} failed"),
    }
}

fn certificate(reason: &CertificateError) -> String {
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
            format!("it is not valid for this name (it is for {})", names(presented))
        }
        E::UnknownIssuer => "its issuer is not trusted here (`add_root_certificate` adds one)".into(),
        E::Revoked => "it was revoked".into(),
        // Mostly an authority that was made anew under the same name.
        E::BadSignature => "it was not signed by the trusted issuer whose name it bears".into(),
        E::BadEncoding => "it is malformed".into(),
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => "it was not issued for servers".into(),
        E::Other(other) => format!("{other}"),
        other => format!("{other}"),
    }
}

/// webpki writes `DnsName("a.example")` and `IpAddress(192.0.2.1)`.
fn names(presented: &[String]) -> String {
    const MOST: usize = 5;
    let plain = |name: &String| {
        let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
        inner.trim_matches('"').to_owned()
    };
    let mut list = presented.iter().take(MOST).map(plain).collect::<Vec<_>>().join(", ");
    if MOST < presented.len() {
        list.push_str(&format!(" and {} more", presented.len() - MOST));
    }
    list
}

/// The day, in UTC: Howard Hinnant's `civil_from_days`, for days since 1970.
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
    fn dates() {
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
        // However far away: a certificate may say anything.
        let _ = date(UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX)));
    }

    #[test]
    fn names_are_shown_as_people_write_them() {
        let presented =
            ["DnsName(\"a.example\")".to_owned(), "IpAddress(192.0.2.1)".to_owned(), "DirectoryName".to_owned()];
        assert_eq!(names(&presented), "a.example, 192.0.2.1, DirectoryName");
        assert_eq!(names(&vec!["x".to_owned(); 7]), "x, x, x, x, x and 2 more");
    }
}
