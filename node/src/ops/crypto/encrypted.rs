//! The cost of decrypting a private key, according to its parameters.

use isopod_ext::quotas::{QuotaError, Usage};
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::Kdf;
use pkcs8::{EncryptedPrivateKeyInfo, SecretDocument};

/// The library derives at most this many blocks of a hash for a key and its initialization vector.
const BLOCKS: u32 = 2;

/// Checks the parameters of the key's derivation. Anything but an encrypted key passes, and the library rejects it.
pub(super) fn check_cost(key: &[u8], format: &str, usage: &Usage) -> Result<(), QuotaError> {
    let document;
    let der = match format {
        "pem" => match std::str::from_utf8(key).map(SecretDocument::from_pem) {
            Ok(Ok((_, found))) => {
                document = found;
                document.as_bytes()
            }
            _ => return Ok(()),
        },
        _ => key,
    };
    let Ok(info) = EncryptedPrivateKeyInfo::try_from(der) else {
        return Ok(());
    };
    let EncryptionScheme::Pbes2(parameters) = info.encryption_algorithm else {
        // At most 65,535 iterations.
        return Ok(());
    };
    match parameters.kdf {
        Kdf::Pbkdf2(pbkdf2) => usage.check_key(pbkdf2.iteration_count.saturating_mul(BLOCKS), 0),
        Kdf::Scrypt(scrypt) => usage
            .check_scrypt(
                scrypt.cost_parameter,
                scrypt.block_size.into(),
                scrypt.parallelization.into(),
            )
            .map(drop),
        // Parameters of a later version, with unknown cost.
        _ => usage.check_key(u32::MAX, 0),
    }
}
