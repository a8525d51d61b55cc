//! The process's own servers, as destinations of its workers' requests.
//!
//! A worker that fetches itself through the server would recurse without a bound. Requests to the process's own servers
//! therefore state their depth in a header, which no other server receives.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, PoisonError, RwLock};

use deno_core::url::{Host, Url};
use http::HeaderValue;
use serde::{Deserialize, Serialize};

use super::identity::by_identity;
use super::resolve::Resolver;

/// The servers in front of a pool: their addresses, and the hosts they serve. Clones share one list.
///
/// ```
/// # mod isopod { pub use isopod_ext::fetch::OwnServers; }
/// use isopod::OwnServers;
///
/// let servers = OwnServers::new("a random key, which the server knows as well");
/// // Known once the server has its address.
/// servers.set_addresses(vec!["127.0.0.1:8787".parse().unwrap()]);
/// servers.set_hosts(vec!["*.example.com".to_owned()]);
/// ```
#[derive(Clone, Default)]
pub struct OwnServers(Option<Arc<Servers>>);

/// The addresses and hosts of [`OwnServers`] in written form, known once the servers listen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenServers {
    addresses: Vec<SocketAddr>,
    hosts: Vec<String>,
}

struct Servers {
    key: String,
    places: RwLock<Places>,
}

#[derive(Default)]
struct Places {
    addresses: Vec<SocketAddr>,
    hosts: Vec<String>,
}

impl OwnServers {
    /// Creates an empty list. The key in each header prevents clients from forging one.
    pub fn new(key: impl Into<String>) -> Self {
        Self(Some(Arc::new(Servers {
            key: key.into(),
            places: RwLock::default(),
        })))
    }

    /// Returns the key by which the server recognizes these headers.
    pub fn key(&self) -> Option<&str> {
        self.0.as_ref().map(|servers| servers.key.as_str())
    }

    /// Sets the addresses at which they listen.
    pub fn set_addresses(&self, addresses: Vec<SocketAddr>) {
        self.change(|places| places.addresses = addresses);
    }

    /// Sets the hosts that they serve, in lower case; a leading `*.` stands for all subdomains.
    pub fn set_hosts(&self, hosts: Vec<String>) {
        self.change(|places| places.hosts = hosts);
    }

    /// Returns addresses and hosts in written form.
    #[must_use]
    pub fn written(&self) -> WrittenServers {
        let places = self
            .0
            .as_ref()
            .map(|servers| servers.places.read().unwrap_or_else(PoisonError::into_inner));
        places.map_or_else(WrittenServers::default, |places| WrittenServers {
            addresses: places.addresses.clone(),
            hosts: places.hosts.clone(),
        })
    }

    /// Sets addresses and hosts.
    pub fn set(&self, written: WrittenServers) {
        self.change(|places| (places.addresses, places.hosts) = (written.addresses, written.hosts));
    }

    fn change(&self, change: impl FnOnce(&mut Places)) {
        if let Some(servers) = &self.0 {
            change(&mut servers.places.write().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Returns the header for a request of this depth, if the URL leads to one of these servers.
    pub(super) async fn depth(&self, url: &Url, depth: u32, resolver: &Resolver) -> Option<HeaderValue> {
        let servers = self.0.as_ref()?;
        let host = url.host()?;
        let ports = {
            let places = servers.places.read().unwrap_or_else(PoisonError::into_inner);
            match host {
                Host::Domain(name) if places.hosts.iter().any(|pattern| names(pattern, name)) => None,
                _ => {
                    let port = url.port_or_known_default()?;
                    let here: Vec<IpAddr> = places
                        .addresses
                        .iter()
                        .filter(|address| address.port() == port)
                        .map(SocketAddr::ip)
                        .collect();
                    Some(here)
                }
            }
        };
        let leads_here = match ports {
            None => true,
            Some(here) if here.is_empty() => false,
            Some(here) => addresses(host, resolver)
                .await
                .into_iter()
                .any(|address| here.iter().any(|own| is_at(address, *own))),
        };
        leads_here
            .then(|| HeaderValue::from_str(&format!("{depth} {}", servers.key)).ok())
            .flatten()
    }
}

/// The ports of HTTP and HTTPS, at which clients reach a served host regardless of its server's port.
const HTTP_PORTS: [u16; 2] = [80, 443];

impl OwnServers {
    /// Returns whether a connection to one of these addresses, to which `host` resolved, leads to one of these servers.
    pub(crate) fn are_at(&self, host: &str, addresses: &[SocketAddr]) -> bool {
        let Some(servers) = &self.0 else { return false };
        let places = servers.places.read().unwrap_or_else(PoisonError::into_inner);
        let is_served = places.hosts.iter().any(|pattern| names(pattern, host));
        addresses.iter().any(|address| {
            let mut own = places.addresses.iter();
            is_served && HTTP_PORTS.contains(&address.port())
                || own.any(|own| own.port() == address.port() && is_at(address.ip(), own.ip()))
        })
    }
}

/// Returns whether a pattern matches this host.
fn names(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(suffix) => host.ends_with(suffix) && host.len() > suffix.len(),
        None => host == pattern,
    }
}

async fn addresses(host: Host<&str>, resolver: &Resolver) -> Vec<IpAddr> {
    match host {
        Host::Ipv4(address) => vec![address.into()],
        Host::Ipv6(address) => vec![address.into()],
        // The client reports names that do not resolve.
        Host::Domain(name) => resolver.resolve(name).await.unwrap_or_default(),
    }
}

/// Returns whether a listener at `own` is reached at `address`.
fn is_at(address: IpAddr, own: IpAddr) -> bool {
    let (address, own) = (address.to_canonical(), own.to_canonical());
    if own.is_unspecified() {
        address.is_unspecified() || address.is_loopback() || is_this_machines(address)
    } else {
        address == own || (address.is_unspecified() && own.is_loopback())
    }
}

/// Returns whether an address belongs to this machine and can be bound.
fn is_this_machines(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

by_identity!(OwnServers, "known", "none");

#[cfg(test)]
mod tests {
    use super::*;

    fn says(servers: &OwnServers, url: &str) -> Option<String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let url = Url::parse(url).unwrap();
        let depth = runtime.block_on(servers.depth(&url, 3, &Resolver::default()));
        depth.map(|depth| depth.to_str().unwrap().to_owned())
    }

    #[test]
    fn only_the_process_s_own_servers_get_the_depth_of_a_request() {
        let servers = OwnServers::new("key");
        let places = ["127.0.0.1:8787", "0.0.0.0:9000"].map(|address| address.parse().unwrap());
        assert_eq!(says(&servers, "http://127.0.0.1:8787/"), None, "nothing is known yet");
        servers.set_addresses(places.into());
        servers.set_hosts(vec!["a.example".to_owned(), "*.b.example".to_owned()]);
        for url in [
            "http://127.0.0.1:8787/",
            "http://localhost:8787/",
            "http://[::ffff:127.0.0.1]:8787/",
            "http://127.0.0.2:9000/",
            "https://a.example/",
            "https://x.b.example/",
        ] {
            assert_eq!(says(&servers, url).as_deref(), Some("3 key"), "{url}");
        }
        for url in [
            "http://127.0.0.1:8788/",
            "http://127.0.0.2:8787/",
            "http://192.0.2.1:9000/",
            "https://b.example/",
            "https://ab.example/",
            "https://a.example.org/",
        ] {
            assert_eq!(says(&servers, url), None, "{url}");
        }
        assert_eq!(says(&OwnServers::default(), "http://127.0.0.1:8787/"), None);
    }

    #[test]
    fn addresses_of_the_servers_are_recognized() {
        let servers = OwnServers::new("key");
        servers.set_addresses(["0.0.0.0:9000"].map(|address| address.parse().unwrap()).into());
        servers.set_hosts(vec!["a.example".to_owned()]);
        let are_at = |host: &str, address: &str| servers.are_at(host, &[address.parse().unwrap()]);
        assert!(are_at("localhost", "127.0.0.1:9000") && are_at("::1", "[::ffff:127.0.0.1]:9000"));
        assert!(are_at("a.example", "192.0.2.1:443"), "a proxy before the server");
        assert!(!are_at("localhost", "127.0.0.1:9001") && !are_at("b.example", "192.0.2.1:443"));
        assert!(!are_at("a.example", "192.0.2.1:5432"), "a database at the same name");
        assert!(!OwnServers::default().are_at("localhost", &["127.0.0.1:9000".parse().unwrap()]));
    }
}
