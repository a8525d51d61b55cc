//! Keys from their encoded forms.

use deno_core::{OpState, op2};
use deno_error::{JsErrorBox, JsErrorClass};
use deno_node_crypto::keys::{AsymmetricPrivateKey, AsymmetricPublicKey, KeyObjectHandle, RsaJwkKey};
use isopod_ext::quotas::Usage;
use isopod_ext::unwind;
use rsa::pkcs1::{DecodeRsaPrivateKey, DecodeRsaPublicKey};
use rsa::pkcs8::{DecodePrivateKey, DecodePublicKey};
use rsa::traits::PublicKeyParts;
use rsa::{RsaPrivateKey, RsaPublicKey};

use super::encrypted::check_cost;
use super::{CryptoError, refused};

/// Maximum length of an encoded key. An RSA key of 16,384 bits has 14 KiB as text.
const ENCODED_BYTES_MAX: usize = 32 << 10;

/// Minimum length of an RSA key. The library subtracts the length of the padding from it.
const RSA_BITS_MIN: usize = 512;

fn check_length(key: &[u8]) -> Result<(), CryptoError> {
    match key.len() > ENCODED_BYTES_MAX {
        false => Ok(()),
        true => {
            let message = format!(
                "an encoded key of {} bytes is above the limit of {ENCODED_BYTES_MAX}",
                key.len()
            );
            Err(JsErrorBox::range_error(message).into())
        }
    }
}

/// Returns the length that determines the time of operations; `None` if their time is constant.
fn bits_of(handle: &KeyObjectHandle) -> Result<Option<usize>, CryptoError> {
    use AsymmetricPrivateKey as Private;
    use AsymmetricPublicKey as Public;
    match handle {
        KeyObjectHandle::AsymmetricPrivate(Private::Rsa(key)) => Ok(Some(key.n().bits())),
        KeyObjectHandle::AsymmetricPrivate(Private::RsaPss(key)) => Ok(Some(key.key.n().bits())),
        KeyObjectHandle::AsymmetricPrivate(Private::Dsa(key)) => Ok(Some(key.verifying_key().components().p().bits())),
        KeyObjectHandle::AsymmetricPublic(Public::Rsa(key)) => Ok(Some(key.n().bits())),
        KeyObjectHandle::AsymmetricPublic(Public::RsaPss(key)) => Ok(Some(key.key.n().bits())),
        KeyObjectHandle::AsymmetricPublic(Public::Dsa(key)) => Ok(Some(key.components().p().bits())),
        // The library does not check its numbers.
        KeyObjectHandle::AsymmetricPrivate(Private::Dh(_)) | KeyObjectHandle::AsymmetricPublic(Public::Dh(_)) => {
            let message = "Diffie-Hellman keys cannot be read in workers; use createDiffieHellman() or X25519";
            Err(JsErrorBox::type_error(message).into())
        }
        _ => Ok(None),
    }
}

fn check_bits(bits: usize, usage: &Usage) -> Result<(), CryptoError> {
    if bits < RSA_BITS_MIN {
        let message = format!("a key of {bits} bits is below the minimum of {RSA_BITS_MIN}");
        return Err(JsErrorBox::generic(message).into());
    }
    Ok(usage.check_key(0, u32::try_from(bits).unwrap_or(u32::MAX))?)
}

/// Returns the key if its operations take a bounded time.
pub(super) fn bounded(handle: KeyObjectHandle, usage: &Usage) -> Result<KeyObjectHandle, CryptoError> {
    if let Some(bits) = bits_of(&handle)? {
        check_bits(bits, usage)?;
    }
    Ok(handle)
}

#[op2]
#[cppgc]
pub(crate) fn op_isopod_private_key(
    state: &mut OpState,
    #[buffer] key: &[u8],
    #[string] format: &str,
    #[string] kind: &str,
    #[buffer] passphrase: Option<&[u8]>,
) -> Result<KeyObjectHandle, CryptoError> {
    read_key(state, key, format, || {
        KeyObjectHandle::new_asymmetric_private_key_from_js(key, format, kind, passphrase)
    })
}

#[op2]
#[cppgc]
pub(crate) fn op_isopod_public_key(
    state: &mut OpState,
    #[buffer] key: &[u8],
    #[string] format: &str,
    #[string] kind: &str,
    #[buffer] passphrase: Option<&[u8]>,
) -> Result<KeyObjectHandle, CryptoError> {
    read_key(state, key, format, || {
        KeyObjectHandle::new_asymmetric_public_key_from_js(key, format, kind, passphrase)
    })
}

/// Reads a key whose length, cost and operations are bounded.
fn read_key<E: JsErrorClass>(
    state: &OpState,
    key: &[u8],
    format: &str,
    read: impl FnOnce() -> Result<KeyObjectHandle, E>,
) -> Result<KeyObjectHandle, CryptoError> {
    let usage = Usage::of(state);
    check_length(key)?;
    unwind::catch(|| {
        check_cost(key, format, &usage)?;
        bounded(read().map_err(refused)?, &usage)
    })?
}

#[op2]
#[cppgc]
pub(crate) fn op_isopod_rsa_jwk(
    state: &mut OpState,
    #[scoped] key: RsaJwkKey,
    is_public: bool,
) -> Result<KeyObjectHandle, CryptoError> {
    let usage = Usage::of(state);
    unwind::catch(|| bounded(KeyObjectHandle::new_rsa_jwk(key, is_public).map_err(refused)?, &usage))?
}

/// Creates a key of an Edwards curve from its bytes.
#[op2]
#[cppgc]
pub(crate) fn op_isopod_edwards_key(
    #[string] curve: &str,
    #[buffer] key: &[u8],
    is_public: bool,
) -> Result<KeyObjectHandle, CryptoError> {
    unwind::catch(|| KeyObjectHandle::new_ed_raw(curve, key, is_public).map_err(refused))?
}

/// Returns the length of the modulus in bits, for every form of key that the library reads.
fn rsa_bits(key: &[u8]) -> Option<usize> {
    let Ok(pem) = std::str::from_utf8(key) else {
        return None
            .or_else(|| RsaPrivateKey::from_pkcs8_der(key).ok().map(|key| key.n().bits()))
            .or_else(|| RsaPrivateKey::from_pkcs1_der(key).ok().map(|key| key.n().bits()))
            .or_else(|| RsaPublicKey::from_public_key_der(key).ok().map(|key| key.n().bits()))
            .or_else(|| RsaPublicKey::from_pkcs1_der(key).ok().map(|key| key.n().bits()));
    };
    let certified = || {
        let handle = KeyObjectHandle::new_asymmetric_public_key_from_js(key, "pem", "", None).ok()?;
        bits_of(&handle).ok()?
    };
    None.or_else(|| RsaPrivateKey::from_pkcs8_pem(pem).ok().map(|key| key.n().bits()))
        .or_else(|| RsaPrivateKey::from_pkcs1_pem(pem).ok().map(|key| key.n().bits()))
        .or_else(|| RsaPublicKey::from_public_key_pem(pem).ok().map(|key| key.n().bits()))
        .or_else(|| RsaPublicKey::from_pkcs1_pem(pem).ok().map(|key| key.n().bits()))
        .or_else(certified)
}

/// Checks a key for ops that read keys themselves, such as that of `publicEncrypt()`. They reject keys that are not RSA keys.
#[op2(fast)]
pub(crate) fn op_isopod_check_rsa_key(state: &mut OpState, #[buffer] key: &[u8]) -> Result<(), CryptoError> {
    let usage = Usage::of(state);
    check_length(key)?;
    match unwind::catch(|| rsa_bits(key))? {
        Some(bits) => check_bits(bits, &usage),
        None => Ok(()),
    }
}
