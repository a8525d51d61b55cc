//! Ed448 (RFC 8032, section 5.2), which deno_crypto has no ops for, with the library that it has for X448.

use aws_lc_rs::rand;
use deno_core::op2;
use ed448_goldilocks::elliptic_curve::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _};
use ed448_goldilocks::{AffinePoint, CompressedEdwardsY, PublicKeyBytes, Signature, SigningKey, VerifyingKey};

/// Bytes of a private or public key, and of a point.
const KEY_BYTES: usize = 57;
const SIGNATURE_BYTES: usize = 2 * KEY_BYTES;

/// Returns true if a point has the one form that RFC 8032, section 5.2.3, permits; the library reads others as well.
fn is_canonical(point: &[u8; KEY_BYTES]) -> bool {
    let read: Option<AffinePoint> = CompressedEdwardsY(*point).decompress_unchecked().into();
    read.is_some_and(|read| read.compress().0 == *point)
}

/// Returns true if a signature is valid. The library refuses points outside of the group that has the curve's prime as its order,
/// and its neutral element, for keys and signatures: <https://wicg.github.io/webcrypto-secure-curves/#ed448-operations>.
fn is_valid(public: &[u8], data: &[u8], signature: &[u8]) -> bool {
    let Ok(public) = public.try_into() else {
        return false;
    };
    let key = VerifyingKey::from_bytes(public).ok();
    let signature = Signature::from_slice(signature).ok();
    let both = key
        .zip(signature)
        .filter(|(_, signature)| is_canonical(public) && is_canonical(signature.r_bytes()));
    both.is_some_and(|(key, signature)| key.verify_raw(&signature, data).is_ok())
}

/// Fills a private key.
#[op2(fast)]
pub(super) fn op_isopod_ed448_random(#[buffer] private: &mut [u8]) -> bool {
    rand::fill(private).is_ok()
}

/// Writes the public key of a private key. Returns false if a length is wrong.
#[op2(fast)]
pub(super) fn op_isopod_ed448_public(#[buffer] private: &[u8], #[buffer] public: &mut [u8]) -> bool {
    let Ok(key) = SigningKey::try_from(private) else {
        return false;
    };
    let made = key.verifying_key().to_bytes();
    let fits = public.len() == made.len();
    if fits {
        public.copy_from_slice(&made);
    }
    fits
}

/// Writes a signature. Returns false if a length is wrong.
#[op2(fast)]
pub(super) fn op_isopod_ed448_sign(
    #[buffer] private: &[u8],
    #[buffer] data: &[u8],
    #[buffer] signature: &mut [u8],
) -> bool {
    let Ok(key) = SigningKey::try_from(private) else {
        return false;
    };
    let fits = signature.len() == SIGNATURE_BYTES;
    if fits {
        signature.copy_from_slice(&key.sign_raw(data).to_bytes());
    }
    fits
}

/// Returns true if the signature is valid for these data and this key.
#[op2(fast)]
pub(super) fn op_isopod_ed448_verify(
    #[buffer] public: &[u8],
    #[buffer] data: &[u8],
    #[buffer] signature: &[u8],
) -> bool {
    is_valid(public, data, signature)
}

/// Reads a key from the DER of a `PrivateKeyInfo` (RFC 5958) or of a `SubjectPublicKeyInfo` (RFC 5280). Returns false for
/// any other key.
#[op2(fast)]
pub(super) fn op_isopod_ed448_read(is_private: bool, #[buffer] der: &[u8], #[buffer] key: &mut [u8]) -> bool {
    let read = match is_private {
        true => SigningKey::from_pkcs8_der(der)
            .ok()
            .map(|key| <[u8; KEY_BYTES]>::from(key.to_bytes())),
        false => PublicKeyBytes::from_public_key_der(der).ok().map(|key| key.to_bytes()),
    };
    let Some(read) = read.filter(|read| read.len() == key.len()) else {
        return false;
    };
    key.copy_from_slice(&read);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::vectors::bytes;

    /// RFC 8032, section 7.4: "1 octet".
    #[test]
    fn a_signature_is_that_of_the_standard() {
        let private = bytes(
            "c4eab05d357007c632f3dbb48489924d552b08fe0c353a0d4a1f00acda2c463afbea67c5e8d2877c5e3bc397a659949ef8021e954e0a12274e",
        );
        let public = bytes(
            "43ba28f430cdff456ae531545f7ecd0ac834a55d9358c0372bfa0c6c6798c0866aea01eb00742802b8438ea4cb82169c235160627b4c3a9480",
        );
        let signature = bytes(
            "26b8f91727bd62897af15e41eb43c377efb9c610d48f2335cb0bd0087810f4352541b143c4b981b7e18f62de8ccdf633fc1bf037ab7cd779805e0d\
             bcc0aae1cbcee1afb2e027df36bc04dcecbf154336c19f0af7e0a6472905e799f1953d2a0ff3348ab21aa4adafd1d234441cf807c03a00",
        );
        let key = SigningKey::try_from(private.as_slice()).unwrap();
        assert_eq!(key.verifying_key().to_bytes().to_vec(), public);
        assert_eq!(key.sign_raw(&[3]).to_bytes().to_vec(), signature);
        assert!(is_valid(&public, &[3], &signature));
        assert!(!is_valid(&public, &[4], &signature));
    }

    /// With the neutral element as the key and as R, and S = 0, the equation of RFC 8032 holds for any data.
    #[test]
    fn points_of_small_order_verify_nothing() {
        let mut neutral = [0; KEY_BYTES];
        neutral[0] = 1;
        let mut signature = [0; SIGNATURE_BYTES];
        signature[0] = 1;
        assert!(!is_valid(&neutral, b"any", &signature));
        // Bits of the last byte that are not the sign.
        neutral[56] = 0x40;
        assert!(!is_canonical(&neutral));
        // y = -1, of order 2.
        let mut two = [0xff; KEY_BYTES];
        (two[0], two[28], two[56]) = (0xfe, 0xfe, 0);
        assert!(!is_valid(&two, b"any", &signature));
    }
}
