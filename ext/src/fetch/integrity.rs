//! Subresource integrity: checks a response's bytes against the expected hashes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256, Sha384, Sha512};

/// Weakest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Algorithm {
    Sha256,
    Sha384,
    Sha512,
}

impl Algorithm {
    fn named(name: &str) -> Option<Self> {
        match name {
            "sha256" => Some(Self::Sha256),
            "sha384" => Some(Self::Sha384),
            "sha512" => Some(Self::Sha512),
            _ => None,
        }
    }

    fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha384 => Sha384::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }
}

/// <https://w3c.github.io/webappsec-subresource-integrity/#does-response-match-metadatalist>: one of the hashes of the
/// strongest algorithm must match the bytes. Metadata without a known algorithm requires nothing.
pub(super) fn matches(metadata: &str, bytes: &[u8]) -> bool {
    let hashes = metadata.split_ascii_whitespace().filter_map(|item| {
        let (hash, _options) = item.split_once('?').unwrap_or((item, ""));
        let (name, value) = hash.split_once('-')?;
        Some((Algorithm::named(name)?, value))
    });
    let Some(strongest) = hashes.clone().map(|(algorithm, _)| algorithm).max() else {
        return true;
    };
    let digest = strongest.digest(bytes);
    hashes
        .filter(|(algorithm, _)| *algorithm == strongest)
        .any(|(_, value)| decode(value).is_some_and(|expected| expected == digest))
}

/// The grammar allows both alphabets (CSP3, `base64-value`).
fn decode(value: &str) -> Option<Vec<u8>> {
    let value = value.replace('-', "+").replace('_', "/");
    STANDARD.decode(value).ok()
}

#[cfg(test)]
mod tests {
    use super::matches;

    // `printf hello | openssl dgst -sha256 -binary | base64`, and likewise.
    const SHA256: &str = "sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";
    const SHA384: &str = "sha384-WeF0h3dEjGnea4ANejO7+5/xtGPkQ1TDVTvNucZm+pASWjx5+QOXvfX2oT3oKGhP";
    const OTHER_SHA512: &str = "sha512-AAAA";

    #[test]
    fn bytes_match_one_hash_of_the_strongest_algorithm() {
        assert!(matches(SHA256, b"hello"));
        assert!(!matches(SHA256, b"hullo"));
        assert!(matches(&format!("{SHA256}?option"), b"hello"));
        assert!(matches(&format!("sha256-AAAA \t{SHA256}"), b"hello"));
        assert!(!matches(&format!("{SHA256} {OTHER_SHA512}"), b"hello"));
        assert!(!matches(&format!("{SHA256} {SHA384}"), b"hullo"));
        assert!(matches("sha256-LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=", b"hello"));
    }

    #[test]
    fn metadata_without_a_known_hash_asks_for_nothing() {
        for metadata in ["", "  ", "md5-AAAA", "sha256", "SHA256-AAAA"] {
            assert!(matches(metadata, b"hello"), "{metadata:?}");
        }
        assert!(!matches("sha256-", b"hello"));
    }
}
