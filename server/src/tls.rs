//! TLS acceptors from PEM files. The crypto provider is set per acceptor and not globally.

use std::{path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;
use rustls::{
    ProtocolVersion, ServerConfig, ServerConnection,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio_rustls::TlsAcceptor;

use crate::{config::TlsFiles, dispatch::Tls};

/// An error from setting up TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file is missing or not PEM of the required kind.
    #[error("cannot read {what} from {path}: {source}; a readable PEM file is required")]
    Pem {
        /// The expected content.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: rustls::pki_types::pem::Error,
    },
    /// The files do not form a usable identity.
    #[error("cannot use the certificate in {path}: {source}; check that the key matches it")]
    Identity {
        /// The certificate file.
        path: PathBuf,
        /// rustls' error.
        source: rustls::Error,
    },
}

/// Returns the TLS parameters of a completed handshake.
pub(crate) fn agreed(connection: &ServerConnection) -> Option<Tls> {
    let version = match connection.protocol_version()? {
        ProtocolVersion::TLSv1_2 => "TLSv1.2",
        ProtocolVersion::TLSv1_3 => "TLSv1.3",
        _ => return None,
    };
    let suite = format!("{:?}", connection.negotiated_cipher_suite()?.suite());
    Some(Tls {
        version,
        cipher: openssl_name(&suite),
    })
}

/// Converts a suite's standard name to the name that OpenSSL and Cloudflare use.
fn openssl_name(suite: &str) -> String {
    let name = suite
        .replace("TLS13_", "AEAD_")
        .replace("TLS_", "")
        .replace("WITH_", "");
    name.replace("AES_", "AES").replace('_', "-")
}

/// A listener's certificate and key, which can be reloaded while in use.
pub(crate) struct Identity {
    files: TlsFiles,
    acceptor: ArcSwap<TlsAcceptor>,
}

impl Identity {
    pub(crate) fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        Ok(Self {
            files: files.clone(),
            acceptor: ArcSwap::from_pointee(acceptor(files)?),
        })
    }

    /// Reloads the files for new handshakes; on an error the previous ones stay in use.
    pub(crate) fn read_again(&self) -> Result<(), TlsError> {
        self.acceptor.store(Arc::new(acceptor(&self.files)?));
        Ok(())
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::clone(&self.acceptor.load())
    }
}

fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, TlsError> {
    let pem = |what, path: &PathBuf| {
        let path = path.clone();
        move |source| TlsError::Pem { what, path, source }
    };
    let chain = CertificateDer::pem_file_iter(&files.certificates)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(pem("certificates", &files.certificates))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(pem("a private key", &files.key))?;
    let identity = |source| TlsError::Identity {
        path: files.certificates.clone(),
        source,
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(identity)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(identity)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::openssl_name;

    /// https://developers.cloudflare.com/ssl/edge-certificates/additional-options/cipher-suites/supported-cipher-suites/
    #[test]
    fn suites_have_the_names_that_scripts_know() {
        for (suite, name) in [
            ("TLS13_AES_128_GCM_SHA256", "AEAD-AES128-GCM-SHA256"),
            ("TLS13_CHACHA20_POLY1305_SHA256", "AEAD-CHACHA20-POLY1305-SHA256"),
            ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"),
            (
                "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
                "ECDHE-ECDSA-CHACHA20-POLY1305-SHA256",
            ),
        ] {
            assert_eq!(openssl_name(suite), name);
        }
    }
}
