//! Client address of a request, resolved through trusted proxies.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::{HeaderMap, header};

use crate::settings::TrustedProxies;

impl TrustedProxies {
    /// The address of the client that sent this over a connection from `peer`.
    ///
    /// `X-Forwarded-For` and `Forwarded` (RFC 7239) can be written by anyone, but each proxy
    /// appends the address that it saw itself. So they are read from the right: beginning with
    /// the connection's own peer, each address that is a trusted proxy's is passed by, and
    /// the first that is not is the client. What stands left of it is hearsay. If both headers are
    /// there and tell different tales, neither is believed: a proxy that writes one of them
    /// would pass on the other as the client made it up.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return peer;
        }
        let (by_list, by_standard) = (x_forwarded_for(headers), forwarded(headers));
        let chain = match (by_list.is_empty(), by_standard.is_empty()) {
            (_, true) => by_list,
            (true, false) => by_standard,
            (false, false) if by_list == by_standard => by_list,
            (false, false) => return peer,
        };
        let mut nearest = peer;
        for hop in chain.into_iter().rev() {
            // An entry without an address ("unknown", "_hidden"): the proxy that wrote it is the
            // nearest known.
            let Some(hop) = hop else { return nearest };
            nearest = hop;
            if !self.trusts(hop) {
                break;
            }
        }
        nearest
    }
}

/// The addresses of all its lines, the nearest proxy's word last.
fn x_forwarded_for(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let lines = headers.get_all("x-forwarded-for").iter();
    lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b',')).map(address).collect()
}

/// The same of the standard header: of each element its `for`.
fn forwarded(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let lines = headers.get_all(header::FORWARDED).iter();
    let elements = lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b','));
    elements.map(|element| element.split(|&byte| byte == b';').find_map(forwarded_for).and_then(address)).collect()
}

fn forwarded_for(pair: &[u8]) -> Option<&[u8]> {
    let pair = pair.trim_ascii();
    let (name, value) = pair.split_at_checked(4)?;
    name.eq_ignore_ascii_case(b"for=").then_some(value)
}

/// `192.0.2.1`, `192.0.2.1:8080`, `2001:db8::1`, `[2001:db8::1]:8080`, in quotes or not.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?.trim().trim_matches('"');
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let parsed = bare.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    parsed.ok().map(|address| address.to_canonical())
}

/// Address block of one customer of a network: an address in IPv4, in IPv6 the first half, within
/// which a client moves at will (RFC 4291, 2.5.1).
pub(crate) fn one_customers(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (header::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn client(trusted: &str, peer: &str, lines: &[(&'static str, &str)]) -> String {
        let trusted: TrustedProxies = trusted.parse().unwrap();
        trusted.client(peer.parse().unwrap(), &headers(lines)).to_string()
    }

    #[test]
    fn no_proxy_is_trusted_by_default() {
        let lines = headers(&[("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.1")]);
        let peer = "127.0.0.1".parse().unwrap();
        assert_eq!(TrustedProxies::default().client(peer, &lines), peer);
    }

    #[test]
    fn the_client_is_the_rightmost_that_no_trusted_proxy_is() {
        let chain = [("x-forwarded-for", "1.1.1.1, 192.0.2.1, 10.0.0.7")];
        for (trusted, peer, expected) in [
            ("private", "10.0.0.1", "192.0.2.1"),
            ("10.0.0.1", "10.0.0.1", "10.0.0.7"),
            ("10.0.0.0/8,192.0.2.0/24", "10.0.0.1", "1.1.1.1"),
            ("10.0.0.0/8", "203.0.113.9", "203.0.113.9"),
            ("10.0.0.0/8", "::ffff:10.0.0.1", "192.0.2.1"),
            ("0.0.0.0/0", "10.0.0.1", "1.1.1.1"),
        ] {
            assert_eq!(client(trusted, peer, &chain), expected, "{trusted} {peer}");
        }
    }

    #[test]
    fn several_lines_are_one_list() {
        let lines = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "192.0.2.1")];
        assert_eq!(client("private", "127.0.0.1", &lines), "192.0.2.1");
    }

    #[test]
    fn the_standard_header_is_understood() {
        for (value, expected) in [
            ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("for=1.1.1.1, for=\"192.0.2.43:80\"", "192.0.2.43"),
            ("for=192.0.2.43, for=unknown", "127.0.0.1"),
            ("for=_hidden", "127.0.0.1"),
            ("proto=https", "127.0.0.1"),
        ] {
            assert_eq!(client("private", "127.0.0.1", &[("forwarded", value)]), expected, "{value}");
        }
    }

    #[test]
    fn headers_that_disagree_are_not_believed() {
        let lines = [("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=1.1.1.1")];
        assert_eq!(client("private", "127.0.0.1", &lines), "127.0.0.1");
        let lines = [("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=\"192.0.2.1\";proto=http")];
        assert_eq!(client("private", "127.0.0.1", &lines), "192.0.2.1");
    }

    #[test]
    fn a_customer_has_one_address_or_half_of_one() {
        for (address, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2::", "2001:db8:1:2::"),
        ] {
            assert_eq!(one_customers(address.parse().unwrap()).to_string(), expected);
        }
    }
}
