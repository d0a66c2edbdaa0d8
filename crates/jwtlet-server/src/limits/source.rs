//! Where a request comes from.
//!
//! That is the other end of the connection. Only when it is a proxy that the operator trusts, its word about the client
//! counts: of the addresses in the configured header the last one that is no such proxy. Whatever stands before it, the
//! client may have written itself.

use std::net::{IpAddr, Ipv6Addr};

use axum::http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;

/// Where trusted proxies say for whom they ask. One of them only: a proxy passes the other one on as the client wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, a list of addresses.
    XForwardedFor,
    /// `Forwarded` of RFC 7239.
    Forwarded,
}

/// The proxies that are believed.
#[derive(Debug, Clone)]
pub struct Proxies {
    /// Their addresses.
    pub trusted: Vec<IpNet>,
    /// Where they say for whom they ask.
    pub header: ForwardedHeader,
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

impl Proxies {
    /// The source of a request, as limits count it.
    pub(crate) fn source(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        network(self.client(peer.to_canonical(), headers))
    }

    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.trusts(peer) {
            return peer;
        }
        let name = match self.header {
            ForwardedHeader::XForwardedFor => X_FORWARDED_FOR,
            ForwardedHeader::Forwarded => header::FORWARDED,
        };
        let mut client = peer;
        let lines = headers.get_all(name).iter().rev();
        for element in lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(',')) {
            // What is no address, the proxy that wrote it keeps for itself, and stands for it.
            let Some(address) = self.address(element) else { break };
            client = address;
            if !self.trusts(address) {
                break;
            }
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&address))
    }

    fn address(&self, element: &str) -> Option<IpAddr> {
        let node = match self.header {
            ForwardedHeader::XForwardedFor => element,
            ForwardedHeader::Forwarded => element.split(';').find_map(|pair| {
                let (name, value) = pair.split_once('=')?;
                name.trim().eq_ignore_ascii_case("for").then_some(value)
            })?,
        };
        parse_node(node.trim().trim_matches('"'))
    }
}

/// An address with or without a port; IPv6 may stand in brackets.
fn parse_node(node: &str) -> Option<IpAddr> {
    let address = match node.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None if node.matches(':').count() == 1 => node.split_once(':')?.0,
        None => node,
    };
    address.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// Whoever has one IPv6 address has the rest of its /64 as well.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn source(header: ForwardedHeader, peer: &str, lines: &[&str]) -> String {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).into();
        let mut headers = HeaderMap::new();
        for line in lines {
            let name = if header == ForwardedHeader::Forwarded { header::FORWARDED } else { X_FORWARDED_FOR };
            headers.append(name, HeaderValue::from_str(line).unwrap());
        }
        Proxies { trusted, header }.source(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn the_source_is_the_last_address_that_is_no_trusted_proxy() {
        for (peer, lines, expected) in [
            ("192.0.2.1", &["198.51.100.1"][..], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("::ffff:10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("10.0.0.1", &["203.0.113.9, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["203.0.113.9, 198.51.100.1, 10.1.1.1"], "198.51.100.1"),
            ("10.0.0.1", &["203.0.113.9", "198.51.100.1", "10.1.1.1"], "198.51.100.1"),
            ("10.0.0.1", &["10.2.2.2, 10.1.1.1"], "10.2.2.2"),
            ("10.0.0.1", &["198.51.100.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1, junk, 10.1.1.1"], "10.1.1.1"),
            ("fd00::1", &["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::"),
            ("2001:db8:1:2:3:4:5:6", &["198.51.100.1"], "2001:db8:1:2::"),
        ] {
            assert_eq!(source(ForwardedHeader::XForwardedFor, peer, lines), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn forwarded_of_rfc_7239_is_read_in_the_same_way() {
        for (lines, expected) in [
            (&["for=198.51.100.1"][..], "198.51.100.1"),
            (&["for=203.0.113.9, For=\"198.51.100.1:80\";proto=https;by=10.0.0.1"], "198.51.100.1"),
            (&["proto=http;for=\"[2001:db8:1:2::7]:4711\"", "for=10.1.1.1"], "2001:db8:1:2::"),
            (&["for=198.51.100.1, for=_hidden"], "10.0.0.1"),
            (&["by=198.51.100.1"], "10.0.0.1"),
        ] {
            assert_eq!(source(ForwardedHeader::Forwarded, "10.0.0.1", lines), expected, "{lines:?}");
        }
    }
}
