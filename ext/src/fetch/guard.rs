//! The network guard: which addresses a worker may reach. Pure functions; nothing here opens a socket.
//!
//! It looks twice. [`NetPolicy::check_url`] sees every request before it is sent (a redirect is a request of its own), and
//! refuses schemes and literal addresses. [`NetPolicy::check_answer`] sees every address a name resolves to, in the resolver
//! of the client itself, so that what was checked is what is connected to, however often the name is resolved again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use deno_core::url::{Host, Url};

use super::rule::{Rule, RuleHost};

/// What a worker may connect to. The default allows public addresses only.
///
/// ```
/// use isopod_ext::fetch::{NetPolicy, Rule};
/// let policy = NetPolicy { allow: vec!["10.1.0.0/16:8080".parse::<Rule>()?], ..NetPolicy::default() };
/// assert!(policy.check_url(&"http://10.1.2.3:8080/".parse()?).is_ok());
/// assert!(policy.check_url(&"http://10.1.2.3/".parse()?).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetPolicy {
    /// Whether private, loopback, link-local and other special addresses may be reached. Default: no.
    pub allow_private: bool,
    /// Exceptions to the refusal of special addresses.
    pub allow: Vec<Rule>,
    /// What may never be reached; stronger than everything else.
    pub deny: Vec<Rule>,
}

/// Why the guard refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// Not a scheme of the network.
    #[error("URL scheme '{0}' is not supported; use http or https")]
    Scheme(String),
    /// A URL without a host.
    #[error("the URL has no host")]
    NoHost,
    /// The address is special and not allowed.
    #[error("address {address} is {kind} and not allowed by the network policy of this worker")]
    Special {
        /// The address as it would have been connected to.
        address: IpAddr,
        /// The kind of range it is in.
        kind: &'static str,
    },
    /// A deny rule matched.
    #[error("{0} is denied by the network policy of this worker")]
    Denied(String),
}

impl NetPolicy {
    /// Checks the URL of a request before anything is resolved or sent.
    ///
    /// # Errors
    /// When the scheme is not http(s), a deny rule matches, or the host is a literal address that is not allowed.
    pub fn check_url(&self, url: &Url) -> Result<(), Refused> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refused::Scheme(url.scheme().to_owned()));
        }
        let port = url.port_or_known_default();
        // The parser has already read 127.1, 0x7f000001 and 2130706433 as what they are.
        match url.host() {
            None => Err(Refused::NoHost),
            Some(Host::Ipv4(address)) => self.check_address(None, address.into(), port),
            Some(Host::Ipv6(address)) => self.check_address(None, address.into(), port),
            Some(Host::Domain(name)) => {
                if let Ok(address) = IpAddr::from_str(name) {
                    return self.check_address(None, address, port);
                }
                if self.deny.iter().any(|rule| rule.matches_name(name, port)) {
                    return Err(Refused::Denied(name.to_owned()));
                }
                Ok(())
            }
        }
    }

    /// Checks one address that `name` resolved to. `port` is `None` for every port that no rule names.
    ///
    /// # Errors
    /// When a deny rule matches, or the address is special and no rule allows it.
    pub fn check_answer(&self, name: &str, address: IpAddr, port: Option<u16>) -> Result<(), Refused> {
        self.check_address(Some(name), address, port)
    }

    /// The port, if any rule names it. Ports that no rule names are all judged alike.
    pub(super) fn port_class(&self, port: Option<u16>) -> Option<u16> {
        let port = port?;
        self.allow
            .iter()
            .chain(&self.deny)
            .any(|rule| rule.port == Some(port))
            .then_some(port)
    }

    fn check_address(&self, name: Option<&str>, address: IpAddr, port: Option<u16>) -> Result<(), Refused> {
        let spellings = spellings(address);
        let matches = |rule: &Rule| {
            name.is_some_and(|name| rule.matches_name(name, port))
                || spellings.iter().any(|address| rule.matches_address(*address, port))
        };
        if self.deny.iter().any(matches) {
            return Err(Refused::Denied(name.map_or_else(|| address.to_string(), str::to_owned)));
        }
        if self.allow_private || self.allow.iter().any(matches) {
            return Ok(());
        }
        match spellings.iter().find_map(|address| special(*address)) {
            Some(kind) => Err(Refused::Special { address, kind }),
            None => Ok(()),
        }
    }
}

/// The address, and the IPv4 address it carries when it is one of the IPv6 forms that lead to one.
fn spellings(address: IpAddr) -> Vec<IpAddr> {
    let mut all = vec![address];
    if let IpAddr::V6(address) = address {
        all.extend(embedded(address).map(IpAddr::V4));
    }
    all
}

/// The IPv4 address inside a mapped, compatible, NAT64, 6to4, Teredo or ISATAP address.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    let pair = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match segments {
        // ::ffff:0:0/96 mapped, ::/96 compatible, ::ffff:0:0:0/96 translated
        [0, 0, 0, 0, 0, 0xffff, a, b] | [0, 0, 0, 0, 0xffff, 0, a, b] => Some(pair(a, b)),
        [0, 0, 0, 0, 0, 0, a, b] if (a, b) != (0, 0) && (a, b) != (0, 1) => Some(pair(a, b)),
        // 64:ff9b::/96; the local-use prefix 64:ff9b:1::/48 is refused whole
        [0x64, 0xff9b, 0, 0, 0, 0, a, b] => Some(pair(a, b)),
        [0x2002, a, b, ..] => Some(pair(a, b)),
        // Teredo hides the client's address by inverting its bits
        [0x2001, 0, _, _, _, _, a, b] => Some(pair(!a, !b)),
        [_, _, _, _, 0 | 0x200, 0x5efe, a, b] => Some(pair(a, b)),
        _ => None,
    }
}

/// The kind of special range an address is in; `None` for a public one.
fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    Some(match address.octets() {
        [0, ..] => "unspecified",
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => "private",
        [100, 64..=127, ..] => "carrier-grade NAT",
        [127, ..] => "loopback",
        [169, 254, ..] => "link-local (metadata)",
        [192, 0, 0, _] | [192, 88, 99, _] => "reserved",
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => "documentation",
        [198, 18..=19, ..] => "benchmarking",
        [224..=239, ..] => "multicast",
        [240..=255, ..] => "reserved",
        _ => return None,
    })
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    if address.is_unspecified() {
        return Some("unspecified");
    }
    if address.is_loopback() {
        return Some("loopback");
    }
    Some(match address.segments() {
        [0xfc00..=0xfdff, ..] => "private (unique local)",
        [0xfe80..=0xfebf, ..] => "link-local",
        [0xfec0..=0xfeff, ..] => "site-local",
        [0xff00..=0xffff, ..] => "multicast",
        [0x100, 0, 0, 0, ..] => "discard-only",
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => "documentation",
        [0x64, 0xff9b, 0 | 1, ..] => return special_nat64(address),
        [0x2001, 0..=0x1ff, ..] | [0x2002, ..] => return special_tunnel(address),
        [0x2000..=0x3fff, ..] => return None,
        // Mapped, compatible and translated addresses are judged by what they carry.
        [0, 0, 0, 0, 0 | 0xffff, 0 | 0xffff, ..] if embedded(address).is_some() => return None,
        // All global unicast space is in 2000::/3.
        _ => "reserved",
    })
}

fn special_nat64(address: Ipv6Addr) -> Option<&'static str> {
    if embedded(address).is_some() {
        None
    } else {
        Some("private (local NAT64)")
    }
}

/// 6to4 and Teredo are judged by what they carry; the rest of 2001::/23 is protocol assignments.
fn special_tunnel(address: Ipv6Addr) -> Option<&'static str> {
    if embedded(address).is_some() {
        None
    } else {
        Some("reserved")
    }
}

impl Rule {
    fn matches_port(&self, port: Option<u16>) -> bool {
        self.port.is_none() || self.port == port
    }

    fn matches_name(&self, name: &str, port: Option<u16>) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name);
        let host = match &self.host {
            RuleHost::Name(host) => host.eq_ignore_ascii_case(name),
            RuleHost::Suffix(suffix) => name
                .len()
                .checked_sub(suffix.len() + 1)
                .and_then(|dot| Some((name.as_bytes().get(dot)?, name.get(dot + 1..)?)))
                .is_some_and(|(dot, rest)| *dot == b'.' && rest.eq_ignore_ascii_case(suffix)),
            RuleHost::Network { .. } => false,
        };
        host && self.matches_port(port)
    }

    fn matches_address(&self, address: IpAddr, port: Option<u16>) -> bool {
        let RuleHost::Network {
            address: network,
            prefix,
        } = self.host
        else {
            return false;
        };
        let inside = match (network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(prefix);
                let cut = |address: Ipv4Addr| u32::from(address).checked_shr(shift).unwrap_or(0);
                cut(network) == cut(address)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(prefix);
                let cut = |address: Ipv6Addr| u128::from(address).checked_shr(shift).unwrap_or(0);
                cut(network) == cut(address)
            }
            _ => false,
        };
        inside && self.matches_port(port)
    }
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
