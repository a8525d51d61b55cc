//! The text form of the guard's rules: `host`, `*.host`, `address` or `address/prefix`, each with an optional `:port`.

use std::net::IpAddr;
use std::str::FromStr;

/// A host or network, and a port if it is for one only.
///
/// Written `db.internal`, `*.internal:443`, `10.0.0.0/8`, `10.1.2.3:8080`, `[fd00::/8]:443` or `fd00::/8`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    pub(super) host: RuleHost,
    pub(super) port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum RuleHost {
    /// One name.
    Name(String),
    /// Every name below this one.
    Suffix(String),
    /// A network; one address is a network of itself.
    Network { address: IpAddr, prefix: u8 },
}

/// A rule that cannot be read.
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

/// Splits `host:port`, where an IPv6 host with a port is in brackets.
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
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(bits);
        return (prefix <= bits).then_some(RuleHost::Network { address, prefix });
    }
    let (name, below) = match address.strip_prefix("*.") {
        Some(name) => (name, true),
        None => (address, false),
    };
    let valid = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if prefix.is_some() || !valid {
        return None;
    }
    Some(if below {
        RuleHost::Suffix(name.to_owned())
    } else {
        RuleHost::Name(name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::{Rule, RuleHost};

    #[test]
    fn a_rule_is_read_in_every_form() {
        let read = |text: &str| text.parse::<Rule>().map(|rule| (rule.host, rule.port));
        assert_eq!(read("db.internal"), Ok((RuleHost::Name("db.internal".into()), None)));
        assert_eq!(
            read("*.internal:443"),
            Ok((RuleHost::Suffix("internal".into()), Some(443)))
        );
        let network = |address: &str, prefix| RuleHost::Network {
            address: address.parse().unwrap(),
            prefix,
        };
        assert_eq!(read("10.0.0.0/8:80"), Ok((network("10.0.0.0", 8), Some(80))));
        assert_eq!(read("[fd00::/8]:443"), Ok((network("fd00::", 8), Some(443))));
        assert_eq!(read("::1"), Ok((network("::1", 128), None)));
    }

    #[test]
    fn a_rule_that_means_nothing_is_an_error() {
        for text in [
            "",
            "10.0.0.0/33",
            "host/8",
            "host:notaport",
            "host:70000",
            "a b",
            "[::1",
            "http://host/",
        ] {
            assert!(text.parse::<Rule>().is_err(), "{text}");
        }
    }
}
