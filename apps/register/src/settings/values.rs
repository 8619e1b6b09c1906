//! Parsers of values on the command line and in the environment: addresses, numbers, durations,
//! limits.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use email_address::EmailAddress;
use url::Url;

/// Rate, such as `5/1h`, or `off` for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// No limit.
    Off,
    /// At most this number, at least one, in this period.
    Per(u32, Duration),
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let wrong = || "write how often in how long, such as `5/1h`, or `off`".to_owned();
        let (count, time) = text.split_once('/').ok_or_else(wrong)?;
        let count = count.parse().ok().filter(|&count| count > 0).ok_or_else(wrong)?;
        let time = span(time)?;
        Ok(Self::Per(count, time))
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Per(count, time) => write!(f, "{count}/{}", humantime::format_duration(*time)),
        }
    }
}

/// Duration above zero, of at most one year.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    match span_or_zero(text)? {
        Duration::ZERO => Err("it has to be longer than nothing".to_owned()),
        span => Ok(span),
    }
}

/// Duration of at most one year. A longer one is a typing error, and would overflow later.
pub(super) fn span_or_zero(text: &str) -> Result<Duration, String> {
    const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);
    let span = humantime::parse_duration(text);
    let span =
        span.map_err(|_| "write a number with its unit, such as `500ms`, `90s`, `5m`, `2h` or `30d`".to_owned())?;
    if span > YEAR { Err("it has to be a year at most".to_owned()) } else { Ok(span) }
}

/// IP address and port to listen on. A name is refused, because it may stand for several addresses.
pub(super) fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "write an IP address and a port, such as `127.0.0.1:3000` or `[::1]:3000`".to_owned())
}

/// Whole number of at least one.
pub(super) fn one_or_more<N: FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| "write a whole number, 1 or more".to_owned())
}

/// A whole number in this range.
pub(super) fn within(range: RangeInclusive<u32>) -> impl Fn(&str) -> Result<u32, String> + Clone {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| format!("write a whole number from {} to {}", range.start(), range.end()))
    }
}

/// A base URL for paths: `http` or `https`, with a host.
pub(super) fn web_address(text: &str) -> Result<Url, String> {
    let wrong = |what| format!("{what}; write something like `https://example.com`");
    let url = Url::parse(text).map_err(|error| wrong(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong(format!("it begins with `{}:`", url.scheme())));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it must not hold a `?` or `#`".to_owned()));
    }
    Ok(url)
}

/// Sender of mail in a form that SES accepts: `mail@example.com` or `Example <mail@example.com>`.
///
/// # Errors
///
/// The text is not a sender; the message says why and gives an example.
pub fn sender(text: &str) -> Result<String, String> {
    if text.parse::<EmailAddress>().is_err() || text.chars().any(char::is_control) {
        return Err(
            "it is no address: write something like `mail@example.com` or `Example <mail@example.com>`".to_owned()
        );
    }
    if !text.is_ascii() {
        return Err("it has to be ASCII: write other letters of a name as an encoded word (RFC 2047), those of a domain as Punycode"
            .to_owned());
    }
    Ok(text.to_owned())
}

/// AWS region. It becomes part of a host name, so other characters are refused.
///
/// # Errors
///
/// The text is not the name of a region.
pub fn region(text: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    match !text.is_empty() && text.bytes().all(fits) {
        true => Ok(text.to_owned()),
        false => Err("it is no AWS region: they are written like `eu-central-1`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_read_as_it_is_written() {
        for text in ["off", "5/1h", "30/1m", "1000/1s"] {
            assert_eq!(text.parse::<Limit>().unwrap().to_string(), text);
        }
        for text in ["", "5", "5/", "/1h", "0/1h", "-1/1h", "5/1", "5/0s", "5/h", "4294967296/1h", "Off"] {
            assert!(text.parse::<Limit>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_duration_needs_a_unit_and_is_bounded() {
        assert_eq!(span("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(span("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(span_or_zero("0s"), Ok(Duration::ZERO));
        for text in ["", "90", "s", "-1s", "0s", "2years", "99999999999999999999s"] {
            assert!(span(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_number_is_whole_and_bounded() {
        assert_eq!(within(2..=10)("10"), Ok(10));
        assert_eq!(one_or_more("1"), Ok(std::num::NonZeroU32::MIN));
        for text in ["", "0", "-1", "1.5", "eight", "99999999999999999999"] {
            assert!(within(2..=10)(text).is_err() && one_or_more::<std::num::NonZeroU32>(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_web_address_is_a_base_url_for_paths() {
        assert!(web_address("https://example.com").is_ok());
        assert!(web_address("http://127.0.0.1:3000/sign-up").is_ok());
        for text in ["", "example.com", "ftp://example.com", "https://", "https://a.org/?b", "https://a.org/#c"] {
            assert!(web_address(text).is_err(), "{text:?}");
        }
    }
}
