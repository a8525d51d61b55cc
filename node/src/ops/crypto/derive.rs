//! Keys from passwords.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2;
use deno_core::op2;
use isopod_ext::unwind;

use super::CryptoError;

fn algorithm(digest: &str) -> Option<pbkdf2::Algorithm> {
    match digest {
        "sha1" | "sha-1" => Some(pbkdf2::PBKDF2_HMAC_SHA1),
        "sha256" | "sha-256" => Some(pbkdf2::PBKDF2_HMAC_SHA256),
        "sha384" | "sha-384" => Some(pbkdf2::PBKDF2_HMAC_SHA384),
        "sha512" | "sha-512" => Some(pbkdf2::PBKDF2_HMAC_SHA512),
        _ => None,
    }
}

/// Derives `key` with one of the digests that are common for passwords, several times faster than the library. Returns false for other
/// digests. The caller has checked the iterations.
#[op2]
pub(crate) fn op_isopod_pbkdf2(
    #[anybuffer] password: &[u8],
    #[anybuffer] salt: &[u8],
    #[smi] iterations: u32,
    #[string] digest: &str,
    #[buffer] key: &mut [u8],
) -> Result<bool, CryptoError> {
    let (Some(algorithm), Some(iterations)) = (algorithm(digest), NonZeroU32::new(iterations)) else {
        return Ok(false);
    };
    if !key.is_empty() {
        unwind::catch(|| pbkdf2::derive(algorithm, iterations, salt, password, key))?;
    }
    Ok(true)
}
