//! The client of a request: the peer of its connection, or the client that a trusted proxy names.
//!
//! Any client can send `x-forwarded-for`. Such headers are overwritten unless the peer is a trusted proxy, and only the part
//! added by trusted proxies counts.

use std::{net::IpAddr, str::FromStr};

use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

use crate::dispatch::Scheme;

const CF_CONNECTING_IP: HeaderName = HeaderName::from_static("cf-connecting-ip");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Further headers that proxies set and frameworks trust, besides `X-Forwarded-…` and Cloudflare's.
const OTHERS: [&str; 10] = [
    "fastly-client-ip",
    "forwarded",
    "front-end-https",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-forwarded-for",
    "x-original-host",
    "x-original-url",
    "x-rewrite-url",
];

/// Returns whether a header is set by proxies. Prefixes match future headers of Cloudflare (`cf-ipcountry`, `cf-access-…`)
/// and of `x-forwarded-…`.
fn is_of_proxies(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("cf-") || name.starts_with("x-forwarded-") || OTHERS.contains(&name)
}

/// Maximum number of examined addresses of a chain.
const CHAIN_MAX: usize = 64;

/// A peer that is trusted to name its client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrustedProxy {
    /// Peers with an address in this network.
    Network(IpNet),
    /// Peers on a Unix socket.
    Unix,
}

/// An error from parsing a trusted proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write an address (`10.0.0.1`), a network (`10.0.0.0/8`, `fd00::/8`) or `unix`")]
pub struct TrustedProxyError;

impl FromStr for TrustedProxy {
    type Err = TrustedProxyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "unix" {
            return Ok(Self::Unix);
        }
        let address = text.parse::<IpAddr>().map(IpNet::from);
        let network = address.or_else(|_| text.parse::<IpNet>().map(|network| network.trunc()));
        network.map(Self::Network).map_err(|_| TrustedProxyError)
    }
}

impl TrustedProxy {
    fn is(&self, peer: Option<IpAddr>) -> bool {
        match (self, peer) {
            (Self::Network(network), Some(peer)) => network.contains(&peer),
            (Self::Unix, None) => true,
            _ => false,
        }
    }
}

/// The peer of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// `None` on a Unix socket.
    address: Option<IpAddr>,
    scheme: Scheme,
    is_trusted: bool,
    /// The address as a header has it.
    written: Option<HeaderValue>,
}

/// The client of a request and its scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) address: Option<IpAddr>,
    pub(crate) scheme: Scheme,
}

impl Peer {
    pub(crate) fn new(address: Option<IpAddr>, scheme: Scheme, trusted: &[TrustedProxy]) -> Self {
        // A dual-stack listener reports IPv4 peers as IPv4-mapped IPv6 addresses.
        let address = address.map(|address| address.to_canonical());
        Self {
            address,
            scheme,
            is_trusted: trusted.iter().any(|proxy| proxy.is(address)),
            written: address.and_then(written),
        }
    }

    /// Returns whether it is a proxy.
    pub(crate) const fn is_proxy(&self) -> bool {
        self.is_trusted
    }

    /// Determines the client of a request, and sets its headers accordingly.
    pub(crate) fn client(&self, headers: &mut HeaderMap, trusted: &[TrustedProxy]) -> Client {
        let proxy = if self.is_trusted {
            proxy_headers(headers, trusted)
        } else {
            let theirs: Vec<HeaderName> = headers.keys().filter(|name| is_of_proxies(name)).cloned().collect();
            theirs.iter().for_each(|name| drop(headers.remove(name)));
            ProxyHeaders::default()
        };
        let client = Client {
            address: proxy.address.or(self.address),
            scheme: proxy.scheme.unwrap_or(self.scheme),
        };
        let address = proxy.address.map_or_else(|| self.written.clone(), written);
        match address {
            Some(address) => {
                headers.insert(X_FORWARDED_FOR, proxy.chain.unwrap_or_else(|| address.clone()));
                headers.insert(X_REAL_IP, address.clone());
                headers.insert(CF_CONNECTING_IP, address);
            }
            None => {
                for name in [X_FORWARDED_FOR, X_REAL_IP, CF_CONNECTING_IP] {
                    headers.remove(name);
                }
            }
        }
        let scheme = match client.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(scheme));
        client
    }
}

/// Statements of a trusted proxy.
#[derive(Debug, Default)]
struct ProxyHeaders {
    address: Option<IpAddr>,
    /// The chain of addresses, starting with the client.
    chain: Option<HeaderValue>,
    scheme: Option<Scheme>,
}

fn proxy_headers(headers: &HeaderMap, trusted: &[TrustedProxy]) -> ProxyHeaders {
    let entries = headers.get_all(X_FORWARDED_FOR).iter();
    let entries: Vec<&str> = entries
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let mut chain = Vec::new();
    // Each proxy appends its peer. From the end, the first address that is no trusted proxy is the client; earlier entries
    // are its own claims.
    for entry in entries.into_iter().rev().take(CHAIN_MAX) {
        let Some(address) = address(entry) else { break };
        chain.push(address);
        if !trusted.iter().any(|proxy| proxy.is(Some(address))) {
            break;
        }
    }
    let real = || headers.get(X_REAL_IP).and_then(|value| address(value.to_str().ok()?));
    let scheme = headers.get_all(X_FORWARDED_PROTO).iter().next_back();
    let scheme = scheme.and_then(|value| value.to_str().ok()?.rsplit(',').next());
    ProxyHeaders {
        address: chain.last().copied().or_else(real),
        chain: (chain.len() > 1)
            .then(|| {
                let texts: Vec<_> = chain.iter().rev().map(IpAddr::to_string).collect();
                HeaderValue::from_str(&texts.join(", ")).ok()
            })
            .flatten(),
        scheme: match scheme.map(str::trim) {
            Some(scheme) if scheme.eq_ignore_ascii_case("https") => Some(Scheme::Https),
            Some(scheme) if scheme.eq_ignore_ascii_case("http") => Some(Scheme::Http),
            _ => None,
        },
    }
}

/// Parses an address of a chain, which may have a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches('"');
    let bare = text.strip_prefix('[').and_then(|text| text.split_once(']'));
    let address = match bare {
        Some((address, _)) => address.parse(),
        None => text.parse().or_else(|_| {
            let without_port = text.rsplit_once(':').map_or(text, |(address, _)| address);
            without_port.parse::<std::net::Ipv4Addr>().map(IpAddr::V4)
        }),
    };
    address.ok().map(|address: IpAddr| address.to_canonical())
}

fn written(address: IpAddr) -> Option<HeaderValue> {
    HeaderValue::from_str(&address.to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies() -> Vec<TrustedProxy> {
        ["10.0.0.0/8", "fd00::/8"].map(|text| text.parse().unwrap()).into()
    }

    /// Returns the client as scripts see it: its address, `x-forwarded-for` and `x-forwarded-proto`.
    fn seen(peer: Option<&str>, trusted: &[TrustedProxy], lines: &[(&'static str, &str)]) -> (String, String, String) {
        let line = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        let mut headers: HeaderMap = lines.iter().map(line).collect();
        let peer = Peer::new(peer.map(|peer| peer.parse().unwrap()), Scheme::Http, trusted);
        let client = peer.client(&mut headers, trusted);
        let all = |name: HeaderName| {
            let values = headers.get_all(name).iter().map(|value| value.to_str().unwrap());
            values.collect::<Vec<_>>().join("|")
        };
        assert_eq!(all(CF_CONNECTING_IP), all(X_REAL_IP));
        assert_eq!(
            all(CF_CONNECTING_IP),
            client.address.map(|address| address.to_string()).unwrap_or_default()
        );
        (all(CF_CONNECTING_IP), all(X_FORWARDED_FOR), all(X_FORWARDED_PROTO))
    }

    fn is(seen: (String, String, String), expected: (&str, &str, &str)) {
        assert_eq!((seen.0.as_str(), seen.1.as_str(), seen.2.as_str()), expected);
    }

    #[test]
    fn an_untrusted_peer_is_the_client_despite_its_headers() {
        let lines = [
            ("x-forwarded-for", "1.1.1.1"),
            ("x-forwarded-for", "2.2.2.2"),
            ("x-real-ip", "1.1.1.1"),
            ("cf-connecting-ip", "1.1.1.1"),
            ("x-forwarded-proto", "https"),
        ];
        is(
            seen(Some("203.0.113.7"), &[], &lines),
            ("203.0.113.7", "203.0.113.7", "http"),
        );
        is(
            seen(Some("203.0.113.7"), &proxies(), &lines),
            ("203.0.113.7", "203.0.113.7", "http"),
        );
        is(
            seen(Some("::ffff:203.0.113.7"), &[], &[]),
            ("203.0.113.7", "203.0.113.7", "http"),
        );
        is(seen(None, &proxies(), &lines), ("", "", "http"));
        let names = [
            "cf-visitor",
            "cf-ipcountry",
            "cf-access-authenticated-user-email",
            "x-forwarded-host",
            "x-forwarded-ssl",
        ];
        let mut headers: HeaderMap = OTHERS
            .into_iter()
            .chain(names)
            .map(|name| (HeaderName::from_static(name), HeaderValue::from_static("x")))
            .collect();
        Peer::new(None, Scheme::Https, &[]).client(&mut headers, &[]);
        assert_eq!(headers.len(), 1, "{headers:?}");
    }

    #[test]
    fn only_entries_of_trusted_proxies_count() {
        let seen = |lines: &[(&'static str, &str)]| seen(Some("10.0.0.1"), &proxies(), lines);
        is(seen(&[]), ("10.0.0.1", "10.0.0.1", "http"));
        is(
            seen(&[("x-forwarded-for", "203.0.113.7"), ("x-forwarded-proto", "https")]),
            ("203.0.113.7", "203.0.113.7", "https"),
        );
        is(
            seen(&[("x-forwarded-for", "6.6.6.6, 203.0.113.7, 10.9.9.9")]),
            ("203.0.113.7", "203.0.113.7, 10.9.9.9", "http"),
        );
        is(
            seen(&[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "203.0.113.7")]),
            ("203.0.113.7", "203.0.113.7", "http"),
        );
        is(
            seen(&[("x-forwarded-for", "10.2.2.2, 10.3.3.3")]),
            ("10.2.2.2", "10.2.2.2, 10.3.3.3", "http"),
        );
        is(
            seen(&[("x-forwarded-for", "unknown, 10.3.3.3")]),
            ("10.3.3.3", "10.3.3.3", "http"),
        );
        is(
            seen(&[("x-forwarded-for", "203.0.113.7:1234")]),
            ("203.0.113.7", "203.0.113.7", "http"),
        );
        is(
            seen(&[("x-forwarded-for", "[2001:db8::1]:443")]),
            ("2001:db8::1", "2001:db8::1", "http"),
        );
        is(
            seen(&[("x-forwarded-for", "2001:db8::1")]),
            ("2001:db8::1", "2001:db8::1", "http"),
        );
        is(
            seen(&[("x-real-ip", "203.0.113.7")]),
            ("203.0.113.7", "203.0.113.7", "http"),
        );
        is(
            seen(&[("x-forwarded-proto", "gopher")]),
            ("10.0.0.1", "10.0.0.1", "http"),
        );
        is(
            super::tests::seen(None, &[TrustedProxy::Unix], &[("x-forwarded-for", "203.0.113.7")]),
            ("203.0.113.7", "203.0.113.7", "http"),
        );
    }

    #[test]
    fn a_proxy_is_an_address_a_network_or_the_unix_socket() {
        for text in ["10.0.0.1", "10.0.0.0/8", "10.1.2.3/8", "fd00::/8", "::1", "unix"] {
            assert!(text.parse::<TrustedProxy>().is_ok(), "{text}");
        }
        for text in ["", "localhost", "10.0.0.0/33", "10.0.0", "*"] {
            assert_eq!(text.parse::<TrustedProxy>(), Err(TrustedProxyError), "{text}");
        }
    }
}
