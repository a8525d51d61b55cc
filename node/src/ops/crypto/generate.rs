//! New RSA keys.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use deno_core::{OpState, op2};
use deno_error::JsErrorBox;
use deno_node_crypto::keys::{
    AsymmetricPrivateKey, KeyObjectHandle, RsaPssDetails, RsaPssHashAlgorithm, RsaPssPrivateKey,
};
use isopod_ext::quotas::Usage;
use isopod_ext::unwind;
use rsa::RsaPrivateKey;
use rsa::pkcs8::DecodePrivateKey;

use super::CryptoError;

/// The exponent of almost all keys, and the only one that the faster generator supports.
const USUAL_EXPONENT: u32 = 65_537;

const BITS_MIN: u32 = 512;

/// Maximum length of a key with an unusual length or exponent. Its generator takes a second on average for this length, and cannot
/// be interrupted.
const UNUSUAL_BITS_MAX: u32 = 2_048;

/// A generator of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Fast(KeySize),
    Slow,
}

fn way(bits: u32, exponent: u32) -> Result<Way, String> {
    if exponent <= 1 || exponent.is_multiple_of(2) {
        return Err(format!("invalid RSA public exponent: {exponent}"));
    }
    if bits < BITS_MIN {
        return Err(format!("an RSA key of {bits} bits is below the minimum of {BITS_MIN}"));
    }
    match (bits, exponent) {
        (2_048, USUAL_EXPONENT) => Ok(Way::Fast(KeySize::Rsa2048)),
        (3_072, USUAL_EXPONENT) => Ok(Way::Fast(KeySize::Rsa3072)),
        (4_096, USUAL_EXPONENT) => Ok(Way::Fast(KeySize::Rsa4096)),
        (8_192, USUAL_EXPONENT) => Ok(Way::Fast(KeySize::Rsa8192)),
        _ if bits <= UNUSUAL_BITS_MAX => Ok(Way::Slow),
        _ => Err(format!(
            "an RSA key of {bits} bits with the exponent {exponent} takes too long; use 2048, 3072 or 4096 bits with \
             the exponent {USUAL_EXPONENT}"
        )),
    }
}

fn generate(bits: u32, exponent: u32) -> Result<RsaPrivateKey, String> {
    let failed = |error: &dyn std::fmt::Display| format!("the RSA key could not be made: {error}");
    match way(bits, exponent)? {
        Way::Fast(size) => {
            let pair = KeyPair::generate(size).map_err(|error| failed(&error))?;
            let encoded: Pkcs8V1Der<'_> = pair.as_der().map_err(|error| failed(&error))?;
            RsaPrivateKey::from_pkcs8_der(encoded.as_ref()).map_err(|error| failed(&error))
        }
        Way::Slow => RsaPrivateKey::new_with_exp(&mut rand::thread_rng(), bits as usize, &exponent.into())
            .map_err(|error| failed(&error)),
    }
}

fn hash_named(name: &str) -> Option<RsaPssHashAlgorithm> {
    Some(match name.to_ascii_lowercase().as_str() {
        "sha1" | "sha-1" | "rsa-sha1" => RsaPssHashAlgorithm::Sha1,
        "sha224" | "sha-224" | "rsa-sha224" => RsaPssHashAlgorithm::Sha224,
        "sha256" | "sha-256" | "rsa-sha256" => RsaPssHashAlgorithm::Sha256,
        "sha384" | "sha-384" | "rsa-sha384" => RsaPssHashAlgorithm::Sha384,
        "sha512" | "sha-512" | "rsa-sha512" => RsaPssHashAlgorithm::Sha512,
        "sha512-224" | "sha-512/224" => RsaPssHashAlgorithm::Sha512_224,
        "sha512-256" | "sha-512/256" => RsaPssHashAlgorithm::Sha512_256,
        _ => return None,
    })
}

/// The restrictions of a key for RSA-PSS; `None` without one.
fn details(
    hash: Option<&str>,
    mgf1_hash: Option<&str>,
    salt_length: Option<u32>,
) -> Result<Option<RsaPssDetails>, String> {
    if hash.is_none() && mgf1_hash.is_none() && salt_length.is_none() {
        return Ok(None);
    }
    let named = |name: &str| hash_named(name).ok_or_else(|| format!("digest not allowed for RSA-PSS keys: {name}"));
    let hash_algorithm = named(hash.unwrap_or("sha1"))?;
    Ok(Some(RsaPssDetails {
        hash_algorithm,
        mf1_hash_algorithm: mgf1_hash.map_or(Ok(hash_algorithm), named)?,
        salt_length: salt_length.unwrap_or_else(|| hash_algorithm.salt_length()),
    }))
}

/// Generates a private key for RSA.
#[op2]
#[cppgc]
pub(crate) fn op_isopod_generate_rsa(
    state: &mut OpState,
    #[smi] bits: u32,
    #[smi] exponent: u32,
) -> Result<KeyObjectHandle, CryptoError> {
    Usage::of(state).check_key(0, bits)?;
    let key = unwind::catch(|| generate(bits, exponent))?.map_err(JsErrorBox::generic)?;
    Ok(KeyObjectHandle::AsymmetricPrivate(AsymmetricPrivateKey::Rsa(key)))
}

/// Generates a private key for RSA-PSS.
#[op2]
#[cppgc]
pub(crate) fn op_isopod_generate_rsa_pss(
    state: &mut OpState,
    #[smi] bits: u32,
    #[smi] exponent: u32,
    #[string] hash: Option<String>,
    #[string] mgf1_hash: Option<String>,
    #[smi] salt_length: Option<u32>,
) -> Result<KeyObjectHandle, CryptoError> {
    Usage::of(state).check_key(0, bits)?;
    let details = details(hash.as_deref(), mgf1_hash.as_deref(), salt_length).map_err(JsErrorBox::type_error)?;
    let key = unwind::catch(|| generate(bits, exponent))?.map_err(JsErrorBox::generic)?;
    let key = RsaPssPrivateKey { key, details };
    Ok(KeyObjectHandle::AsymmetricPrivate(AsymmetricPrivateKey::RsaPss(key)))
}

#[cfg(test)]
mod tests {
    use super::{Way, details, generate, way};
    use aws_lc_rs::rsa::KeySize;
    use rsa::traits::PublicKeyParts;

    #[test]
    fn keys_that_take_long_are_refused() {
        assert_eq!(way(4_096, 65_537), Ok(Way::Fast(KeySize::Rsa4096)));
        assert_eq!(way(2_048, 3), Ok(Way::Slow));
        for (bits, exponent) in [
            (4_096, 3),
            (3_000, 65_537),
            (511, 65_537),
            (2_048, 4),
            (2_048, 1),
            (2_048, 0),
        ] {
            assert!(way(bits, exponent).is_err(), "{bits} {exponent}");
        }
    }

    #[test]
    fn a_key_has_the_length_and_exponent_it_was_asked_for() {
        for (bits, exponent) in [(2_048, 65_537), (512, 3)] {
            let key = generate(bits, exponent).unwrap();
            assert_eq!((key.n().bits(), key.e()), (bits as usize, &exponent.into()));
        }
    }

    // RFC 8017, appendix A.2.3, for the defaults.
    #[test]
    fn details_have_the_defaults_of_the_standard() {
        assert!(details(None, None, None).unwrap().is_none());
        let given = details(None, None, Some(7)).unwrap().unwrap();
        assert_eq!((given.hash_algorithm.as_str(), given.salt_length), ("sha1", 7));
        let given = details(Some("sha256"), None, None).unwrap().unwrap();
        assert_eq!((given.mf1_hash_algorithm.as_str(), given.salt_length), ("sha256", 32));
        assert!(details(Some("md5"), None, None).is_err());
    }
}
