//! TLS of connections: configurations, and results of handshakes.

use std::sync::Arc;

use deno_core::{ResourceId, ToJsBuffer};
use serde::{Deserialize, Serialize};
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, SupportedProtocolVersion, version,
};

use super::error::ConnectError;
use super::pinned::Pinned;
use crate::fetch::{SendError, root_certificates, tls_config, tls_config_builder};

/// Maximum size of a script's certificates and keys for a connection, enough for about 500 authorities.
const PEM_BYTES_MAX: usize = 1 << 20;

/// Maximum number of protocols that a script may offer by ALPN.
const PROTOCOLS_MAX: usize = 32;

/// Returns the name that the server's certificate must have.
pub(super) fn server_name(hostname: &str) -> Result<ServerName<'static>, ConnectError> {
    let hostname = hostname.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(hostname.to_owned()).map_err(|_| ConnectError::ServerName(hostname.to_owned()))
}

/// Key of a TLS configuration that a thread's connections share.
#[derive(Clone, PartialEq)]
pub(super) struct TlsKey {
    /// Additional authorities. `None`: no TLS.
    pub(super) roots: Option<Vec<Vec<u8>>>,
}

impl TlsKey {
    pub(super) fn build(&self) -> Result<Option<Arc<ClientConfig>>, SendError> {
        let config = self.roots.as_deref().map(tls_config).transpose()?;
        Ok(config.map(Arc::new))
    }
}

/// Settings of a script for one connection: <https://nodejs.org/api/tls.html#tlscreatesecurecontextoptions>
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TlsSettings {
    /// The only trusted authorities, as PEM. Empty for the default ones.
    ca: Vec<String>,
    /// The client's certificates, as PEM.
    cert: String,
    /// The client's private key, as PEM.
    key: String,
    /// Protocols for ALPN, the preferred first.
    alpn: Vec<String>,
    no_tls12: bool,
    no_tls13: bool,
}

/// The client's side of a handshake.
#[derive(Debug, Default)]
pub(super) struct Client {
    /// `None` for the connection's own.
    config: Option<ClientConfig>,
    alpn: Vec<Vec<u8>>,
}

impl Client {
    /// Returns the configuration for a connection whose own is `own`.
    pub(super) fn config(self, own: Option<&Arc<ClientConfig>>) -> Option<Arc<ClientConfig>> {
        let Self { config, alpn } = self;
        if config.is_none() && alpn.is_empty() {
            return own.cloned();
        }
        let mut config = config.or_else(|| own.map(|own| (**own).clone()))?;
        config.alpn_protocols = alpn;
        Some(Arc::new(config))
    }
}

impl TlsSettings {
    /// Parses certificates and keys. `extra_roots` are trusted besides the public authorities, unless the script names its own.
    pub(super) fn client(self, extra_roots: &[Vec<u8>]) -> Result<Client, ConnectError> {
        let bytes = self.ca.iter().map(String::len).sum::<usize>() + self.cert.len() + self.key.len();
        if bytes > PEM_BYTES_MAX {
            return Err(invalid(
                "ca, cert and key",
                &format!("they have {bytes} bytes, more than {PEM_BYTES_MAX}"),
            ));
        }
        if self.alpn.len() > PROTOCOLS_MAX || self.alpn.iter().any(|name| name.is_empty() || name.len() > 255) {
            let reason = format!("there may be {PROTOCOLS_MAX} names of 1 to 255 bytes");
            return Err(invalid("ALPNProtocols", &reason));
        }
        let alpn = self.alpn.iter().map(|name| name.clone().into_bytes()).collect();
        let is_default = bytes == 0 && !self.no_tls12 && !self.no_tls13;
        let config = if is_default {
            None
        } else {
            Some(self.config(extra_roots)?)
        };
        Ok(Client { config, alpn })
    }

    fn config(&self, extra_roots: &[Vec<u8>]) -> Result<ClientConfig, ConnectError> {
        let versions: Vec<&'static SupportedProtocolVersion> =
            [(self.no_tls13, &version::TLS13), (self.no_tls12, &version::TLS12)]
                .into_iter()
                .filter_map(|(is_off, version)| (!is_off).then_some(version))
                .collect();
        let builder = tls_config_builder(&versions)?;
        let builder = match self.ca.is_empty() {
            true => builder.with_root_certificates(root_certificates(extra_roots)?),
            false => {
                let pinned = self.pinned(builder.crypto_provider().clone())?;
                builder.dangerous().with_custom_certificate_verifier(Arc::new(pinned))
            }
        };
        if self.cert.is_empty() && self.key.is_empty() {
            return Ok(builder.with_no_client_auth());
        }
        let chain = certificates("cert", &self.cert)?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes())
            .map_err(|error| invalid("key", &format!("it has no unencrypted private key in PEM ({error})")))?;
        builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| invalid("cert and key", &error.to_string()))
    }

    fn pinned(&self, provider: Arc<CryptoProvider>) -> Result<Pinned, ConnectError> {
        let mut roots = RootCertStore::empty();
        let mut known = Vec::new();
        for pem in &self.ca {
            for certificate in certificates("ca", pem)? {
                known.push(certificate.clone());
                roots
                    .add(certificate)
                    .map_err(|error| invalid("ca", &error.to_string()))?;
            }
        }
        Pinned::new(provider, roots, known).map_err(|error| invalid("ca", &error.to_string()))
    }
}

fn invalid(option: &str, reason: &str) -> ConnectError {
    ConnectError::TlsSettings(format!("the TLS options {option} cannot be used: {reason}"))
}

fn certificates(option: &str, pem: &str) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let found = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(invalid(option, "there is no certificate in PEM")),
        Err(error) => Err(invalid(option, &error.to_string())),
    }
}

/// The results of a handshake.
#[derive(Debug)]
pub(super) struct Handshaken {
    protocol: &'static str,
    cipher: String,
    alpn: Option<Vec<u8>>,
    /// The server's chain, its own certificate first.
    certificates: Vec<Vec<u8>>,
}

impl Handshaken {
    pub(super) fn of(connection: &ClientConnection) -> Self {
        let cipher = connection.negotiated_cipher_suite();
        let cipher = cipher.and_then(|cipher| cipher.suite().as_str()).unwrap_or_default();
        let certificates = connection.peer_certificates().unwrap_or_default();
        Self {
            protocol: match connection.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
                _ => "TLSv1.3",
            },
            // TLS13_AES_… is named TLS_AES_… in RFC 8446.
            cipher: cipher.replacen("TLS13_", "TLS_", 1),
            alpn: connection.alpn_protocol().map(<[u8]>::to_vec),
            certificates: certificates.iter().map(|certificate| certificate.to_vec()).collect(),
        }
    }

    pub(super) fn secured(self, rid: ResourceId) -> Secured {
        Secured {
            rid,
            protocol: self.protocol,
            cipher: self.cipher,
            alpn: self.alpn.map(|name| String::from_utf8_lossy(&name).into_owned()),
            certificates: self.certificates.into_iter().map(ToJsBuffer::from).collect(),
        }
    }
}

/// A TLS connection: its resource, and the result of the handshake.
#[derive(Serialize)]
pub(super) struct Secured {
    rid: ResourceId,
    protocol: &'static str,
    cipher: String,
    alpn: Option<String>,
    certificates: Vec<ToJsBuffer>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(settings: TlsSettings) -> String {
        settings.client(&[]).unwrap_err().to_string()
    }

    #[test]
    fn settings_without_certificates_keep_the_configuration_of_the_connection() {
        assert!(TlsSettings::default().client(&[]).unwrap().config.is_none());
        let alpn = TlsSettings {
            alpn: vec!["h2".into()],
            ..TlsSettings::default()
        };
        let own = Arc::new(tls_config(&[]).unwrap());
        let config = alpn.client(&[]).unwrap().config(Some(&own)).unwrap();
        assert_eq!(config.alpn_protocols, [b"h2".to_vec()]);
    }

    #[test]
    fn invalid_settings_are_refused() {
        let ca = |ca: &str| TlsSettings {
            ca: vec![ca.to_owned()],
            ..TlsSettings::default()
        };
        assert!(refused(ca("text")).contains("there is no certificate in PEM"));
        assert!(refused(ca(&"a".repeat(PEM_BYTES_MAX + 1))).contains("more than 1048576"));
        let key = TlsSettings {
            key: "text".into(),
            cert: "text".into(),
            ..TlsSettings::default()
        };
        assert!(refused(key).contains("the TLS options cert"));
        let alpn = TlsSettings {
            alpn: vec![String::new()],
            ..TlsSettings::default()
        };
        assert!(refused(alpn).contains("ALPNProtocols"));
    }
}
