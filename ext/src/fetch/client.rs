//! The thread's HTTP client, and its resolver, which checks every address with the guard.

use std::net::SocketAddr;
use std::sync::Arc;

use deno_tls::rustls::crypto::aws_lc_rs;
use deno_tls::rustls::pki_types::CertificateDer;
use deno_tls::rustls::{
    ClientConfig, ConfigBuilder, DEFAULT_VERSIONS, RootCertStore, SupportedProtocolVersion, WantsVerifier,
};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::config::ConnectionOptions;
use super::guard::{NetPolicy, Refused};
use super::resolve::Resolver;
use super::send_error::SendError;

/// Key of requests that share connections.
///
/// It includes a port that a rule names, because a resolver gets only the host name and has to apply the right rules. It
/// includes the policy, because a strict worker could otherwise use a lenient one's connections.
#[derive(Clone, PartialEq)]
pub(super) struct ClientKey {
    pub(super) policy: Arc<NetPolicy>,
    pub(super) port: Option<u16>,
    pub(super) connection: ConnectionOptions,
    /// Use HTTP/1.1 only.
    pub(super) http1: bool,
}

/// Creates the client. Called on the worker thread, inside the I/O runtime.
pub(super) fn build(key: &ClientKey) -> Result<reqwest::Client, SendError> {
    let ConnectionOptions {
        connect_timeout,
        idle_timeout,
        idle_per_host_max,
        ..
    } = key.connection;
    let client = reqwest::Client::builder();
    let client = if key.http1 { client.http1_only() } else { client };
    client
        .tls_backend_preconfigured(tls(&key.connection.extra_roots, key.http1)?)
        .dns_resolver(Arc::new(GuardedResolver {
            policy: key.policy.clone(),
            port: key.port,
            resolver: key.connection.resolver.clone(),
        }))
        // deno_fetch's JavaScript follows redirects, so that the guard and the standard's header rules apply to each
        // hop.
        .redirect(reqwest::redirect::Policy::none())
        // Workers must not use the proxies of the host's environment.
        .no_proxy()
        .referer(false)
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(idle_timeout)
        .pool_max_idle_per_host(idle_per_host_max)
        .tcp_nodelay(true)
        .http2_adaptive_window(true)
        .build()
        .map_err(SendError::Client)
}

fn tls(extra_roots: &[Vec<u8>], http1: bool) -> Result<ClientConfig, SendError> {
    let mut config = tls_config(extra_roots)?;
    config.alpn_protocols = match http1 {
        true => vec![b"http/1.1".to_vec()],
        false => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
    };
    Ok(config)
}

/// TLS with compiled-in public roots, for machines without a certificate store. The provider is explicit because
/// several are linked, and the process-wide default is the host's choice.
pub(crate) fn tls_config(extra_roots: &[Vec<u8>]) -> Result<ClientConfig, SendError> {
    let builder = tls_config_builder(DEFAULT_VERSIONS)?;
    Ok(builder
        .with_root_certificates(root_certificates(extra_roots)?)
        .with_no_client_auth())
}

/// Starts a TLS configuration with the permitted versions.
pub(crate) fn tls_config_builder(
    versions: &[&'static SupportedProtocolVersion],
) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, SendError> {
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .map_err(SendError::Tls)
}

/// Returns the public certificate authorities and the additional ones.
pub(crate) fn root_certificates(extra_roots: &[Vec<u8>]) -> Result<RootCertStore, SendError> {
    let mut roots = deno_tls::create_default_root_cert_store();
    for der in extra_roots {
        roots.add(CertificateDer::from(der.clone())).map_err(SendError::Tls)?;
    }
    Ok(roots)
}

/// A resolver that only returns addresses that the guard permits.
struct GuardedResolver {
    policy: Arc<NetPolicy>,
    port: Option<u16>,
    resolver: Resolver,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, port) = (self.policy.clone(), self.port);
        let answers = self.resolver.resolve(name.as_str());
        Box::pin(async move {
            // Port 0 stands for the URL's port, which the connector fills in.
            let answers = answers.await?.into_iter().map(|address| SocketAddr::new(address, 0));
            filter(&policy, name.as_str(), port, answers)
        })
    }
}

fn filter(
    policy: &NetPolicy,
    name: &str,
    port: Option<u16>,
    answers: impl Iterator<Item = SocketAddr>,
) -> Result<Addrs, Box<dyn std::error::Error + Send + Sync>> {
    Ok(Box::new(permitted(policy, name, port, answers)?.into_iter()))
}

/// Returns the permitted addresses, or the last refusal if there are none.
pub(crate) fn permitted(
    policy: &NetPolicy,
    name: &str,
    port: Option<u16>,
    answers: impl Iterator<Item = SocketAddr>,
) -> Result<Vec<SocketAddr>, Refused> {
    let mut refused: Option<Refused> = None;
    let mut allowed = Vec::new();
    for answer in answers {
        match policy.check_answer(name, answer.ip(), port) {
            Ok(()) => allowed.push(answer),
            Err(error) => refused = Some(error),
        }
    }
    match refused {
        Some(error) if allowed.is_empty() => Err(error),
        _ => Ok(allowed),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::{NetPolicy, filter};

    fn answers(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn connections_use_allowed_addresses_only() {
        let mixed = answers(&["10.0.0.1:0", "1.1.1.1:0", "[::ffff:127.0.0.1]:0"]);
        let allowed = filter(&NetPolicy::default(), "rebind.example", None, mixed.into_iter()).unwrap();
        assert_eq!(allowed.collect::<Vec<_>>(), answers(&["1.1.1.1:0"]));
    }

    #[test]
    fn a_name_with_private_answers_only_is_refused() {
        let private = answers(&["127.0.0.1:0", "[::1]:0"]);
        let error = filter(&NetPolicy::default(), "localhost", None, private.into_iter())
            .err()
            .unwrap();
        assert!(error.to_string().contains("loopback"), "{error}");
    }

    #[test]
    fn a_rule_with_a_port_counts_for_the_client_of_that_port_only() {
        let policy = NetPolicy {
            allow: vec!["localhost:8080".parse().unwrap()],
            ..NetPolicy::default()
        };
        let resolve = |port| filter(&policy, "localhost", port, answers(&["127.0.0.1:0"]).into_iter()).is_ok();
        assert_eq!((resolve(Some(8080)), resolve(None)), (true, false));
    }
}
