//! The network guard, which decides the addresses that a worker may reach. Pure functions that open no socket.
//!
//! It checks twice. [`NetPolicy::check_url`] checks the scheme and literal addresses of every request, redirects included,
//! before it is sent. [`NetPolicy::check_answer`] checks every resolved address in the client's own resolver, so that the
//! client connects to the checked address even if the name resolves differently each time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use deno_core::url::{Host, Url};

use super::address::{special, spellings};
use super::rule::Rule;

/// The destinations that a worker may connect to. The default permits public addresses only.
///
/// ```
/// # mod isopod { pub use isopod_ext::fetch::NetPolicy; pub use isopod_ext::fetch::Rule; }
/// use isopod::{NetPolicy, Rule};
/// let policy = NetPolicy::default().allow(vec!["10.1.0.0/16:8080".parse::<Rule>()?]);
/// assert!(policy.check_url(&"http://10.1.2.3:8080/".parse()?).is_ok());
/// assert!(policy.check_url(&"http://10.1.2.3/".parse()?).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetPolicy {
    /// Permits private, loopback, link-local and other special addresses. Default: false.
    pub allow_private: bool,
    /// Special addresses that are permitted regardless of `allow_private`.
    pub allow: Vec<Rule>,
    /// Destinations that are never permitted. Takes precedence over all other rules.
    pub deny: Vec<Rule>,
    /// The only permitted destinations; an empty list permits none. Special addresses must also be in `allow`. Default:
    /// `None`, no restriction.
    pub only: Option<Vec<Rule>>,
}

isopod_outcome::setters!(NetPolicy {
    allow_private: bool,
    allow: Vec<Rule>,
    deny: Vec<Rule>,
    only: impl Into<Option<Vec<Rule>>>,
});

/// The guard's reason for refusing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The scheme is not http(s).
    #[error("URL scheme '{0}' is not supported; use http or https")]
    Scheme(String),
    /// The URL has no host.
    #[error("the URL has no host")]
    NoHost,
    /// The address is special and not permitted.
    #[error("address {address} is {kind} and not allowed by the network policy of this worker")]
    Special {
        /// The address.
        address: IpAddr,
        /// The range that contains it.
        kind: &'static str,
    },
    /// A deny rule matched.
    #[error("{0} is denied by the network policy of this worker")]
    Denied(String),
    /// The destination is not in `only`.
    #[error("{0} is not among the hosts that the network policy of this worker names")]
    NotListed(String),
}

impl NetPolicy {
    /// Checks a request's URL before anything is resolved or sent.
    ///
    /// # Errors
    /// The scheme is not http(s), a deny rule matches, or the host is a literal address that is not permitted, or a
    /// name that can be rejected without resolving it.
    pub fn check_url(&self, url: &Url) -> Result<(), Refused> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refused::Scheme(url.scheme().to_owned()));
        }
        let host = url.host().ok_or(Refused::NoHost)?;
        self.check_host(&host, url.port_or_known_default())
    }

    /// Checks a host before it is resolved or connected to.
    ///
    /// # Errors
    /// A deny rule matches, or the host is a literal address that is not permitted, or a name that can be rejected without
    /// resolving it.
    pub fn check_host(&self, host: &Host<&str>, port: Option<u16>) -> Result<(), Refused> {
        // The URL parser has normalized 127.1, 0x7f000001 and 2130706433.
        match host {
            Host::Ipv4(address) => self.check_address(None, (*address).into(), port),
            Host::Ipv6(address) => self.check_address(None, (*address).into(), port),
            Host::Domain(name) => {
                if let Ok(address) = IpAddr::from_str(name) {
                    return self.check_address(None, address, port);
                }
                self.check_name(name, port)
            }
        }
    }

    /// Checks a resolved address of `name`. `port` is `None` for ports that no rule names.
    ///
    /// # Errors
    /// A deny rule matches, or the address is special and no rule permits it.
    pub fn check_answer(&self, name: &str, address: IpAddr, port: Option<u16>) -> Result<(), Refused> {
        self.check_address(Some(name), address, port)
    }

    /// Returns the port if any rule names it. All other ports are treated alike.
    pub(super) fn port_class(&self, port: Option<u16>) -> Option<u16> {
        let port = port?;
        self.allow
            .iter()
            .chain(&self.deny)
            .chain(self.only.iter().flatten())
            .any(|rule| rule.port == Some(port))
            .then_some(port)
    }

    /// Checks a name before it is resolved.
    fn check_name(&self, name: &str, port: Option<u16>) -> Result<(), Refused> {
        if self.deny.iter().any(|rule| rule.matches_name(name, port)) {
            return Err(Refused::Denied(name.to_owned()));
        }
        // The name may resolve into a listed network.
        let may_be_listed =
            |rule: &Rule| rule.matches_name(name, port) || (rule.is_network() && rule.matches_port(port));
        if self.only.as_ref().is_some_and(|only| !only.iter().any(may_be_listed)) {
            return Err(Refused::NotListed(name.to_owned()));
        }
        if is_localhost(name) {
            // RFC 6761: these names must not be sent to a name server. Either loopback address may be permitted.
            let v4 = self.check_address(Some(name), Ipv4Addr::LOCALHOST.into(), port);
            return v4.or_else(|refused| {
                let v6 = self.check_address(Some(name), Ipv6Addr::LOCALHOST.into(), port);
                v6.map_err(|_| refused)
            });
        }
        Ok(())
    }

    fn check_address(&self, name: Option<&str>, address: IpAddr, port: Option<u16>) -> Result<(), Refused> {
        let spellings = spellings(address);
        let matches = |rule: &Rule| {
            name.is_some_and(|name| rule.matches_name(name, port))
                || spellings.iter().any(|address| rule.matches_address(*address, port))
        };
        let target = || name.map_or_else(|| address.to_string(), str::to_owned);
        if self.deny.iter().any(matches) {
            return Err(Refused::Denied(target()));
        }
        if self.only.as_ref().is_some_and(|only| !only.iter().any(matches)) {
            return Err(Refused::NotListed(target()));
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

/// Returns whether a name is `localhost` or a subdomain of it, which resolvers do not influence.
fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let top = name.rsplit('.').next().unwrap_or(name);
    top.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
