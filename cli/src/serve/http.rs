//! Converts the configuration to the server's.

use std::net::SocketAddr;

use anyhow::Result;
use isopod::server::{AdminAccess, Limits, Listen, Routes, ServerConfig, TlsFiles};

use super::sites::Sites;
use crate::config::{self, Config, Mode, ProxyAddress};

pub(super) fn server_config(config: &Config) -> Result<ServerConfig> {
    let listen = |listen: &config::Listen| {
        let listen = match listen {
            config::Listen::Tcp(address) => Listen::tcp(*address),
            config::Listen::Unix(path) => Listen::unix(path.clone()),
        };
        match &config.tls {
            Some(tls) => listen.with_tls(TlsFiles::new(tls.cert.clone(), tls.key.clone())),
            None => listen,
        }
    };
    let ingress = &config.ingress;
    let mode = match config.mode {
        Mode::Development => isopod::server::Mode::Development,
        Mode::Production => isopod::server::Mode::Production,
    };
    let limits = Limits::default()
        .connections_max(ingress.connections_max)
        .header_bytes_max(usize::try_from(ingress.header_bytes_max).unwrap_or(usize::MAX))
        .header_count_max(ingress.headers_max)
        .uri_bytes_max(usize::try_from(ingress.uri_bytes_max).unwrap_or(usize::MAX))
        .header_timeout(ingress.header_timeout)
        .idle_timeout(ingress.idle_timeout)
        .body_bytes_max(ingress.body_bytes_max)
        .body_timeout(ingress.body_timeout)
        .write_timeout(ingress.write_timeout)
        .h2_streams_max(ingress.streams_max)
        .h2_stream_window(u32::try_from(ingress.stream_window).unwrap_or(u32::MAX))
        .depth_max(ingress.depth_max)
        .h2_resets_max(ingress.resets_max)
        .h2_cancels_max(ingress.cancels_max);
    Ok(ServerConfig::default()
        .listeners(config.listen.iter().map(listen).collect())
        .routes(routes(config)?)
        .mode(mode)
        .limits(limits)
        .trusted_proxies(ingress.trusted_proxies.iter().map(ProxyAddress::trusted).collect()))
}

/// Returns the address and access rules of the admin listener, if configured.
pub(super) fn admin(config: &Config) -> Result<Option<(SocketAddr, AdminAccess)>> {
    let Some(admin) = &config.admin else {
        return Ok(None);
    };
    let config::Listen::Tcp(address) = admin.listen else {
        anyhow::bail!("admin.listen must be an address and a port: the admin listener does not support Unix sockets")
    };
    let mut access = AdminAccess::default();
    access.hosts.clone_from(&admin.hosts);
    access.token = admin.token.as_ref().map(|token| token.reveal().to_owned());
    Ok(Some((address, access)))
}

/// Returns the configured routes; a single worker without routes gets all requests.
pub(super) fn routes(config: &Config) -> Result<Routes> {
    let mut routes = Routes::default();
    for route in &config.routes {
        let host = route.pattern.host.as_deref().unwrap_or("");
        routes = routes.route(&format!("{host}{}", route.pattern.path), route.worker.as_str())?;
    }
    if config.assets.is_some() {
        return Ok(routes.fallback(Sites::ALONE));
    }
    let mut names = config.workers.keys();
    if let (true, Some(only), None) = (config.routes.is_empty(), names.next(), names.next()) {
        routes = routes.fallback(only.as_str());
    }
    Ok(routes)
}
