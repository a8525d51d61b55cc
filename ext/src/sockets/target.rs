//! The destination of a connection: parsed, resolved, and checked by the network guard unless a binding permits it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use deno_core::url::Host;

use super::error::{ConnectError, Failed};
use crate::fetch::{FetchConfig, permitted};

/// A host and a port that the guard has permitted so far.
pub(super) struct Target {
    host: Host<String>,
    port: u16,
    pub(super) config: FetchConfig,
    /// True if a binding permits it, regardless of the guard.
    is_granted: bool,
}

/// Parses a name or an address; an IPv6 address may be in brackets. Names are normalized as in URLs, so that `127.1` and
/// `0x7f000001` become addresses.
pub(super) fn parse(hostname: &str) -> Option<Host<String>> {
    if let Ok(address) = hostname.parse::<Ipv6Addr>() {
        return Some(Host::Ipv6(address));
    }
    Host::parse(hostname).ok()
}

impl Target {
    pub(super) fn new(hostname: &str, port: u16, config: FetchConfig, is_granted: bool) -> Result<Self, ConnectError> {
        let host = parse(hostname).ok_or_else(|| ConnectError::Host(hostname.to_owned()))?;
        let borrowed = match &host {
            Host::Domain(name) => Host::Domain(name.as_str()),
            Host::Ipv4(address) => Host::Ipv4(*address),
            Host::Ipv6(address) => Host::Ipv6(*address),
        };
        if !is_granted {
            config.policy.check_host(&borrowed, Some(port))?;
        }
        Ok(Self {
            host,
            port,
            config,
            is_granted,
        })
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the host, as in a certificate.
    pub(super) fn hostname(&self) -> String {
        match &self.host {
            Host::Domain(name) => name.clone(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        }
    }

    /// Returns the addresses to try, which the guard permits. Called on the I/O runtime.
    pub(super) async fn addresses(&self) -> Result<Vec<SocketAddr>, ConnectError> {
        let at = |address: IpAddr| SocketAddr::new(address, self.port);
        let addresses = match &self.host {
            Host::Ipv4(address) => vec![at((*address).into())],
            Host::Ipv6(address) => vec![at((*address).into())],
            Host::Domain(name) => {
                let failed = |cause| Failed::Resolve {
                    name: name.clone(),
                    cause: Arc::new(cause),
                };
                let answers = self.config.connection.resolver.resolve(name).await.map_err(failed)?;
                let answers = answers.into_iter().map(at);
                match self.is_granted {
                    true => answers.collect(),
                    false => permitted(&self.config.policy, name, Some(self.port), answers)?,
                }
            }
        };
        if addresses.is_empty() {
            return Err(Failed::NoAddress(self.hostname()).into());
        }
        if self.config.servers.are_at(&self.hostname(), &addresses) {
            return Err(ConnectError::OwnServer(format!("{}:{}", self.hostname(), self.port)));
        }
        Ok(addresses)
    }
}
