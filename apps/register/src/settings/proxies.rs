//! Trusted proxies, as set.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// Networks of proxies whose forwarding headers are trusted. By default none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// Networks that `private` stands for: loopback, private (RFC 1918), unique local (RFC 4193) and
/// link-local addresses.
const PRIVATE: [&str; 7] =
    ["127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7", "fe80::/10"];

impl TrustedProxies {
    /// Proxies on this machine and in private networks.
    pub fn private() -> Self {
        Self(PRIVATE.iter().filter_map(|network| network.parse().ok()).collect())
    }

    /// True if the address belongs to a trusted proxy.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// The networks, separated by commas: `private`, `10.1.2.3`, `203.0.113.0/24`, `2001:db8::/32`.
impl FromStr for TrustedProxies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            |part| format!("{part:?} is no address or network: write `10.1.2.3`, `203.0.113.0/24` or `private`");
        let mut networks = Vec::new();
        for part in text.split(',').map(str::trim) {
            match part {
                "private" => networks.extend(Self::private().0),
                part => networks.push(network(part).ok_or_else(|| wrong(part))?),
            }
        }
        Ok(Self(networks))
    }
}

fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_network_is_named() {
        let error = "10.0.0.1,everyone".parse::<TrustedProxies>().unwrap_err();
        assert!(error.starts_with("\"everyone\" is no address or network"), "{error}");
        assert!("".parse::<TrustedProxies>().is_err());
    }
}
