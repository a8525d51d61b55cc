//! The text form of the guard's rules: `*`, `host`, `*.host`, `address` or `address/prefix`, each with an optional
//! `:port`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use deno_core::url::Host;
use ipnet::IpNet;

/// A host or network, optionally with a port.
///
/// Written as `db.internal`, `*.internal:443`, `10.0.0.0/8`, `10.1.2.3:8080`, `[fd00::/8]:443` or `fd00::/8`; `*:25` is
/// a port of any host. Names are compared in normalized form: in lower case, in Punycode, without a trailing dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    pub(super) host: RuleHost,
    pub(super) port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum RuleHost {
    /// Every host.
    Any,
    /// A name.
    Name(String),
    /// Every name below this one.
    Suffix(String),
    /// A network, which may have a single address.
    Network(IpNet),
}

/// An invalid rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a network rule; write a host name, *.name, an address or address/prefix, with :port if needed")]
pub struct RuleError(String);

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let wrong = || RuleError(text.to_owned());
        let (host, port) = split_port(text).ok_or_else(wrong)?;
        let port = port.map(|port| port.parse::<u16>().map_err(|_| wrong())).transpose()?;
        Ok(Self {
            host: parse_host(host).ok_or_else(wrong)?,
            port,
        })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.host, self.port) {
            (RuleHost::Any, _) => f.write_str("*")?,
            (RuleHost::Name(name), _) => f.write_str(name)?,
            (RuleHost::Suffix(name), _) => write!(f, "*.{name}")?,
            (RuleHost::Network(network), port) => {
                let text = if network.prefix_len() == network.max_prefix_len() {
                    network.addr().to_string()
                } else {
                    network.to_string()
                };
                if network.addr().is_ipv6() && port.is_some() {
                    write!(f, "[{text}]")?;
                } else {
                    f.write_str(&text)?;
                }
            }
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl Rule {
    pub(super) fn is_network(&self) -> bool {
        matches!(self.host, RuleHost::Network(_))
    }

    pub(super) fn matches_port(&self, port: Option<u16>) -> bool {
        self.port.is_none() || self.port == port
    }

    pub(super) fn matches_name(&self, name: &str, port: Option<u16>) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name);
        let host = match &self.host {
            RuleHost::Any => true,
            RuleHost::Name(host) => host.eq_ignore_ascii_case(name),
            RuleHost::Suffix(suffix) => name
                .len()
                .checked_sub(suffix.len() + 1)
                .and_then(|dot| Some((name.as_bytes().get(dot)?, name.get(dot + 1..)?)))
                .is_some_and(|(dot, rest)| *dot == b'.' && rest.eq_ignore_ascii_case(suffix)),
            RuleHost::Network(_) => false,
        };
        host && self.matches_port(port)
    }

    pub(super) fn matches_address(&self, address: IpAddr, port: Option<u16>) -> bool {
        let inside = match &self.host {
            RuleHost::Any => true,
            RuleHost::Network(network) => network.contains(&address),
            RuleHost::Name(_) | RuleHost::Suffix(_) => false,
        };
        inside && self.matches_port(port)
    }
}

/// Splits `host:port`; an IPv6 address with a port is in brackets.
fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        return match after {
            "" => Some((host, None)),
            after => Some((host, Some(after.strip_prefix(':')?))),
        };
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => Some((host, Some(port))),
        _ => Some((text, None)),
    }
}

fn parse_host(host: &str) -> Option<RuleHost> {
    let (address, prefix) = match host.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
        None => (host, None),
    };
    if let Ok(address) = IpAddr::from_str(address) {
        let network = match prefix {
            Some(prefix) => IpNet::new(address, prefix).ok()?,
            None => IpNet::from(address),
        };
        return Some(RuleHost::Network(network));
    }
    if prefix.is_some() {
        return None;
    }
    match address.strip_prefix("*.") {
        Some(name) => wire_name(name).map(RuleHost::Suffix),
        None if address == "*" => Some(RuleHost::Any),
        None => wire_name(address).map(RuleHost::Name),
    }
}

/// Returns the name as in a URL. `None` for names that URLs treat as an address (`127.1`) or as invalid (`10.0.0.300`).
fn wire_name(name: &str) -> Option<String> {
    if name.contains(['%', '*', ':']) {
        return None;
    }
    let Ok(Host::Domain(name)) = Host::parse(name) else {
        return None;
    };
    let name = name.strip_suffix('.').unwrap_or(&name);
    let labels_fit = name.split('.').all(|label| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        !label.is_empty() && label.bytes().all(fits)
    });
    labels_fit.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use ipnet::IpNet;

    use super::{Rule, RuleHost};

    #[test]
    fn a_rule_is_read_in_every_form() {
        let read = |text: &str| text.parse::<Rule>().map(|rule| (rule.host, rule.port));
        let name = |name: &str| RuleHost::Name(name.into());
        assert_eq!(read("db.internal"), Ok((name("db.internal"), None)));
        assert_eq!(
            read("*.internal:443"),
            Ok((RuleHost::Suffix("internal".into()), Some(443)))
        );
        let network = |address: &str, prefix| RuleHost::Network(IpNet::new(address.parse().unwrap(), prefix).unwrap());
        assert_eq!(read("10.0.0.0/8:80"), Ok((network("10.0.0.0", 8), Some(80))));
        assert_eq!(read("[fd00::/8]:443"), Ok((network("fd00::", 8), Some(443))));
        assert_eq!(read("::1"), Ok((network("::1", 128), None)));
        assert_eq!(read("*:25"), Ok((RuleHost::Any, Some(25))));
    }

    #[test]
    fn names_are_compared_in_normalized_form() {
        let same = |one: &str, other: &str| assert_eq!(one.parse::<Rule>(), other.parse::<Rule>(), "{one}");
        same("Bücher.Example.", "xn--bcher-kva.example");
        same("*.ＥＸＡＭＰＬＥ.com", "*.example.com");
    }

    #[test]
    fn a_rule_s_text_round_trips() {
        for text in [
            "*",
            "*:25",
            "db.internal",
            "*.internal:443",
            "10.0.0.0/8",
            "10.1.2.3:80",
            "fd00::/8",
            "[fd00::/8]:443",
            "[::1]:80",
        ] {
            assert_eq!(text.parse::<Rule>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_network_has_its_addresses_and_no_others() {
        let inside = |rule: &str, address: &str| {
            let rule = rule.parse::<Rule>().unwrap();
            rule.matches_address(address.parse().unwrap(), None)
        };
        assert!(inside("10.1.0.0/16", "10.1.255.255") && !inside("10.1.0.0/16", "10.2.0.0"));
        assert!(inside("0.0.0.0/0", "255.1.2.3") && !inside("0.0.0.0/0", "::1"));
        assert!(inside("1.2.3.4", "1.2.3.4") && !inside("1.2.3.4", "1.2.3.5"));
        assert!(inside("fd00::/8", "fdff::1") && !inside("fd00::/8", "fe00::1"));
        assert!(inside("::/0", "ff02::1") && inside("*", "ff02::1"));
    }

    #[test]
    fn a_meaningless_rule_is_an_error() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0.300",
            "127.1",
            "host/8",
            "host:notaport",
            "host:70000",
            "a b",
            "a..b",
            "*.*.b",
            "a*",
            "*.",
            "a%2eb",
            "[::1",
            "http://host/",
        ] {
            assert!(text.parse::<Rule>().is_err(), "{text}");
        }
    }
}
